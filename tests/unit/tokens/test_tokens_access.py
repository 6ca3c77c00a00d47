"""Members' access tokens: what is accepted, and how the keys of the issuer are had."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tokens import access, base64url
from tokens.access import AccessRefused, AccessTokenVerifier, MemberAccess
from tokens.errors import KeySourceAway

ISSUER, AUDIENCE = "https://identity.example", "tong"
ED = Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 (weak is meant)


def jwk(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    algorithm = {Ed25519PrivateKey: OKPAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    kind: Any = next((value for base, value in algorithm.items() if isinstance(key, base)), RSAAlgorithm)
    document: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    document.pop("key_ops", None)
    return document | {"kid": kid} | more


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A key source in memory that counts, and can fail or hang."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.document = json.dumps({"keys": keys}).encode()
        self.fetched = 0
        self.fails = False
        self.gate: asyncio.Event | None = None
        self.started = asyncio.Event()

    async def fetch(self) -> bytes:
        self.fetched += 1
        if self.gate is not None:
            self.started.set()
            await self.gate.wait()
        if self.fails:
            raise KeySourceAway("the identity provider is away")
        return self.document


CLOCK = Clock()
ALL_KEYS = (jwk("ed", ED), jwk("ec", EC), jwk("rsa", RSA))


def verifier(
    source: access.KeySource, clock: Clock = CLOCK, algorithms: str = "EdDSA ES256 RS256"
) -> AccessTokenVerifier:
    return AccessTokenVerifier(
        issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms.split(), source=source, clock=clock
    )


def claims(**changes: object) -> dict[str, Any]:
    now = int(CLOCK.now)
    full = {"iss": ISSUER, "aud": AUDIENCE, "sub": "mem_0000001", "iat": now, "exp": now + 600} | changes
    return {name: value for name, value in full.items() if value is not ...}


def token(key: Any = ED, algorithm: str = "EdDSA", kid: Any = "ed", **changes: Any) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


def raw_token(payload: str) -> str:
    head = base64url.encode(b'{"alg":"EdDSA","kid":"ed"}')
    message = f"{head}.{base64url.encode(payload.encode())}"
    return f"{message}.{base64url.encode(ED.sign(message.encode()))}"


async def refusal(text: str) -> AccessRefused:
    answer = await verifier(Source(*ALL_KEYS)).verify(text)
    assert isinstance(answer, AccessRefused), answer
    return answer


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(ED, "EdDSA", "ed"), (EC, "ES256", "ec"), (RSA, "RS256", "rsa")])
async def test_a_right_token_is_accepted_for_each_kind_of_key(key: Any, algorithm: str, kid: str) -> None:
    answer = await verifier(Source(*ALL_KEYS)).verify(token(key, algorithm, kid))
    assert answer == MemberAccess("mem_0000001", CLOCK.now + 600)


async def test_a_list_of_audiences_with_ours_is_accepted() -> None:
    answer = await verifier(Source(*ALL_KEYS)).verify(token(aud=["other", AUDIENCE]))
    assert isinstance(answer, MemberAccess)


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "iss", "aud"])
async def test_a_missing_claim_is_refused(name: str) -> None:
    absent: dict[str, Any] = {name: ...}
    assert await refusal(token(**absent)) == access.CLAIM_MISSING


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": CLOCK.now - 5}, access.EXPIRED),
        ({"exp": 0}, access.EXPIRED),
        ({"iat": CLOCK.now + 6}, access.NOT_YET),
        ({"nbf": CLOCK.now + 6}, access.NOT_YET),
        ({"iss": "https://evil.example"}, access.ISSUER_WRONG),
        ({"aud": "other"}, access.AUDIENCE_WRONG),
        ({"aud": []}, access.CLAIM_MISSING),
        ({"aud": 7}, access.AUDIENCE_WRONG),
        ({"sub": ""}, access.CLAIM_WRONG),
        ({"sub": "x" * 129}, access.CLAIM_WRONG),
        ({"sub": "mem\x00"}, access.CLAIM_WRONG),
        ({"sub": "\ud800"}, access.CLAIM_WRONG),
        ({"exp": True}, access.CLAIM_WRONG),
        ({"exp": "9999999999"}, access.CLAIM_WRONG),
        ({"exp": [1]}, access.CLAIM_WRONG),
        ({"exp": float("nan")}, access.CLAIM_WRONG),
        ({"exp": float("inf")}, access.CLAIM_WRONG),
        ({"exp": 10**400}, access.CLAIM_WRONG),
        ({"exp": -1}, access.CLAIM_WRONG),
        ({"iat": {}}, access.CLAIM_WRONG),
        ({"nbf": "x"}, access.CLAIM_WRONG),
        ({"nbf": None}, access.CLAIM_WRONG),
    ],
)
async def test_a_wrong_claim_is_refused_with_its_reason(changes: dict[str, Any], expected: AccessRefused) -> None:
    assert await refusal(token(**changes)) == expected


@pytest.mark.parametrize(
    "payload", ['{"sub":7}', "[]", "null", "{", "[" * 3000, '{"exp":' + "9" * 5000 + "}", '{"sub":"\\ud800"}']
)
async def test_a_rightly_signed_oddity_is_refused(payload: str) -> None:
    assert isinstance(await refusal(raw_token(payload)), AccessRefused)


async def test_a_subject_that_is_no_string_is_refused() -> None:
    full = claims() | {"sub": 7}
    assert await refusal(raw_token(json.dumps(full))) == access.CLAIM_WRONG


async def test_five_seconds_of_leeway_are_given_and_not_more() -> None:
    checker = verifier(Source(*ALL_KEYS))
    assert isinstance(await checker.verify(token(exp=CLOCK.now - 4)), MemberAccess)
    assert isinstance(await checker.verify(token(iat=CLOCK.now + 5, nbf=CLOCK.now + 5)), MemberAccess)
    assert await checker.verify(token(exp=CLOCK.now - 5)) == access.EXPIRED


async def test_none_and_symmetric_algorithms_are_refused() -> None:
    assert isinstance(await refusal(jwt.encode(claims(), "", "none", headers={"kid": "ed"})), AccessRefused)
    public = EC.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for kid, secret in (("ec", pem), ("ed", ED.public_key().public_bytes_raw())):
        head = base64url.encode(json.dumps({"alg": "HS256", "kid": kid}).encode())
        message = f"{head}.{base64url.encode(json.dumps(claims()).encode())}"
        forged = f"{message}.{base64url.encode(hmac.digest(secret, message.encode(), hashlib.sha256))}"
        assert await refusal(forged) == access.ALGORITHM_WRONG
    with pytest.raises(ValueError, match="member algorithms"):
        verifier(Source(), algorithms="HS256")
    for name in ("none", "RS256 none", ""):
        with pytest.raises(ValueError, match="member algorithms"):
            verifier(Source(), algorithms=name)


async def test_the_algorithm_is_the_keys_own_even_where_the_token_names_another_allowed_one() -> None:
    assert await refusal(token(RSA, "PS256", "rsa")) == access.ALGORITHM_WRONG
    assert await refusal(token(EC, "ES256", "rsa")) == access.ALGORITHM_WRONG
    assert await refusal(token(Ed25519PrivateKey.generate())) == access.SIGNATURE_WRONG


async def test_an_embedded_key_is_never_used() -> None:
    evil = Ed25519PrivateKey.generate()
    forged = jwt.encode(claims(), evil, "EdDSA", headers={"kid": "ed", "jwk": jwk("ed", evil)})
    assert await refusal(forged) == access.SIGNATURE_WRONG
    assert await refusal(token(evil, kid="../../etc/passwd")) == access.KEY_UNKNOWN
    assert await refusal(token(kid=None)) == access.NO_KEY_ID


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "\x00", "你好", "\ud800", "x" * 10_000_000, "[" * 8000, "9" * 18]
)
async def test_other_text_is_no_token(text: str) -> None:
    assert await refusal(text) == access.NOT_A_TOKEN


async def test_keys_that_must_not_verify_are_passed_over() -> None:
    secret = base64url.encode(b"s" * 32)
    source = Source(
        {"kty": "oct", "k": secret, "kid": "oct", "alg": "HS256"},
        {"kty": "oct", "k": secret, "kid": "none", "alg": "none"},
        jwk("lies", RSA, alg="HS256"),
        jwk("odd", RSA, alg=["RS256"]),
        jwk("encrypts", RSA, use="enc"),
        jwk("weak", WEAK_RSA),
        jwk("private", ED, d=secret),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "new", "kid": "unknown"},
        jwk("right", ED),
    )
    checker = verifier(source)
    assert isinstance(await checker.verify(token(kid="right")), MemberAccess)
    assert set(checker._known_keys()) == {"right"}


async def test_an_unknown_key_id_fetches_the_keys_once_per_interval() -> None:
    clock = Clock()
    fresh = Ed25519PrivateKey.generate()
    source = Source(jwk("ed", ED))
    checker = verifier(source, clock)
    assert isinstance(await checker.verify(token()), MemberAccess)
    assert source.fetched == 1
    source.document = json.dumps({"keys": [jwk("ed", ED), jwk("new", fresh)]}).encode()
    rotated = token(fresh, kid="new")
    assert await checker.verify(rotated) == access.KEY_UNKNOWN
    clock.now += access.REFRESH_INTERVAL_SECONDS
    answers = await asyncio.gather(*(checker.verify(token(fresh, kid=f"k{number}")) for number in range(50)))
    assert set(answers) == {access.KEY_UNKNOWN}
    assert source.fetched == 2
    assert isinstance(await checker.verify(rotated), MemberAccess)
    assert source.fetched == 2


async def test_a_withdrawn_key_ends_with_the_next_key_set_also_for_cached_tokens() -> None:
    clock = Clock()
    source = Source(*ALL_KEYS)
    checker = verifier(source, clock)
    text = token(exp=CLOCK.now + 86_400)
    assert isinstance(await checker.verify(text), MemberAccess)
    source.document = json.dumps({"keys": [jwk("ec", EC)]}).encode()
    clock.now += access.KEYS_AGE_MAX_SECONDS + 1
    assert await checker.verify(text) == access.KEY_UNKNOWN


async def test_without_any_key_set_the_source_is_at_fault_and_with_one_the_old_goes_on() -> None:
    clock = Clock()
    source = Source(*ALL_KEYS)
    source.fails = True
    checker = verifier(source, clock)
    for _ in range(3):
        with pytest.raises(KeySourceAway, match="away"):
            await checker.verify(token())
    assert source.fetched == 1
    source.fails = False
    clock.now += access.REFRESH_INTERVAL_SECONDS
    assert isinstance(await checker.verify(token()), MemberAccess)
    assert checker.fault is None
    source.fails = True
    clock.now += access.KEYS_AGE_MAX_SECONDS + 1
    assert isinstance(await checker.verify(token(exp=clock.now + 60)), MemberAccess)
    assert checker.fault is not None


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[1,null]}', b"[" * 5000, b"\xff"]
)
async def test_a_document_without_usable_keys_is_a_fault(document: bytes) -> None:
    source = Source()
    source.document = document
    with pytest.raises(KeySourceAway):
        await verifier(source).verify(token())


async def test_a_key_id_that_is_given_twice_is_a_fault() -> None:
    with pytest.raises(KeySourceAway, match="twice"):
        await verifier(Source(jwk("ed", ED), jwk("ed", EC))).verify(token())


async def test_while_an_old_key_set_is_fetched_anew_the_others_go_on() -> None:
    clock = Clock()
    source = Source(*ALL_KEYS)
    checker = verifier(source, clock)
    await checker.refresh()
    clock.now += access.KEYS_AGE_MAX_SECONDS + 1
    text = token(exp=clock.now + 60)
    source.gate = asyncio.Event()
    first = asyncio.create_task(checker.verify(text))
    await asyncio.wait_for(source.started.wait(), 1)
    assert isinstance(await asyncio.wait_for(checker.verify(text), 1), MemberAccess)
    assert not first.done()
    source.gate.set()
    assert isinstance(await first, MemberAccess)


async def test_a_hanging_source_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "REFRESH_TIMEOUT_SECONDS", 0.05)
    source = Source(*ALL_KEYS)
    source.gate = asyncio.Event()
    with pytest.raises(KeySourceAway, match="too long"):
        await verifier(source).verify(token())


async def test_the_cache_is_bounded_and_never_outlives_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "CACHE_TOKENS_MAX", 3)
    clock = Clock()
    checker = verifier(Source(*ALL_KEYS), clock)
    texts = [token(sub=f"mem_{number}", exp=CLOCK.now + 20) for number in range(5)]
    for text in texts:
        assert isinstance(await checker.verify(text), MemberAccess)
        assert isinstance(await checker.verify(text), MemberAccess)
    assert len(checker._verified) == 3
    clock.now += 21
    assert isinstance(await checker.verify(texts[4]), MemberAccess)  # within the leeway, checked in full
    assert len(checker._verified) == 2
    clock.now += 4
    assert await checker.verify(texts[4]) == access.EXPIRED
    assert await checker.verify(texts[3]) == access.EXPIRED


async def test_a_changed_token_does_not_profit_from_the_cache() -> None:
    checker = verifier(Source(*ALL_KEYS))
    text = token()
    assert isinstance(await checker.verify(text), MemberAccess)
    assert await checker.verify(text[:-6] + "AAAAAA"[: 6 - 1] + "A") == access.SIGNATURE_WRONG
