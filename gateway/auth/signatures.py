"""Signed requests of terminals whose key asks for it: HTTP Message Signatures (RFC 9421), Content-Digest (RFC 9530).

Guarantees: such a key alone, stolen from a till's settings or a log of somebody else's, is worth nothing without what
it signs with; method, path, query and body are those that were signed, at most `SIGNATURE_SECONDS` ago. Every call that
changes something carries its Idempotency-Key under the signature, so that sending a captured request again is what any
repeat is: it gets the first call's answer and changes nothing. That is why no nonce is kept (one that is sent is signed
and otherwise ignored).

Not guaranteed: that a request which only reads is sent once within that time; that what the till signs with is safe
there.

Costs nothing to terminals without: one comparison with None (gateway/auth/authentication.py).
"""

import datetime
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature
from http_message_signatures.algorithms import ED25519, HMAC_SHA256
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from starlette.types import Scope

from redemption.credentials import SignatureKey
from redemption.domain.clock import Clock
from redemption.domain.errors import RefusedError

SIGNATURE_SECONDS: Final = 300
CLOCK_AHEAD_SECONDS: Final = 30
"""The seconds by which a till's clock may be ahead of ours."""
HEADER_BYTES_MAX: Final = 2_048
"""Signature-Input and Signature together; a real pair has about 300."""
ALGORITHMS: Final = {"ed25519": ED25519, "hmac-sha256": HMAC_SHA256}
CALLS_WITHOUT_KEY: Final = frozenset({"/v1/prepare", "/v1/cancel"})
"""Posts that may be repeated as they are: one reads only, the other names the key in its body."""


class SignatureRefused(RefusedError):
    """The request is not signed as required; the text says what is missing, and nothing of the key."""


class _Message:
    """The request as the library reads one: method, absolute URL, header lines in their order."""

    def __init__(self, scope: Scope) -> None:
        path = scope.get("raw_path") or scope["path"].encode("ascii", "strict")
        query = scope["query_string"]
        target = path + (b"?" + query if query else b"")
        self.method: str = scope["method"]
        self.url = f"https://tong.invalid{target.decode('latin-1')}"  # the host is not signed, so any will do
        self.headers = self
        self._lines: list[tuple[bytes, bytes]] = scope["headers"]

    def items(self) -> Iterator[tuple[str, str]]:
        for name, value in self._lines:
            yield name.decode("latin-1"), value.decode("latin-1")


class _Key(HTTPSignatureKeyResolver):
    """One key, found by the id that the API key has anyway."""

    def __init__(self, key_id: str, signature: SignatureKey) -> None:
        self._key_id = key_id
        self._signature = signature

    def resolve_public_key(self, key_id: str) -> Any:
        if key_id != self._key_id:
            return None
        key = self._signature.key
        return Ed25519PublicKey.from_public_bytes(key) if self._signature.algorithm == "ed25519" else key


class _Verifier(HTTPMessageVerifier):
    """The library's verifier under the injected clock."""

    def __init__(self, key_id: str, signature: SignatureKey, clock: Clock) -> None:
        super().__init__(signature_algorithm=ALGORITHMS[signature.algorithm], key_resolver=_Key(key_id, signature))
        self._clock = clock

    def validate_created_and_expires(self, sig_input: Any, max_age: datetime.timedelta | None = None) -> None:
        created, expires = sig_input.params.get("created"), sig_input.params.get("expires")
        if type(created) is not int:
            raise InvalidSignature("created")
        now = self._clock()
        if not now - SIGNATURE_SECONDS <= created <= now + CLOCK_AHEAD_SECONDS or (
            expires is not None and (type(expires) is not int or expires < now)
        ):
            raise InvalidSignature("created")


def verify_signature(scope: Scope, body: bytes, key_id: str, signature: SignatureKey, clock: Clock) -> None:
    """Return where that key signed the request as the module requires. Raises `SignatureRefused`."""
    lines = [value for name, value in scope["headers"] if name in (b"signature", b"signature-input")]
    if len(lines) != 2:  # each of the two headers comes once
        raise SignatureRefused("this key's requests must be signed: one Signature-Input and one Signature (RFC 9421)")
    if sum(map(len, lines)) > HEADER_BYTES_MAX:
        raise SignatureRefused(f"Signature-Input and Signature may have {HEADER_BYTES_MAX} bytes")
    try:
        _Verifier(key_id, signature, clock).verify(
            _Message(scope), max_age=None, require_components=_needed(scope, body), body=body
        )
    except (InvalidSignature, HTTPMessageSignaturesException, ValueError, TypeError):
        needed = " ".join(f'"{component}"' for component in _needed(scope, body))
        raise SignatureRefused(
            f'the signature does not fit: it covers {needed}, says keyid="{key_id}", created within '
            f"{SIGNATURE_SECONDS} s, and is made with {signature.algorithm}"
        ) from None


def _needed(scope: Scope, body: bytes) -> list[str]:
    """Return the components that the signature must cover."""
    needed = ["@method", "@path"]
    if scope["query_string"]:
        needed.append("@query")
    if body:
        needed.append("content-digest")
    if scope["method"] == "POST" and scope["path"] not in CALLS_WITHOUT_KEY:
        needed.append("idempotency-key")
    return needed
