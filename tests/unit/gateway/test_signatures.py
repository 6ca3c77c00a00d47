"""Signed requests against the test vectors of RFC 9421, appendix B, and at the edges of what a till may sign.

The vectors cover components that a till of ours need not cover (and fewer than it must), so they are held against the
verifier and its view of a request; `verify_signature` refuses them all, for that reason.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from http_message_signatures import InvalidSignature
from starlette.types import Scope

from gateway.auth.signatures import (
    CLOCK_AHEAD_SECONDS,
    SIGNATURE_SECONDS,
    SignatureRefused,
    _Message,
    _Verifier,
    verify_signature,
)
from redemption.credentials import SignatureKey
from tests.support.api.signing import Signer

CREATED = 1_618_884_473
BODY = b'{"hello": "world"}'
# Appendix B.1.4 (test-key-ed25519) and B.1.5 (test-shared-secret).
PRIVATE_KEY = base64.b64decode("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")
PUBLIC_KEY = base64.b64decode("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")[-32:]
SHARED_SECRET = base64.b64decode(
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
)


@dataclass(frozen=True)
class Vector:
    """One of appendix B.2."""

    key: SignatureKey
    key_id: str
    label: str
    parameters: str
    signature: str
    base: str

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"signature-input", f"{self.label}={self.parameters}".encode()),
            (b"signature", f"{self.label}=:{self.signature}:".encode()),
        ]


B_2_5 = Vector(
    SignatureKey("hmac-sha256", SHARED_SECRET),
    "test-shared-secret",
    "sig-b25",
    '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
    '"@authority": example.com\n'
    '"content-type": application/json\n'
    '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
)
B_2_6 = Vector(
    SignatureKey("ed25519", PUBLIC_KEY),
    "test-key-ed25519",
    "sig-b26",
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"',
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
    '"@method": POST\n'
    '"@path": /foo\n'
    '"@authority": example.com\n'
    '"content-type": application/json\n'
    '"content-length": 18\n'
    '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"',
)
VECTORS = {"B.2.5 hmac-sha256": B_2_5, "B.2.6 ed25519": B_2_6}


def request_of(*more: tuple[bytes, bytes], path: str = "/foo", query: bytes = b"param=Value&Pet=dog") -> Scope:
    """The test request of appendix B.2."""
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [
            (b"host", b"example.com"),
            (b"date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
            (b"content-type", b"application/json"),
            (
                b"content-digest",
                b"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            ),
            (b"content-length", b"18"),
            *more,
        ],
    }


class AtExample(_Message):
    """The request at the host of the RFC: ours covers no host, and names one that is none."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.url = self.url.replace("tong.invalid", "example.com")


def verified(vector: Vector, scope: Scope, key: SignatureKey | None = None) -> None:
    verifier = _Verifier(vector.key_id, key or vector.key, lambda: float(CREATED + 10))
    verifier.verify(AtExample(scope), max_age=None, require_components=["date"])


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_of_the_rfc_verifies(name: str) -> None:
    verified(VECTORS[name], request_of(*VECTORS[name].headers()))


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_of_the_rfc_over_another_request_or_with_another_key_does_not(name: str) -> None:
    vector = VECTORS[name]
    scope = request_of(*vector.headers())
    spoilt = dict(scope)
    spoilt["headers"] = [(key, value.replace(b"07:55", b"07:56")) for key, value in scope["headers"]]
    with pytest.raises(InvalidSignature):
        verified(vector, spoilt)
    other = {"ed25519": Signer("", Ed25519PrivateKey.generate()).public_key, "hmac-sha256": bytes(64)}
    with pytest.raises(InvalidSignature):
        verified(vector, scope, SignatureKey(vector.key.algorithm, other[vector.key.algorithm]))


@pytest.mark.parametrize("name", VECTORS)
def test_the_base_of_a_vector_is_the_rfcs_and_so_are_the_signatures_of_the_tests_own_till(name: str) -> None:
    vector = VECTORS[name]
    assert vector.base.endswith(f'"@signature-params": {vector.parameters}')
    if vector.key.algorithm == "ed25519":
        private = load_der_private_key(PRIVATE_KEY, None)
        assert isinstance(private, Ed25519PrivateKey)
        made = private.sign(vector.base.encode())
    else:
        made = hmac.digest(SHARED_SECRET, vector.base.encode(), "sha256")
    assert base64.b64encode(made).decode() == vector.signature


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_covers_less_than_a_request_of_ours_must(name: str) -> None:
    vector = VECTORS[name]
    with pytest.raises(SignatureRefused, match="covers"):
        verify_signature(request_of(*vector.headers()), BODY, vector.key_id, vector.key, lambda: float(CREATED))


SECRET = bytes(range(32))


def signed(parameters: str, *, body: bytes = BODY, digest: str | None = None) -> Scope:
    """A scan by hmac-sha256 that is right but for what stands behind the list of its components."""
    told = digest or f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    covered = f'("@method" "@path" "content-digest" "idempotency-key"){parameters}'
    base = (
        f'"@method": POST\n"@path": /v1/verify\n"content-digest": {told}\n"idempotency-key": k\n'
        f'"@signature-params": {covered}'
    )
    made = base64.b64encode(hmac.digest(SECRET, base.encode(), "sha256")).decode()
    scope = request_of(path="/v1/verify", query=b"")
    scope["headers"] = [
        (b"content-digest", told.encode()),
        (b"idempotency-key", b"k"),
        (b"signature-input", f"till={covered}".encode()),
        (b"signature", f"till=:{made}:".encode()),
    ]
    return scope


def checked(scope: Scope, *, body: bytes = BODY, key: bytes = SECRET, algorithm: str = "hmac-sha256") -> None:
    verify_signature(scope, body, "till-1", SignatureKey(algorithm, key), lambda: float(CREATED))


@pytest.mark.parametrize(
    "parameters",
    [
        f';created={CREATED};keyid="till-1"',
        f';created={CREATED};expires={CREATED};keyid="till-1"',
        f';created={CREATED - SIGNATURE_SECONDS};keyid="till-1";nonce="n"',
        f';created={CREATED + CLOCK_AHEAD_SECONDS};keyid="till-1";alg="hmac-sha256"',
    ],
)
def test_a_signature_is_taken_up_to_the_edge_of_its_time(parameters: str) -> None:
    checked(signed(parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        f';created={CREATED - SIGNATURE_SECONDS - 1};keyid="till-1"',
        f';created={CREATED + CLOCK_AHEAD_SECONDS + 1};keyid="till-1"',
        f';created={CREATED};expires={CREATED - 1};keyid="till-1"',
        f';created={CREATED};expires="never";keyid="till-1"',
        f';created="{CREATED}";keyid="till-1"',
        f';created={CREATED}.5;keyid="till-1"',
        ';keyid="till-1"',
        f";created={CREATED}",
        f';created={CREATED};keyid="till-2"',
        f';created={CREATED};keyid="till-1";alg="ed25519"',
        f';created={CREATED};keyid="till-1";alg="none"',
    ],
)
def test_a_signature_with_these_parameters_is_refused(parameters: str) -> None:
    with pytest.raises(SignatureRefused):
        checked(signed(parameters))


GOOD = f';created={CREATED};keyid="till-1"'


def test_a_digest_that_is_signed_and_is_not_the_bodys_is_refused() -> None:
    with pytest.raises(SignatureRefused):
        checked(signed(GOOD), body=BODY + b" ")
    for digest in ("md5=:AAAA:", "sha-256=:AAAA:", "sha-256=AAAA", ""):
        with pytest.raises(SignatureRefused):
            checked(signed(GOOD, digest=digest or "unknown=:AAAA:"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_or_kind_refuses_and_is_no_fault(length: int) -> None:
    for algorithm in ("hmac-sha256", "ed25519"):
        with pytest.raises(SignatureRefused):
            checked(signed(GOOD), key=bytes(length), algorithm=algorithm)
