"""Member identifiers and the bucket a member lives in.

A member is a number below `MEMBER_NUMBERS`; the public id is `mem_` and seven characters of Crockford's base 32. Both
ways are pure arithmetic, so that neither an 18-digit code nor an id costs a look-up to find the member's bucket.
"""

from redemption.domain.limits import MEMBER_NUMBERS

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's alphabet has no i, l, o, u
MEMBER_PREFIX = "mem_"
_LENGTH = 7
_VALUES = {character: value for value, character in enumerate(ALPHABET)}

assert 32**_LENGTH >= MEMBER_NUMBERS


def base32(number: int, length: int) -> str:
    """Return `number` as exactly `length` characters, most significant first. The number must fit."""
    characters = []
    for _ in range(length):
        characters.append(ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(characters))


def from_base32(characters: str) -> int | None:
    """Return the number that `base32` wrote; None for a text with other characters. The caller bounds the length."""
    number = 0
    for character in characters:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number << 5 | value
    return number


_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def member_id(number: int) -> str:
    """Return the public id of a member number: `member_id(1)` is `mem_0000001`."""
    # Every scan asks, so two characters are looked up at a time. Written for speed (`python -m tests.measure_path`).
    last, middle, first = _PAIRS[number & 1023], _PAIRS[number >> 10 & 1023], _PAIRS[number >> 20 & 1023]
    return f"{MEMBER_PREFIX}{ALPHABET[number >> 30]}{first}{middle}{last}"


def member_number(identifier: str) -> int | None:
    """Return the number behind a public id; None for a text that is not a member id."""
    if len(identifier) != len(MEMBER_PREFIX) + _LENGTH or not identifier.startswith(MEMBER_PREFIX):
        return None
    number = from_base32(identifier[len(MEMBER_PREFIX) :])
    return number if number is not None and number < MEMBER_NUMBERS else None


def bucket_of(number: int, buckets: int) -> int:
    """Return the bucket of a member, 0 … buckets-1.

    It depends on the number alone, so it never moves once `buckets` is fixed.
    """
    return number % buckets
