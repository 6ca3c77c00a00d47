"""The fast verification is held equal to `jwt.decode`.

For every text: what `CodeReader` accepts, `jwt.decode` accepts with the same claims (key and algorithm pinned by key
id, claims required). For every token in the form our issuer writes: what `jwt.decode` accepts, `CodeReader` accepts.
The stricter side is always ours; tokens/codec.py lists where. Hypothesis prints a blob that repeats a failure.
"""

import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

import jwt
import jwt.api_jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokens import base64url
from tokens.claims import EXPIRES_AT_MAX, CodeClaim, CodeForm, Refused, Standing, slot_at
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import KeyRing
from tokens.scanned import cleaned

NOW = 1_795_350_000.0  # any moment; the reference is made to read it too
RING = KeyRing.create("dev", "HS256").rotate("EdDSA", 0, 0).rotate("HS256", 0, 0).rotate("EdDSA", 0, 0)
READER = CodeReader(RING)
ISSUERS = (CodeIssuer(RING, "HS256", lambda: NOW), CodeIssuer(RING, "EdDSA", lambda: NOW))
KEYS = {
    key.kid: (key.algorithm, key.secret if key.algorithm == "HS256" else key.private_key().public_key())
    for key in RING.keys
}
CANONICAL_CLAIMS = re.compile(rb'\{"sub":"(0|[1-9][0-9]{0,7})","exp":([0-9]{2,13}),"jti":"[A-Za-z0-9_-]{8}"\}')
CANONICAL_HEADERS = {f'{{"alg":"{algorithm}","kid":"{kid}"}}'.encode() for kid, (algorithm, _) in KEYS.items()}


def reference(token: str, *, expiry: bool = False) -> dict[str, Any] | None:
    """The claims by PyJWT alone; None when it refuses."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str) or kid not in KEYS:
            return None
        algorithm, key = KEYS[kid]
        return jwt.decode(
            token, key, algorithms=[algorithm], options={"require": ["sub", "exp", "jti"], "verify_exp": expiry}
        )
    except (jwt.PyJWTError, UnicodeEncodeError):
        return None


def canonical(token: str) -> bool:
    """Whether header, claims and base64 are written as our issuer writes them."""
    parts = [base64url.decode(part) for part in token.split(".")]
    if len(parts) != 3 or parts[0] not in CANONICAL_HEADERS or parts[1] is None or parts[2] is None:
        return False
    found = CANONICAL_CLAIMS.fullmatch(parts[1])
    if found is None:
        return False
    expiry = int(found[2])
    return str(expiry).encode() == found[2] and 30 <= expiry <= EXPIRES_AT_MAX and expiry % 2 == 0


class _Clock(datetime):
    """PyJWT takes no clock; it is given one that stands where the reader's does."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Clock":
        return cls.fromtimestamp(NOW, tz)


@pytest.fixture(scope="module", autouse=True)
def the_reference_reads_the_same_clock() -> Iterator[None]:
    with mock.patch.object(jwt.api_jwt, "datetime", _Clock):
        yield


def held_equal(text: str) -> None:
    answer = READER.read(text, NOW)
    token = cleaned(text)
    if isinstance(answer, CodeClaim) and answer.form is CodeForm.JWT:
        claims = reference(token)
        assert claims == {"sub": str(answer.member_number), "exp": answer.expires_at, "jti": answer.nonce}
        assert canonical(token)
        expired = answer.standing is Standing.EXPIRED
        assert (reference(token, expiry=True) is None) is expired
    elif canonical(token) and len(text) <= 512:
        assert isinstance(answer, Refused)
        assert reference(token) is None


def sign(message: str, kid: str) -> str:
    key = next(key for key in RING.keys if key.kid == kid)
    if key.algorithm == "HS256":
        return base64url.encode(hmac.digest(key.secret, message.encode(), hashlib.sha256))
    return base64url.encode(key.private_key().sign(message.encode()))


def token_of(header: bytes, claims: bytes, kid: str) -> str:
    message = f"{base64url.encode(header)}.{base64url.encode(claims)}"
    return f"{message}.{sign(message, kid)}"


# Slots well away from this moment on both sides, and just ahead of it.
AWAY = st.one_of(
    st.integers(0, slot_at(NOW) - 1_000),
    st.integers(slot_at(NOW) + 1_000, 2**38),
    st.integers(0, 40).map(lambda n: slot_at(NOW) + n + 150),
)
CODES = st.builds(
    lambda issuer, member, slot: issuer.issue(member, slot).code,
    st.sampled_from(ISSUERS),
    st.integers(0, 99_999_999),
    AWAY,
)
KIDS = st.sampled_from(sorted(KEYS))


@settings(print_blob=True, max_examples=300, deadline=None)
@given(code=CODES)
def test_valid_codes_are_accepted_by_both(code: str) -> None:
    assert isinstance(READER.read(code, NOW), CodeClaim)
    assert reference(code) is not None
    held_equal(code)


@settings(print_blob=True, max_examples=1_500, deadline=None)
@given(code=CODES, data=st.data())
def test_random_mutations_of_valid_codes(code: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(code)))
        character = data.draw(st.one_of(st.sampled_from("AQgw.=-_+/ 0{\x00é"), st.characters()))
        kind = data.draw(st.sampled_from(("replace", "insert", "delete", "cut", "double")))
        if kind == "replace":
            code = code[:at] + character + code[at + 1 :]
        elif kind == "insert":
            code = code[:at] + character + code[at:]
        elif kind == "delete":
            code = code[:at] + code[at + 1 :]
        elif kind == "cut":
            code = code[:at]
        else:
            code = code[:at] + code
    held_equal(code)


@settings(print_blob=True, max_examples=500, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=300), st.from_regex(r"[A-Za-z0-9_=-]*\.[A-Za-z0-9_=-]*\.[A-Za-z0-9_=-]*", fullmatch=True)
    )
)
@example("\ud800")
@example("..")
def test_arbitrary_text(text: str) -> None:
    held_equal(text)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@settings(print_blob=True, max_examples=800, deadline=None)
@given(kid=KIDS, code=CODES, data=st.data())
def test_rightly_signed_tokens_with_other_headers(kid: str, code: str, data: st.DataObject) -> None:
    algorithm = KEYS[kid][0]
    members = {
        "alg": data.draw(st.sampled_from((algorithm, algorithm, "HS256", "EdDSA", "none", "HS512"))),
        "kid": data.draw(st.sampled_from((kid, kid, "dev-1", "dev-2", "dev-9", "../dev-1"))),
    } | data.draw(st.dictionaries(st.sampled_from(("typ", "jwk", "crit", "b64", "x5u", "zip")), JSON, max_size=2))
    order = data.draw(st.permutations(list(members.items())))
    separators = data.draw(st.sampled_from(((",", ":"), (", ", ": "))))
    header = json.dumps(dict(order), separators=separators).encode()
    claims = base64url.decode(code.split(".")[1])
    assert claims is not None
    held_equal(token_of(header, claims, kid))


@settings(print_blob=True, max_examples=1_200, deadline=None)
@given(kid=KIDS, data=st.data())
def test_rightly_signed_tokens_with_any_claims(kid: str, data: st.DataObject) -> None:
    members: dict[str, Any] = {
        "sub": data.draw(st.one_of(st.integers(-1, 10**9).map(str), JSON)),
        "exp": data.draw(st.one_of(AWAY.map(lambda slot: slot * 2 + 30), AWAY, JSON)),
        "jti": data.draw(st.one_of(st.from_regex(r"[A-Za-z0-9_-]{7,9}", fullmatch=True), JSON)),
    }
    if data.draw(st.integers(0, 4)) == 0:
        del members[data.draw(st.sampled_from(("sub", "exp", "jti")))]
    if data.draw(st.integers(0, 4)) == 0:
        members[data.draw(st.text(max_size=4))] = data.draw(JSON)
    separators = data.draw(st.sampled_from(((",", ":"), (",", ":"), (", ", ":"))))
    claims = json.dumps(members, separators=separators, ensure_ascii=data.draw(st.booleans()))
    header = f'{{"alg":"{KEYS[kid][0]}","kid":"{kid}"}}'.encode()
    held_equal(token_of(header, claims.encode("utf-8", "surrogatepass"), kid))


@settings(print_blob=True, max_examples=300, deadline=None)
@given(kid=KIDS, claims=st.binary(max_size=80))
def test_rightly_signed_tokens_over_any_bytes(kid: str, claims: bytes) -> None:
    held_equal(token_of(f'{{"alg":"{KEYS[kid][0]}","kid":"{kid}"}}'.encode(), claims, kid))


@settings(print_blob=True, max_examples=300, deadline=None)
@given(
    kid=KIDS,
    member=st.integers(0, 99_999_999),
    slot=AWAY,
    nonce=st.from_regex(r"[A-Za-z0-9_-]{8}", fullmatch=True),
)
def test_what_pyjwt_accepts_in_the_canonical_form_is_accepted(kid: str, member: int, slot: int, nonce: str) -> None:
    claims = f'{{"sub":"{member}","exp":{slot * 2 + 30},"jti":"{nonce}"}}'.encode()
    token = token_of(f'{{"alg":"{KEYS[kid][0]}","kid":"{kid}"}}'.encode(), claims, kid)
    assert canonical(token)
    assert reference(token) is not None
    assert isinstance(READER.read(token, NOW), CodeClaim)
    held_equal(token)


@settings(print_blob=True, max_examples=100, deadline=None)
@given(code=CODES)
def test_every_spelling_of_base64_but_one_is_refused(code: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    segments = code.split(".")
    for number, padding in itertools.product(range(3), ("=", "==", "===", "\n", " ")):
        changed = [*segments]
        changed[number] += padding
        text = ".".join(changed)
        held_equal(text)
        if cleaned(text) != code:
            assert isinstance(READER.read(text, NOW), Refused)
    for last in alphabet:
        text = code[:-1] + last
        held_equal(text)
        assert isinstance(READER.read(text, NOW), CodeClaim) is (text == code)
        # The same with a right signature over the changed spelling of the claims.
        message = f"{segments[0]}.{segments[1][:-1]}{last}"
        kid = json.loads(base64url.decode(segments[0]) or b"")["kid"]
        held_equal(f"{message}.{sign(message, kid)}")


@settings(print_blob=True, max_examples=500)
@given(data=st.binary(max_size=100), text=st.text(max_size=40))
def test_base64url_is_canonical(data: bytes, text: str) -> None:
    assert base64url.decode(base64url.encode(data)) == data
    decoded = base64url.decode(text)
    assert decoded is None or base64url.encode(decoded) == text
