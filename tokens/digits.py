"""A code as 18 digits, for 1D scanners, tiny symbols and typing by hand.

    "9" + 16 digits + check digit (Damm)
    the 16 digits are  ciphertext * T + tag   with T = 1 562 500 and ciphertext < 10^8 * 64, so 10^16 values exactly
    tag        = PRF(mac key, member number, slot) mod T
    ciphertext = (member number * 64 + slot mod 64 + PRF(pad key, tag)) mod (10^8 * 64)

The tag makes the pad, as in SIV (RFC 5297), so no nonce is carried. Only six bits of the slot are: the slots that can
be good at one moment are 15 back to 48 ahead, 64 in all, so exactly one candidate slot fits and ONE comparison decides
per key. When it fails, older slots (up to an hour back) and one period ahead are tried, only to call a genuine code
expired or not yet valid instead of forged; replays and cancels come late.

Guarantees, against somebody without the keys:
- A guess with the right prefix and check digit is a valid code with chance 1 / 1 562 500 (2^-20.6) per key of the
  ring, no matter what the guesser has seen. Without codes of his own the member it hits is left to chance; somebody
  with many codes of his own knows pads and can aim at one member, at the same chance. The gateway limits guesses per
  terminal and per outlet; this module does not.
- A changed code is a new guess: one wrong digit and each swap of neighbours are always caught (Damm 2004), other errors
  with chance 9/10 by the check digit and by the tag otherwise.
Not guaranteed: full secrecy of the member number. Two codes with an equal tag (1 in 1 562 500 pairs) share a pad, so
who sees both learns the difference of their numbers. That tells a number, never a valid code.
The modulo bias of 128 bits is below 2^-95.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tokens.claims import LIFETIME_SLOTS, MEMBER_NUMBERS, Refused, forged, malformed

LENGTH: Final = 18
PREFIX: Final = "9"  # wallets use 10-15, 25-30 and 62
TAGS: Final = 1_562_500
SLOT_PERIOD: Final = 64
OLDER_SLOTS_MAX: Final = 1_800  # one hour: how late an expired code is still told from a forged one
_CIPHERTEXTS: Final = MEMBER_NUMBERS * SLOT_PERIOD

assert _CIPHERTEXTS * TAGS == 10**16

WRONG_COUNT: Final = malformed("A code of digits has exactly 18 of them.")
WRONG_PREFIX: Final = malformed("A code of digits starts with 9.")
WRONG_CHECK_DIGIT: Final = malformed("The check digit does not fit: the code was misread or mistyped.")
NOT_OURS: Final = forged("The digits were not made by a key of this gateway.", is_guess=True)

_DAMM: Final = tuple(
    tuple(int(digit) for digit in row)
    for row in (
        "0317598642",
        "7092154863",
        "4206871359",
        "1750983426",
        "6123045978",
        "3674209581",
        "5869720134",
        "8945362017",
        "9438617205",
        "2581436790",
    )
)
_DAMM_BYTES: Final = tuple((0,) * 48 + row for row in _DAMM)  # indexed by the ASCII digit itself


@dataclass(frozen=True, slots=True)
class DigitsKey:
    """The two keys behind the digits, derived from one ring key's `digits_secret`."""

    mac_key: bytes = field(repr=False)
    pad_key: bytes = field(repr=False)


def derive_digits_key(secret: bytes, kid: str) -> DigitsKey:
    """Derive the keys by HMAC with a label per purpose; the key id keeps two rings with one secret apart."""
    mac_key = hmac.digest(secret, b"tong digits v1 mac " + kid.encode("ascii"), "sha256")
    pad_key = hmac.digest(secret, b"tong digits v1 pad " + kid.encode("ascii"), "sha256")
    return DigitsKey(mac_key, pad_key)


def write_digits(key: DigitsKey, member_number: int, slot: int) -> str:
    """Return the 18 digits of a code; the issuer checks `member_number` and `slot`."""
    tag = _tag(key, member_number, slot)
    plain = member_number * SLOT_PERIOD + slot % SLOT_PERIOD
    ciphertext = (plain + _pad(key, tag)) % _CIPHERTEXTS
    body = f"{PREFIX}{ciphertext * TAGS + tag:016d}"
    return f"{body}{check_digit(body)}"


def read_digits(text: str, keys: Sequence[DigitsKey], now_slot: int) -> tuple[int, int] | Refused:
    """Return (member number, slot) of a genuine code of any age; `text` is ASCII digits of any length.

    Costs two HMACs per key for a valid code, some thirty more per key for any other.
    """
    if len(text) != LENGTH:
        return WRONG_COUNT
    if text[0] != PREFIX:
        return WRONG_PREFIX
    if check_digit(text):
        return WRONG_CHECK_DIGIT
    ciphertext, tag = divmod(int(text[1:-1]), TAGS)
    oldest_in_window = now_slot - LIFETIME_SLOTS
    candidates = []
    for key in keys:
        member_number, slot_bits = divmod((ciphertext - _pad(key, tag)) % _CIPHERTEXTS, SLOT_PERIOD)
        slot = oldest_in_window + (slot_bits - oldest_in_window) % SLOT_PERIOD
        if _fits(key, tag, member_number, slot):
            return member_number, slot
        candidates.append((key, member_number, slot))
    for key, member_number, slot in candidates:
        for other in (
            slot + SLOT_PERIOD,
            *range(slot - SLOT_PERIOD, now_slot - OLDER_SLOTS_MAX - 1, -SLOT_PERIOD),
        ):
            if _fits(key, tag, member_number, other):
                return member_number, other
    return NOT_OURS


def check_digit(text: str) -> int:
    """Return Damm's check digit of a text of ASCII digits; 0 for a text that ends with its right one."""
    state = 0
    for digit in text.encode("ascii"):
        state = _DAMM_BYTES[state][digit]
    return state


def _fits(key: DigitsKey, tag: int, member_number: int, slot: int) -> bool:
    if slot < 0:
        return False
    return hmac.compare_digest(_tag(key, member_number, slot).to_bytes(3, "big"), tag.to_bytes(3, "big"))


def _tag(key: DigitsKey, member_number: int, slot: int) -> int:
    message = member_number.to_bytes(8, "big") + slot.to_bytes(8, "big")
    return int.from_bytes(hmac.digest(key.mac_key, message, "sha256")[:16], "big") % TAGS


def _pad(key: DigitsKey, tag: int) -> int:
    return int.from_bytes(hmac.digest(key.pad_key, tag.to_bytes(8, "big"), "sha256")[:16], "big") % _CIPHERTEXTS
