"""The 18 digits: how valid ones differ from everything else that a scanner reads."""

import itertools

import pytest

from tokens.claims import Refused
from tokens.digits import (
    NOT_OURS,
    OLDER_SLOTS_MAX,
    WRONG_CHECK_DIGIT,
    WRONG_COUNT,
    WRONG_PREFIX,
    check_digit,
    derive_digits_key,
    read_digits,
    write_digits,
)

KEY = derive_digits_key(b"\x01" * 32, "dev-1")
OTHER_KEY = derive_digits_key(b"\x02" * 32, "dev-2")
SLOT = 900_000_000
KNOWN = "919151454075738368"


def test_the_digits_of_a_known_key_never_change() -> None:
    assert write_digits(KEY, 12_345_678, SLOT) == write_digits(KEY, 12_345_678, SLOT)
    assert write_digits(KEY, 12_345_678, SLOT) == KNOWN


@pytest.mark.parametrize("member", [0, 1, 63, 64, 99_999_999])
@pytest.mark.parametrize("slot", [0, 1, 15, 63, 64, SLOT])
def test_every_slot_of_the_window_is_found_again(member: int, slot: int) -> None:
    text = write_digits(KEY, member, slot)
    assert len(text) == 18
    assert text[0] == "9"
    for now_slot in (slot, slot + 15, max(0, slot - 48)):
        assert read_digits(text, (KEY,), now_slot) == (member, slot)


def test_an_old_code_is_recognised_for_an_hour_and_forged_after_it() -> None:
    text = write_digits(KEY, 7, SLOT)
    for age in (16, 63, 64, 65, 500, OLDER_SLOTS_MAX):
        assert read_digits(text, (KEY,), SLOT + age) == (7, SLOT), age
    assert read_digits(text, (KEY,), SLOT + OLDER_SLOTS_MAX + 64) == NOT_OURS


def test_a_code_one_period_ahead_is_recognised_and_not_beyond() -> None:
    text = write_digits(KEY, 7, SLOT)
    assert read_digits(text, (KEY,), SLOT - 49) == (7, SLOT)
    assert read_digits(text, (KEY,), SLOT - 112) == (7, SLOT)
    assert read_digits(text, (KEY,), SLOT - 113) == NOT_OURS


def test_a_code_of_any_key_of_the_ring_is_read() -> None:
    for key in (KEY, OTHER_KEY):
        text = write_digits(key, 5, SLOT)
        assert read_digits(text, (KEY, OTHER_KEY), SLOT + 1000) == (5, SLOT)
    assert read_digits(write_digits(OTHER_KEY, 5, SLOT), (KEY,), SLOT) == NOT_OURS


def test_one_secret_under_two_key_ids_makes_two_keys() -> None:
    assert derive_digits_key(b"\x01" * 32, "dev-2") != KEY
    assert derive_digits_key(b"\x01" * 32, "live-1") != KEY


def test_wrong_count_prefix_and_check_digit_are_told_apart() -> None:
    assert read_digits(KNOWN[:-1], (KEY,), SLOT) == WRONG_COUNT
    assert read_digits(KNOWN + "0", (KEY,), SLOT) == WRONG_COUNT
    assert read_digits("", (KEY,), SLOT) == WRONG_COUNT
    assert read_digits("8" + KNOWN[1:], (KEY,), SLOT) == WRONG_PREFIX
    assert read_digits(KNOWN[:-1] + str((int(KNOWN[-1]) + 1) % 10), (KEY,), SLOT) == WRONG_CHECK_DIGIT


def test_every_wrong_digit_and_every_swap_of_neighbours_is_caught() -> None:
    for position, digit in itertools.product(range(18), "0123456789"):
        changed = KNOWN[:position] + digit + KNOWN[position + 1 :]
        if changed != KNOWN:
            assert read_digits(changed, (KEY,), SLOT) in (WRONG_PREFIX, WRONG_CHECK_DIGIT)
    for position in range(17):
        changed = KNOWN[:position] + KNOWN[position + 1] + KNOWN[position] + KNOWN[position + 2 :]
        if changed != KNOWN:
            assert read_digits(changed, (KEY,), SLOT) in (WRONG_PREFIX, WRONG_CHECK_DIGIT)


def test_a_changed_code_with_a_corrected_check_digit_is_forged() -> None:
    for position in range(1, 17):
        body = KNOWN[:position] + str((int(KNOWN[position]) + 1) % 10) + KNOWN[position + 1 : 17]
        answer = read_digits(f"{body}{check_digit(body)}", (KEY,), SLOT)
        assert isinstance(answer, Refused)
        assert answer == NOT_OURS


def test_the_check_digit_is_the_published_one() -> None:
    assert check_digit("572") == 4  # H. M. Damm, example of the published table
    assert check_digit("5724") == 0


def test_a_digits_key_shows_nothing_in_its_repr() -> None:
    assert repr(KEY) == "DigitsKey()"
