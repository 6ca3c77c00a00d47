"""Attacks on member codes: each is refused, with the right reason and without an exception."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from tokens import base64url
from tokens.claims import (
    TEXT_CHARACTERS_MAX,
    CodeClaim,
    CodeRefusal,
    Refused,
    slot_at,
)
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import Algorithm, KeyRing

NOW = 1_795_000_000.5
SLOT = slot_at(NOW)
MEMBER = 12_345_678

HS_RING = KeyRing.create("dev", "HS256")
BOTH_RING = HS_RING.rotate("EdDSA", NOW, delay_seconds=0)
READER = CodeReader(BOTH_RING)
ALGORITHMS: tuple[Algorithm, ...] = ("HS256", "EdDSA")


def issuer(algorithm: Algorithm = "HS256", ring: KeyRing = BOTH_RING) -> CodeIssuer:
    return CodeIssuer(ring, algorithm, lambda: NOW)


def signed(header: str | bytes, claims: str | bytes, algorithm: Algorithm = "HS256") -> str:
    """A token with a right signature of the ring's key over any header and claims."""
    segments = [base64url.encode(part.encode() if isinstance(part, str) else part) for part in (header, claims)]
    return sign_segments(".".join(segments), algorithm)


def sign_segments(message: str, algorithm: Algorithm = "HS256") -> str:
    key = BOTH_RING.keys[0 if algorithm == "HS256" else 1]
    if algorithm == "HS256":
        signature = hmac.digest(key.secret, message.encode(), hashlib.sha256)
    else:
        signature = key.private_key().sign(message.encode())
    return f"{message}.{base64url.encode(signature)}"


HEADER = '{"alg":"HS256","kid":"dev-1"}'
EXPIRY = SLOT * 2 + 30
CLAIMS = f'{{"sub":"{MEMBER}","exp":{EXPIRY},"jti":"abcdEF-_"}}'


def refused(text: str, reason: CodeRefusal, now: float = NOW) -> None:
    answer = READER.read(text, now)
    assert isinstance(answer, Refused), answer
    assert answer.reason is reason, answer
    assert answer.detail.endswith(".")
    assert len(answer.detail) < 120


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("header", ['{{"alg":"{0}"}}', '{{"alg":"{0}","kid":"dev-1"}}', '{{"alg":"{0}","typ":"JWT"}}'])
def test_an_unsigned_code_is_forged(algorithm: str, header: str) -> None:
    head = base64url.encode(header.format(algorithm).encode())
    body = base64url.encode(CLAIMS.encode())
    signature = sign_segments(f"{head}.{body}").rpartition(".")[2]
    refused(f"{head}.{body}.", CodeRefusal.FORGED)
    refused(f"{head}.{body}.{signature}", CodeRefusal.FORGED)


def test_a_code_without_its_signature_is_forged() -> None:
    code = signed(HEADER, CLAIMS)
    assert isinstance(READER.read(code, NOW), CodeClaim)
    refused(code.rpartition(".")[0] + ".", CodeRefusal.FORGED)
    refused(code[:-4], CodeRefusal.FORGED)
    refused(code + "AAAA", CodeRefusal.FORGED)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "EdDSA", "RS256", "ES256", "hs256", ""])
def test_another_algorithm_than_the_keys_is_forged(algorithm: str) -> None:
    refused(signed(f'{{"alg":"{algorithm}","kid":"dev-1"}}', CLAIMS), CodeRefusal.FORGED)


def test_a_code_signed_by_hs256_with_the_public_key_is_forged() -> None:
    key = BOTH_RING.keys[1]
    private = key.private_key()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = private.public_key()
    jwk = key.public_jwk()
    assert jwk is not None
    for secret in (
        public.public_bytes_raw(),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        jwk["x"].encode(),
        json.dumps(jwk).encode(),
    ):
        for kid in ("dev-1", "dev-2"):
            message = ".".join(base64url.encode(part.encode()) for part in (f'{{"alg":"HS256","kid":"{kid}"}}', CLAIMS))
            tag = base64url.encode(hmac.digest(secret, message.encode(), "sha256"))
            refused(f"{message}.{tag}", CodeRefusal.FORGED)


@pytest.mark.parametrize(
    "kid",
    [
        "dev-2000",
        "test-1",
        "live-1",
        "",
        "../../../dev/null",
        "/etc/passwd",
        "dev-1\\u0000",
        "file:///x",
        "dev-1' OR '1",
    ],
)
def test_an_unknown_or_path_like_key_id_is_forged(kid: str) -> None:
    refused(signed(f'{{"alg":"HS256","kid":"{kid}"}}', CLAIMS), CodeRefusal.FORGED)


def test_a_code_of_another_environment_is_forged() -> None:
    other = KeyRing.create("live", "HS256")
    code = issuer("HS256", other).issue(MEMBER, SLOT)
    refused(code.code, CodeRefusal.FORGED)
    refused(code.digits, CodeRefusal.FORGED)


def test_a_code_of_another_ring_with_the_same_key_id_is_forged() -> None:
    code = issuer("HS256", KeyRing.create("dev", "HS256")).issue(MEMBER, SLOT)
    refused(code.code, CodeRefusal.FORGED)
    refused(code.digits, CodeRefusal.FORGED)


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "crit", "typ", "cty", "b64", "zip", "nonce"])
def test_a_header_with_further_members_is_forged_even_when_rightly_signed(member: str) -> None:
    values: dict[str, Any] = {"jwk": BOTH_RING.keys[1].public_jwk(), "crit": ["b64"], "b64": False}
    header = {"alg": "HS256", "kid": "dev-1", member: values.get(member, "https://evil.example/keys")}
    refused(signed(json.dumps(header, separators=(",", ":")), CLAIMS), CodeRefusal.FORGED)


def test_an_embedded_key_that_signed_the_code_is_forged() -> None:
    evil = KeyRing.create("dev", "EdDSA").keys[0]
    private = evil.private_key()
    code = jwt.encode(json.loads(CLAIMS), private, "EdDSA", headers={"kid": "dev-2", "jwk": evil.public_jwk()})
    assert len(code) <= TEXT_CHARACTERS_MAX
    refused(code, CodeRefusal.FORGED)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        "null",
        "[]",
        '"HS256"',
        "{}",
        '{"kid":"dev-1"}',
        '{"alg":null,"kid":"dev-1"}',
        '{"alg":["HS256"],"kid":"dev-1"}',
        '{"alg":"HS256","kid":1}',
        '{"alg":"HS256","kid":{"a":1}}',
        '{"alg":"HS256","kid":"dev-1"',
        '{"alg":NaN}',
        "[" * 200,
        '{"alg":' + "9" * 200 + "}",
        b"\xff\xfe{}",
        b"\x00" * 20,
        '{"kid":"dev-1","alg":"HS256"}',
        '{"alg": "HS256", "kid": "dev-1"}',
        '{"alg":"none","alg":"HS256","kid":"dev-1"}',
        '{"alg":"HS256","kid":"dev-9","kid":"dev-1"}',
        '{"alg":"HS256","kid":"\\u0064ev-1"}',
    ],
)
def test_a_header_that_our_issuer_never_writes_is_malformed_even_when_rightly_signed(header: str | bytes) -> None:
    refused(signed(header, CLAIMS), CodeRefusal.MALFORMED)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_payload_is_forged(algorithm: Algorithm) -> None:
    header, claims, signature = issuer(algorithm).issue(MEMBER, SLOT).code.split(".")
    raw = base64url.decode(claims)
    assert raw is not None
    for changed in (
        raw.replace(b"12345678", b"12345679"),
        raw.replace(str(EXPIRY).encode(), str(EXPIRY + 2).encode()),
        raw + b" ",
        b"{}",
        b"not json at all",
    ):
        refused(f"{header}.{base64url.encode(changed)}.{signature}", CodeRefusal.FORGED)


SUB, EXP, JTI = f'"sub":"{MEMBER}"', f'"exp":{EXPIRY}', '"jti":"abcdEF-_"'
WRONG_CLAIMS: list[str | bytes] = [
    "",
    "null",
    "[]",
    "{}",
    "{",
    f"{{{SUB},{EXP}}}",
    f"{{{SUB},{JTI}}}",
    f"{{{EXP},{JTI}}}",
    f'{{"sub":{MEMBER},{EXP},{JTI}}}',
    f'{{"sub":null,{EXP},{JTI}}}',
    f'{{"sub":["1"],{EXP},{JTI}}}',
    f'{{"sub":"",{EXP},{JTI}}}',
    f'{{"sub":"-1",{EXP},{JTI}}}',
    f'{{"sub":"007",{EXP},{JTI}}}',
    f'{{"sub":"1e3",{EXP},{JTI}}}',
    f'{{"sub":"100000000",{EXP},{JTI}}}',
    f'{{"sub":"１２",{EXP},{JTI}}}',
    f'{{"sub":"²",{EXP},{JTI}}}',
    f'{{"sub":"1\\u0000",{EXP},{JTI}}}',
    f'{{"sub":"mem_0000001",{EXP},{JTI}}}',
    f'{{"sub":"\\u0031",{EXP},{JTI}}}',
    f'{{{SUB},"exp":"{EXPIRY}",{JTI}}}',
    f'{{{SUB},"exp":{EXPIRY}.0,{JTI}}}',
    f'{{{SUB},"exp":{EXPIRY + 1},{JTI}}}',
    f'{{{SUB},"exp":null,{JTI}}}',
    f'{{{SUB},"exp":true,{JTI}}}',
    f'{{{SUB},"exp":-2,{JTI}}}',
    f'{{{SUB},"exp":0,{JTI}}}',
    f'{{{SUB},"exp":28,{JTI}}}',
    f'{{{SUB},"exp":NaN,{JTI}}}',
    f'{{{SUB},"exp":Infinity,{JTI}}}',
    f'{{{SUB},"exp":1e400,{JTI}}}',
    f'{{{SUB},"exp":1e10,{JTI}}}',
    f'{{{SUB},"exp":{2**53},{JTI}}}',
    f'{{{SUB},"exp":{2**64},{JTI}}}',
    f'{{{SUB},"exp":{"9" * 200},{JTI}}}',
    f'{{{SUB},{EXP},"jti":7}}',
    f'{{{SUB},{EXP},"jti":null}}',
    f'{{{SUB},{EXP},"jti":""}}',
    f'{{{SUB},{EXP},"jti":"digits"}}',
    f'{{{SUB},{EXP},"jti":"abcdEF-"}}',
    f'{{{SUB},{EXP},"jti":"abcdEF-_x"}}',
    f'{{{SUB},{EXP},"jti":"abcd/F+_"}}',
    f'{{{SUB},{EXP},"jti":"abcdEF\\u0000_"}}',
    f'{{{SUB},{EXP},"jti":"abcdEF-_","jti":"abcdEF-_"}}',
    f'{{"sub":"1",{SUB},{EXP},{JTI}}}',
    f'{{{SUB},"exp":1,{EXP},{JTI}}}',
    f'{{{SUB},{EXP},{JTI},"aud":"tong"}}',
    f'{{{SUB},{EXP},{JTI},"nbf":0}}',
    f"{{{EXP},{SUB},{JTI}}}",
    f"{{{SUB}, {EXP}, {JTI}}}",
    f"{{{SUB},{EXP},{JTI}}}\n",
    f"{{{SUB},{EXP},{JTI}}}\x00",
    '{"sub":' + "[" * 150,
    '{"a":' + '{"a":' * 40 + "1" + "}" * 41,
    b'{"sub":"\xff\xfe"}',
    b"\xef\xbb\xbf" + CLAIMS.encode(),
    CLAIMS.encode("utf-16"),
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS)
def test_wrong_claims_are_malformed_when_rightly_signed_and_forged_when_not(claims: str | bytes) -> None:
    right = signed(HEADER, claims)
    refused(right, CodeRefusal.MALFORMED)
    if claims:
        refused(right[:-5] + ("AAAAA" if right[-5:] != "AAAAA" else "BBBBA"), CodeRefusal.FORGED)


def test_the_spelling_that_the_wrong_claims_are_measured_by_is_right() -> None:
    assert isinstance(READER.read(signed(HEADER, f"{{{SUB},{EXP},{JTI}}}"), NOW), CodeClaim)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\x00",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d",
        "你好",
        "\ud800",
        "\ud800.\udfff.x",
        "https://example.com/?c=1",
        "9" * 17,
        "9" * 19,
        "123456789012345678",
        "９" * 17,
        "٣" * 18,
        "-12345678901234567",
        "9_2345678901234567",
        "A" * 10_000_000,
        " " * 10_000_000,
        "9" * 10_000_000,
        "." * 1_000_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_other_text_is_malformed(text: str) -> None:
    refused(text, CodeRefusal.MALFORMED)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_other_ways_to_write_the_same_bytes_in_base64_are_not_accepted(algorithm: Algorithm) -> None:
    header, claims, signature = issuer(algorithm).issue(MEMBER, SLOT).code.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]  # same bytes, unused bits set
    decoded = [base64.urlsafe_b64decode(text + "==") for text in (sibling, signature)]
    assert decoded[0] == decoded[1]
    refused(f"{header}.{claims}.{sibling}", CodeRefusal.MALFORMED)
    for padded in (
        f"{header}=.{claims}.{signature}",
        f"{header}.{claims}=.{signature}",
        f"{header}.{claims}.{signature}=",
    ):
        refused(padded, CodeRefusal.MALFORMED)
    refused(f"{header}.{claims}.{'+' + signature[1:]}", CodeRefusal.MALFORMED)
    refused(f"{header}.{claims[:4]}\n{claims[4:]}.{signature}", CodeRefusal.MALFORMED)


def test_claims_in_another_base64_spelling_are_malformed_even_when_rightly_signed() -> None:
    header, claims, _ = signed(HEADER, CLAIMS).split(".")
    assert len(claims) % 4
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = claims[:-1] + alphabet[alphabet.index(claims[-1]) + 1]
    refused(sign_segments(f"{header}.{sibling}"), CodeRefusal.MALFORMED)


def test_the_memory_of_a_reader_does_not_grow_with_unknown_headers() -> None:
    before = len(READER._by_header)
    for number in range(2000):
        READER.read(signed(f'{{"alg":"HS256","kid":"x-{number}"}}', CLAIMS), NOW)
    assert len(READER._by_header) == before
