"""The claims of a member code, and the refusals of texts that are not codes.

A code is identified by (member number, slot). A slot is two seconds of Unix time; a code of slot s may be used before
s * 2 + 30. Both forms of one entry, JWT and digits, speak of the same member and slot, so using one uses both.

A device may make codes by itself (tokens/offline.py); they are identified by (member number, step of 30 seconds,
device).

Guarantees: a `CodeClaim` exists only after the signature (or the digits' MAC) held. It says nothing about whether the
code was used: that is the hot store's to know.
"""

from enum import Enum
from typing import Final

import msgspec

SLOT_SECONDS: Final = 2
CODE_LIFETIME_SECONDS: Final = 30
REFRESH_BEFORE_EXPIRY_SECONDS: Final = 10
SLOTS_AHEAD_MAX: Final = 48  # 96 s: five codes fetched at once, 20 s apart, with room for used ones

LIFETIME_SLOTS: Final = CODE_LIFETIME_SECONDS // SLOT_SECONDS
SLOTS_PER_REFRESH: Final = (CODE_LIFETIME_SECONDS - REFRESH_BEFORE_EXPIRY_SECONDS) // SLOT_SECONDS
"""Slots from one code that a member's app shows to the next."""
MEMBER_NUMBERS: Final = 100_000_000  # what 18 digits have room for
EXPIRES_AT_MAX: Final = 2**40  # the year 36812 bounds the computations
TEXT_CHARACTERS_MAX: Final = 512  # a scanned text, white space included; our longest code has 203

DIGITS_NONCE: Final = "digits"
"""The value in the place of a JWT code's nonce. A JWT nonce has eight characters, so the two never meet."""

assert CODE_LIFETIME_SECONDS % SLOT_SECONDS == 0
assert LIFETIME_SLOTS + SLOTS_AHEAD_MAX < 64  # six bits of the slot are enough to find it again (tokens.digits)
assert REFRESH_BEFORE_EXPIRY_SECONDS < CODE_LIFETIME_SECONDS


class CodeForm(Enum):
    """The form in which a code was written."""

    JWT = "jwt"
    DIGITS = "digits"
    OFFLINE = "offline"


class Standing(Enum):
    """The validity of a genuine code at a moment."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    """Its slot is further ahead than the issuer ever goes: the clocks disagree, or somebody fetched far ahead."""
    REVOKED = "revoked"
    """In time, but the device that made it is revoked."""


class CodeRefusal(Enum):
    """The reason why a text is not a code of this ring.

    Values are the contract's refusal codes without their prefix.
    """

    MALFORMED = "malformed"
    FORGED = "forged"


class CodeClaim(msgspec.Struct, frozen=True):
    """A genuine code. A Struct is made faster than a frozen dataclass (`python -m tests.measure_path`)."""

    form: CodeForm
    member_number: int
    slot: int
    """For a code of a device it is the step (tokens/offline.py); steps are so much smaller than slots that the two
    never meet."""
    nonce: str
    """Eight url-safe characters, `DIGITS_NONCE`, or `o` and a device's number: what is marked when the code is used."""
    expires_at: int
    """Unix seconds; the code is good strictly before it (RFC 7519, 4.1.4)."""
    standing: Standing
    device_number: int | None = None
    """The number of the device that made the code by itself."""


class Refused(msgspec.Struct, frozen=True):
    """A text that is not a code of this ring; `detail` is an English sentence that repeats nothing of it.

    `is_guess`: 18 well-formed digits, which are few enough that somebody may try them.
    """

    reason: CodeRefusal
    detail: str
    is_guess: bool = False


def malformed(detail: str) -> Refused:
    """Return the refusal of a text that nobody's ring could have made."""
    return Refused(CodeRefusal.MALFORMED, detail)


def forged(detail: str, *, is_guess: bool = False) -> Refused:
    """Return the refusal of a text that looks like a code, which no key of this ring made."""
    return Refused(CodeRefusal.FORGED, detail, is_guess)


def slot_at(now: float) -> int:
    """Return the slot of a moment in Unix seconds."""
    return int(now) // SLOT_SECONDS


def expires_at(slot: int) -> int:
    """Return the Unix seconds at which a code of this slot expires."""
    return slot * SLOT_SECONDS + CODE_LIFETIME_SECONDS


def standing_of(slot: int, now: float) -> Standing:
    """Return the validity of a code of this slot at `now` (Unix seconds)."""
    if expires_at(slot) <= now:
        return Standing.EXPIRED
    if slot > slot_at(now) + SLOTS_AHEAD_MAX:
        return Standing.NOT_YET
    return Standing.VALID
