"""Member codes as they are meant: issue, read, expiry, rotation."""

import json

import jwt
import pytest

from tokens import base64url
from tokens.claims import (
    SLOTS_AHEAD_MAX,
    CodeClaim,
    CodeForm,
    CodeRefusal,
    Refused,
    Standing,
    slot_at,
)
from tokens.codec import CodeIssuer, CodeReader
from tokens.errors import KeyRingUnusable
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


EXPIRY = SLOT * 2 + 30


def refused(text: str, reason: CodeRefusal, now: float = NOW) -> None:
    answer = READER.read(text, now)
    assert isinstance(answer, Refused), answer
    assert answer.reason is reason, answer
    assert answer.detail.endswith(".")
    assert len(answer.detail) < 120


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_issued_code_is_read_in_both_forms(algorithm: Algorithm) -> None:
    code = issuer(algorithm).issue(MEMBER, SLOT)
    read = READER.read(code.code, NOW)
    assert isinstance(read, CodeClaim)
    assert (read.form, read.member_number, read.slot, read.expires_at) == (CodeForm.JWT, MEMBER, SLOT, EXPIRY)
    assert read.standing is Standing.VALID
    assert len(read.nonce) == 8
    assert (code.expires_at, code.refresh_at) == (EXPIRY, EXPIRY - 10)
    digits = READER.read(code.digits, NOW)
    assert digits == CodeClaim(CodeForm.DIGITS, MEMBER, SLOT, "digits", EXPIRY, Standing.VALID)


def test_what_scanners_put_around_a_code_is_taken_off_and_nothing_else() -> None:
    code = issuer().issue(MEMBER, SLOT)
    for text in (code.code, code.digits):
        for sent in (f" \t\r\n{text}\r\n", f"]Q1{text}", f"\ufeff]d2{text}\x1d", f"{text}\u00a0"):
            assert READER.read(sent, NOW) == READER.read(text, NOW)
        for wrong in (f"{text}\x00", f"]Q1]Q1{text}", f"]{text}", f"{text}]Q1", f"{text[:9]}\x00{text[9:]}"):
            refused(wrong, CodeRefusal.MALFORMED)
    refused(f"{code.code[:9]} {code.code[9:]}", CodeRefusal.MALFORMED)


def test_digits_are_read_in_groups_with_hyphens_and_in_full_width() -> None:
    digits = issuer().issue(MEMBER, SLOT).digits
    groups = [digits[start : start + 3] for start in range(0, 18, 3)]
    wide = digits.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    for sent in (
        " ".join(groups),
        "-".join(groups),
        "\u3000".join(groups),
        wide,
        "]C0" + " ".join(groups),
        f"{wide}\n",
    ):
        assert READER.read(sent, NOW) == READER.read(digits, NOW), sent
    for wrong in (" ".join(groups[:-1]), ".".join(groups), digits.replace(digits[5], "\u0661"), f"{digits}-0"):
        refused(wrong, CodeRefusal.MALFORMED)


def test_an_hs256_code_has_at_most_160_characters() -> None:
    document = json.loads(KeyRing.create("longer", "HS256").to_json())
    document["keys"][0]["number"], document["next_number"] = 99, 100
    ring = KeyRing.from_json(json.dumps(document).encode())
    assert len(issuer("HS256", ring).issue(99_999_999, SLOT).code) <= 160
    with pytest.raises(KeyRingUnusable):
        ring.rotate("HS256", NOW)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_encoding_is_the_one_pyjwt_would_write(algorithm: Algorithm) -> None:
    ring = KeyRing.create("dev", algorithm)
    code = issuer(algorithm, ring).issue(MEMBER, SLOT).code
    key = ring.keys[0]
    claims = jwt.decode(code, options={"verify_signature": False})
    signing = key.secret if algorithm == "HS256" else key.private_key()
    assert jwt.encode(claims, signing, algorithm, headers={"kid": key.kid, "typ": ""}) == code


def test_a_code_is_good_until_its_expiry_and_genuine_after_it() -> None:
    code = issuer().issue(MEMBER, SLOT)
    for text in (code.code, code.digits):
        for now, standing in (
            (EXPIRY - 0.001, Standing.VALID),
            (EXPIRY, Standing.EXPIRED),
            (EXPIRY + 3000, Standing.EXPIRED),
        ):
            claim = READER.read(text, now)
            assert isinstance(claim, CodeClaim)
            assert claim.standing is standing


def test_a_code_fetched_ahead_is_good_and_one_further_ahead_is_not_yet() -> None:
    ahead = issuer().issue(MEMBER, SLOT + SLOTS_AHEAD_MAX)
    further = issuer().issue(MEMBER, SLOT + SLOTS_AHEAD_MAX + 1)
    for text in (ahead.code, ahead.digits):
        claim = READER.read(text, NOW)
        assert isinstance(claim, CodeClaim)
        assert claim.standing is Standing.VALID
    for text in (further.code, further.digits):
        claim = READER.read(text, NOW)
        assert isinstance(claim, CodeClaim)
        assert claim.standing is Standing.NOT_YET


def test_codes_of_an_old_key_are_read_until_it_is_retired() -> None:
    old = KeyRing.create("dev", "HS256")
    reader, maker = CodeReader(old), issuer("HS256", old)
    first = maker.issue(MEMBER, SLOT)
    rotated = old.rotate("HS256", NOW - 60)
    reader.use(rotated)
    maker.use(rotated)
    second = maker.issue(MEMBER, SLOT)
    assert base64url.decode(second.code.split(".")[0]) == b'{"alg":"HS256","kid":"dev-2"}'
    for text in (first.code, first.digits, second.code, second.digits):
        assert isinstance(reader.read(text, NOW), CodeClaim)
    reader.use(rotated.retire("dev-1", NOW))
    for text in (first.code, first.digits):
        answer = reader.read(text, NOW)
        assert isinstance(answer, Refused)
        assert answer.reason is CodeRefusal.FORGED
    for text in (second.code, second.digits):
        assert isinstance(reader.read(text, NOW), CodeClaim)


def test_a_new_key_signs_only_after_every_worker_has_had_time_to_load_it() -> None:
    ring = KeyRing.create("dev", "HS256").rotate("HS256", NOW)
    now = NOW
    maker = CodeIssuer(ring, "HS256", lambda: now)
    header = maker.issue(MEMBER, SLOT).code.split(".")[0]
    assert base64url.decode(header) == b'{"alg":"HS256","kid":"dev-1"}'
    now = NOW + 10
    header = maker.issue(MEMBER, SLOT).code.split(".")[0]
    assert base64url.decode(header) == b'{"alg":"HS256","kid":"dev-2"}'


def test_an_issuer_without_a_key_of_its_algorithm_is_a_fault_and_keeps_its_ring() -> None:
    with pytest.raises(KeyRingUnusable):
        issuer("EdDSA", HS_RING)
    maker = issuer("EdDSA")
    with pytest.raises(KeyRingUnusable):
        maker.use(HS_RING)
    assert isinstance(READER.read(maker.issue(MEMBER, SLOT).code, NOW), CodeClaim)


@pytest.mark.parametrize(("member", "slot"), [(-1, SLOT), (100_000_000, SLOT), (1, -1), (1, 2**41)])
def test_numbers_out_of_range_are_never_issued(member: int, slot: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        issuer().issue(member, slot)


def test_an_issued_code_shows_neither_form_in_its_repr() -> None:
    code = issuer().issue(MEMBER, SLOT)
    assert code.code not in repr(code)
    assert code.digits not in repr(code)
