"""What scanners, keyboards and input methods put around a code is taken off, and nothing else: no two codes become one.

Hypothesis prints a blob that repeats a failure.
"""

import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from tokens.claims import CodeClaim, Refused, slot_at
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import KeyRing
from tokens.offline import derive_device_key, step_at, write_offline
from tokens.scanned import cleaned

NOW = 1_795_350_000.0
SLOT = slot_at(NOW)
RING = KeyRing.create("dev", "HS256").rotate("EdDSA", 0, 0)
READER = CodeReader(RING)
ISSUERS = (CodeIssuer(RING, "HS256", lambda: NOW), CodeIssuer(RING, "EdDSA", lambda: NOW))
SECRET = RING.keys[0].digits_secret

MEMBERS = st.integers(0, 99_999_999)
ISSUED = st.builds(
    lambda issuer, member, ahead: issuer.issue(member, SLOT + ahead),
    st.sampled_from(ISSUERS),
    MEMBERS,
    st.integers(0, 40),
)


def _offline(member: int, device: int) -> str:
    key = derive_device_key(SECRET, "dev-1", member, device)
    return write_offline(f"o1.dev-1.{member}.{device}.", key, step_at(NOW))


DIGITS = ISSUED.map(lambda issued: issued.digits)
CODES = st.one_of(
    ISSUED.map(lambda issued: issued.code), DIGITS, st.builds(_offline, MEMBERS, st.integers(1, 2**35 - 1))
)
BLANKS = "".join(chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Zs", "Zl", "Zp"))
CONTROLS = "\t\n\v\f\r\x01\x02\x03\x04\x1c\x1d\x1e\x1f\x85"
ZERO_WIDTH = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202e\ufeff"
UNSEEN = CONTROLS + ZERO_WIDTH + BLANKS
DASHES = "".join(chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Pd") + "\u2212\u30fc"
AROUND = st.text(st.sampled_from(UNSEEN), max_size=6)
AIM = st.one_of(st.just(""), st.from_regex(r"\A\][A-Za-z][0-9A-Za-z]\Z"))
SEPARATORS = st.text(st.sampled_from(UNSEEN + DASHES), max_size=2)


@given(CODES, AROUND, AIM, AROUND, AROUND)
def test_what_stands_around_a_code_is_taken_off(code: str, before: str, aim: str, between: str, behind: str) -> None:
    assert cleaned(code) == code, "a code as issued stays as it is"
    sent = f"{before}{aim}{between}{code}{behind}"
    assert cleaned(sent) == code
    assert isinstance(READER.read(code, NOW), CodeClaim)
    assert READER.read(sent, NOW) == READER.read(code, NOW)


@given(DIGITS, st.lists(SEPARATORS, min_size=18, max_size=18), st.lists(st.booleans(), min_size=18, max_size=18), AIM)
def test_digits_in_groups_and_in_full_width_are_read(
    digits: str, groups: list[str], wide: list[bool], aim: str
) -> None:
    written = [chr(ord(digit) + 0xFEE0) if is_wide else digit for digit, is_wide in zip(digits, wide, strict=True)]
    sent = aim + "".join(gap + digit for gap, digit in zip(groups, written, strict=True))
    assume(len(sent) <= 72)
    assert READER.read(sent, NOW) == READER.read(digits, NOW)


@given(CODES, CODES)
def test_two_codes_never_become_one(one: str, other: str) -> None:
    assume(one != other)
    assert cleaned(one) != cleaned(other)


@given(CODES, st.data())
def test_a_wrong_character_within_a_code_stays_wrong(code: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(code) - 1))
    wrong = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda found: found != code[at]))
    assume(not code.isdigit() or cleaned(wrong * 18) != code[at] * 18)  # a full-width digit of the same value
    spoilt = code[:at] + wrong + code[at + 1 :]
    found = READER.read(spoilt, NOW)
    assert isinstance(found, Refused) or found != READER.read(code, NOW)


@given(CODES.filter(lambda code: not code.isdigit()), st.data())
def test_nothing_is_taken_out_of_the_middle_of_a_code_that_is_no_digits(code: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(code) - 1))
    more = data.draw(st.sampled_from(UNSEEN + DASHES.replace("-", "")))
    assert isinstance(READER.read(code[:at] + more + code[at:], NOW), Refused)


@given(st.text(max_size=100))
def test_cleaning_is_done_once_and_only_takes_away(text: str) -> None:
    found = cleaned(text)
    assert len(found) <= len(text)
    assert cleaned(found) == found or found.startswith("]"), "one identifier is taken off, a second one stays"
