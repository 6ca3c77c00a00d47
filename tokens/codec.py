"""Member codes: made by `CodeIssuer`, read by `CodeReader`.

A JWT code has the header {"alg","kid"} and the claims {"sub","exp","jti"}, in this order and without a space: sub is
the member number in decimal, exp the expiry in Unix seconds, jti eight url-safe characters. `typ` is left out (it is
optional, RFC 7519, 5.1). An HS256 code has at most 160 characters; an EdDSA code has up to 203, of which its signature
alone takes 86. The 18 digits are in tokens/digits.py, the codes that a device makes by itself in tokens/offline.py.

Guarantees:
- `read` answers a `CodeClaim` or a `Refused` for every str of every length; it raises for none.
- Nothing of the claims is believed, not even decoded, before the signature held. The algorithm is the key's, never
  the token's: a header is one of the exact segments that our ring writes, or it is refused (RFC 8725, 2.1 and 3.1).
- What is accepted here, `jwt.decode` accepts with the same claims, given the key and algorithm of the key id. The
  other way holds for tokens in the form that our issuer writes. Here is stricter: no base64 padding, no other
  spelling, order, spacing or repetition of members, no further members, no time that falls between two slots, no
  member number above the limit. tests/property/test_tokens_equivalence.py holds both.
- What scanners and input methods put around a code is taken off first (tokens/scanned.py), off the way of a plain JWT
  and of 18 plain digits.
- Signatures and MACs are compared in constant time. The memory of a reader does not grow with what it is given.

Reading a code is part of every scan and written for speed, measured by `python -m tests.measure_path`.
docs/explanation/performance.md has the figures of each kind of code.
"""

import re
import secrets
from collections.abc import Callable, Container
from typing import Any, Final

import jwt
import msgspec
from jwt.algorithms import Algorithm as SignatureAlgorithm

from tokens import base64url
from tokens.claims import (
    CODE_LIFETIME_SECONDS,
    DIGITS_NONCE,
    EXPIRES_AT_MAX,
    MEMBER_NUMBERS,
    REFRESH_BEFORE_EXPIRY_SECONDS,
    SLOT_SECONDS,
    TEXT_CHARACTERS_MAX,
    CodeClaim,
    CodeForm,
    Refused,
    Standing,
    expires_at,
    forged,
    malformed,
    slot_at,
    standing_of,
)
from tokens.digits import DigitsKey, derive_digits_key, read_digits, write_digits
from tokens.errors import KeyRingUnusable
from tokens.keyring import Algorithm, KeyRing, RingKey
from tokens.offline import PREFIX as OFFLINE_PREFIX
from tokens.offline import EnrolledKey, enrolled_key, read_offline
from tokens.scanned import cleaned

WHITE_SPACE: Final = " \t\r\n\v\f"  # it is removed at once; tokens/scanned.py handles other characters around a code
_JWT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{8}", re.ASCII)
_CLAIMS: Final = re.compile(rb'\{"sub":"(0|[1-9][0-9]{0,7})","exp":([1-9][0-9]{0,12}),"jti":"([A-Za-z0-9_-]{8})"\}')
_NONCE_BYTES: Final = 6
_HEADER_MEMBERS: Final = frozenset(("alg", "kid"))
_SIGNATURE_CHARACTERS: Final[dict[str, int]] = {"HS256": 43, "EdDSA": 86}

EMPTY: Final = malformed("The code is empty.")
TOO_LONG: Final = malformed(f"The code is longer than {TEXT_CHARACTERS_MAX} characters.")
WRONG_SHAPE: Final = malformed(
    "A code is 18 digits, three segments of base64url with dots between them, or a device's code."
)
HEADER_NOT_BASE64: Final = malformed("The code's header is not canonical base64url.")
HEADER_NOT_JSON: Final = malformed("The code's header is not a JSON object.")
HEADER_WRONG_TYPE: Final = malformed("The code's header needs alg and kid as strings.")
HEADER_WRONG_SPELLING: Final = malformed("The code's header is not written the way this gateway writes it.")
SIGNATURE_NOT_BASE64: Final = malformed("The code's signature is not canonical base64url.")
CLAIMS_NOT_BASE64: Final = malformed("The code's claims are not canonical base64url.")
CLAIMS_NOT_JSON: Final = malformed(
    "The code's claims are not a JSON object of exactly sub, exp and jti, rightly typed."
)
CLAIMS_WRONG_MEMBER: Final = malformed("The code's sub is not a member number in decimal.")
CLAIMS_WRONG_TIME: Final = malformed("The code's exp is not the end of a slot.")
CLAIMS_WRONG_NONCE: Final = malformed("The code's jti is not eight url-safe characters.")
CLAIMS_WRONG_SPELLING: Final = malformed("The code's claims are not written the way this gateway writes them.")
ALGORITHM_NONE: Final = forged("The code says that it is not signed.")
ALGORITHM_WRONG: Final = forged("The code names an algorithm that its key does not have.")
HEADER_FOREIGN: Final = forged("The code's header has members that no code of this gateway has.")
KEY_UNKNOWN: Final = forged("The code names no key of this gateway.")
SIGNATURE_WRONG: Final = forged("The code's signature is not of the key that it names.")


class IssuedCode(msgspec.Struct, frozen=True):
    """One entry for the member app: two forms of one code. Times are Unix seconds."""

    code: str
    digits: str
    expires_at: int
    refresh_at: int

    def __repr__(self) -> str:
        return f"IssuedCode(expires_at={self.expires_at})"  # a code is as good as a signature until it is used


class _Claims(msgspec.Struct, forbid_unknown_fields=True):
    sub: str
    exp: int
    jti: str


_DECODE_CLAIMS: Final = msgspec.json.Decoder(_Claims).decode


class _PreparedKey:
    """A ring key with all work done that does not depend on the token."""

    __slots__ = (
        "algorithm",
        "digits_key",
        "header",
        "kid",
        "name",
        "signature_characters",
        "signing",
        "verifying",
    )

    def __init__(self, key: RingKey) -> None:
        self.kid = key.kid
        self.name: Algorithm = key.algorithm
        self.algorithm: SignatureAlgorithm = jwt.get_algorithm_by_name(key.algorithm)
        self.signing: Any
        self.verifying: Any
        if key.algorithm == "EdDSA":
            private = key.private_key()
            self.signing = self.algorithm.prepare_key(private)
            self.verifying = self.algorithm.prepare_key(private.public_key())
        else:
            self.signing = self.verifying = self.algorithm.prepare_key(key.secret)
        self.header = base64url.encode(f'{{"alg":"{key.algorithm}","kid":"{key.kid}"}}'.encode("ascii"))
        self.signature_characters = _SIGNATURE_CHARACTERS[key.algorithm]
        self.digits_key: DigitsKey = derive_digits_key(key.digits_secret, key.kid)


def _claims_json(sub: str, exp: int, jti: str) -> bytes:
    return f'{{"sub":"{sub}","exp":{exp},"jti":"{jti}"}}'.encode("ascii")


class CodeIssuer:
    """An issuer of codes, which signs with the key that is current at the moment of issue."""

    def __init__(self, ring: KeyRing, algorithm: Algorithm, clock: Callable[[], float]) -> None:
        """Take a ring. Raises KeyRingUnusable where it has no key of the algorithm."""
        self._algorithm: Algorithm = algorithm
        self._clock = clock
        self._keys: dict[str, _PreparedKey] = {}
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """Go on with this ring. Raises KeyRingUnusable, and keeps the old one, where it has no key of the algorithm."""
        ring.signing_key(self._algorithm, self._clock())
        self._keys = {key.kid: _PreparedKey(key) for key in ring.keys if key.algorithm == self._algorithm}
        self._ring = ring

    def issue(self, member_number: int, slot: int) -> IssuedCode:
        """Return both forms of the code (member_number, slot). Raises ValueError for numbers out of range."""
        if not 0 <= member_number < MEMBER_NUMBERS:
            raise ValueError("member_number is out of range")
        expiry = expires_at(slot)
        if slot < 0 or expiry > EXPIRES_AT_MAX:
            raise ValueError("slot is out of range")
        key = self._keys[self._ring.signing_key(self._algorithm, self._clock()).kid]
        claims = _claims_json(str(member_number), expiry, secrets.token_urlsafe(_NONCE_BYTES))
        signed = f"{key.header}.{base64url.encode(claims)}"
        signature = base64url.encode(key.algorithm.sign(signed.encode("ascii"), key.signing))
        return IssuedCode(
            code=f"{signed}.{signature}",
            digits=write_digits(key.digits_key, member_number, slot),
            expires_at=expiry,
            refresh_at=expiry - REFRESH_BEFORE_EXPIRY_SECONDS,
        )

    def enrol(self, member_number: int, device_number: int, kid: str) -> EnrolledKey:
        """Return the key with which a device makes codes by itself, derived from this ring key.

        Raises ValueError for a number out of range and KeyRingUnusable for a key that is not in the ring.
        """
        key = next((key for key in self._ring.keys if key.kid == kid), None)
        if key is None:
            raise KeyRingUnusable("the key ring has no such key")
        return enrolled_key(key.digits_secret, kid, member_number, device_number)

    @property
    def current_kid(self) -> str:
        """Return the id of the key that signs now."""
        return self._ring.signing_key(self._algorithm, self._clock()).kid


class CodeReader:
    """A reader of scanned texts.

    It knows every key of the ring; whether the code was used is not its business.
    """

    def __init__(self, ring: KeyRing, revoked_devices: Container[int] = frozenset()) -> None:
        """Take a ring. `revoked_devices` is read with every code of a device; its owner may change it."""
        self._revoked_devices = revoked_devices
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """Go on with this ring; codes of a retired key are forged from now on."""
        prepared = [_PreparedKey(key) for key in reversed(ring.keys)]  # the newest is asked first
        self._by_header = {key.header: key for key in prepared}
        self._algorithm_of = {key.kid: key.name for key in prepared}
        self._digits_keys = tuple(key.digits_key for key in prepared)
        self._ring_secrets = {key.kid: key.digits_secret for key in ring.keys}

    def read(self, text: str, now: float) -> CodeClaim | Refused:
        """Return the claim of a genuine code of any age, or why the text is not one. `now` is Unix seconds."""
        if len(text) > TEXT_CHARACTERS_MAX:
            return TOO_LONG
        text = text.strip(WHITE_SPACE)
        shape = _JWT.fullmatch(text)
        if shape is None:
            if text.isascii() and text.isdigit():
                return self._read_digits(text, now)
            text = cleaned(text)
            shape = _JWT.fullmatch(text)
            if shape is None:
                return self._read_other(text, now)
        header, claims, signature = shape.groups()
        key = self._by_header.get(header)
        if key is None:
            return self._refuse_header(header)
        if len(signature) != key.signature_characters:
            return SIGNATURE_WRONG
        signature_bytes = base64url.decode(signature)
        if signature_bytes is None:
            return SIGNATURE_NOT_BASE64
        if not key.algorithm.verify(text[: shape.end(2)].encode("ascii"), key.verifying, signature_bytes):
            return SIGNATURE_WRONG
        return _read_claims(claims, now)

    def _read_other(self, text: str, now: float) -> CodeClaim | Refused:
        if not text:
            return EMPTY
        if text.startswith(OFFLINE_PREFIX):
            return self._read_offline(text, now)
        if not (text.isascii() and text.isdigit()):
            return WRONG_SHAPE
        return self._read_digits(text, now)

    def _read_digits(self, text: str, now: float) -> CodeClaim | Refused:
        found = read_digits(text, self._digits_keys, slot_at(now))
        if isinstance(found, Refused):
            return found
        member_number, slot = found
        return CodeClaim(CodeForm.DIGITS, member_number, slot, DIGITS_NONCE, expires_at(slot), standing_of(slot, now))

    def _read_offline(self, text: str, now: float) -> CodeClaim | Refused:
        claim = read_offline(text, self._ring_secrets, now)
        if (
            isinstance(claim, CodeClaim)
            and claim.standing is Standing.VALID
            and claim.device_number in self._revoked_devices
        ):
            return msgspec.structs.replace(claim, standing=Standing.REVOKED)
        return claim

    def _refuse_header(self, segment: str) -> Refused:
        """Return why a header that our ring does not write is refused. This only explains: no path here accepts a
        token."""
        raw = base64url.decode(segment)
        if raw is None:
            return HEADER_NOT_BASE64
        try:
            header = msgspec.json.decode(raw)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return HEADER_NOT_JSON
        if not isinstance(header, dict):
            return HEADER_NOT_JSON
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or not isinstance(kid, str):
            return HEADER_WRONG_TYPE
        if algorithm.lower() == "none":
            return ALGORITHM_NONE
        if not _HEADER_MEMBERS.issuperset(header):
            return HEADER_FOREIGN
        expected = self._algorithm_of.get(kid)
        if expected is None:
            return KEY_UNKNOWN
        return ALGORITHM_WRONG if algorithm != expected else HEADER_WRONG_SPELLING


def _read_claims(segment: str, now: float) -> CodeClaim | Refused:
    """Return the claims of a token whose signature is right."""
    raw = base64url.decode(segment)
    if raw is None:
        return CLAIMS_NOT_BASE64
    written = _CLAIMS.fullmatch(raw)
    if written is not None:
        # Claims as our issuer writes them, to the byte, are read by one pattern. Written for speed, measured by
        # `python -m tests.measure_path`; all others take the slow path, which says what is wrong.
        expiry, nonce = int(written[2]), written[3].decode("ascii")
        if CODE_LIFETIME_SECONDS <= expiry <= EXPIRES_AT_MAX and not (expiry - CODE_LIFETIME_SECONDS) % SLOT_SECONDS:
            slot = (expiry - CODE_LIFETIME_SECONDS) // SLOT_SECONDS
            return CodeClaim(CodeForm.JWT, int(written[1]), slot, nonce, expiry, standing_of(slot, now))
    try:
        claims = _DECODE_CLAIMS(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return CLAIMS_NOT_JSON
    sub, expiry, nonce = claims.sub, claims.exp, claims.jti
    if not (sub.isascii() and sub.isdigit() and len(sub) <= 8):
        return CLAIMS_WRONG_MEMBER
    if not CODE_LIFETIME_SECONDS <= expiry <= EXPIRES_AT_MAX or (expiry - CODE_LIFETIME_SECONDS) % SLOT_SECONDS:
        return CLAIMS_WRONG_TIME
    if _NONCE.fullmatch(nonce) is None:
        return CLAIMS_WRONG_NONCE
    member_number = int(sub)
    # Our issuer has one way to write claims. Other forms that a parser might accept (a duplicate member, white space,
    # leading zeros, escapes) is refused by this one comparison.
    if raw != _claims_json(str(member_number), expiry, nonce):
        return CLAIMS_WRONG_SPELLING
    slot = (expiry - CODE_LIFETIME_SECONDS) // SLOT_SECONDS
    return CodeClaim(CodeForm.JWT, member_number, slot, nonce, expiry, standing_of(slot, now))
