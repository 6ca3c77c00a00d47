"""What a member code says, and how a code is refused.

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
EXPIRES_AT_MAX: Final = 2**40  # year 36812; bounds what is computed with
TEXT_CHARACTERS_MAX: Final = 512  # of what was scanned, white space included; our longest code has 203

DIGITS_NONCE: Final = "digits"
"""Stands where a JWT code has its nonce. A JWT nonce has eight characters, so the two never meet."""

assert CODE_LIFETIME_SECONDS % SLOT_SECONDS == 0
assert LIFETIME_SLOTS + SLOTS_AHEAD_MAX < 64  # six bits of the slot are enough to find it again (tokens.digits)
assert REFRESH_BEFORE_EXPIRY_SECONDS < CODE_LIFETIME_SECONDS


class CodeForm(Enum):
    """How the code was written."""

    JWT = "jwt"
    DIGITS = "digits"
    OFFLINE = "offline"


class Standing(Enum):
    """Where a genuine code stands in time."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    """Its slot is further ahead than the issuer ever goes: the clocks disagree, or somebody fetched far ahead."""
    REVOKED = "revoked"
    """In time, but the device that made it is revoked."""


class CodeRefusal(Enum):
    """Why a text is no code of ours. The values are the refusal codes of the contract without their prefix."""

    MALFORMED = "malformed"
    FORGED = "forged"


class CodeClaim(msgspec.Struct, frozen=True):
    """A genuine code. A Struct is made faster than a frozen dataclass (`python -m tests.measure_path`)."""

    form: CodeForm
    member_number: int
    slot: int
    """Of a code of a device its step (tokens/offline.py); steps are so much smaller than slots that the two never
    meet."""
    nonce: str
    """Eight url-safe characters, `DIGITS_NONCE`, or `o` and a device's number: what is marked when the code is used."""
    expires_at: int
    """Unix seconds; the code is good strictly before it (RFC 7519, 4.1.4)."""
    standing: Standing
    device_number: int | None = None
    """Of the device that made the code by itself."""


class Refused(msgspec.Struct, frozen=True):
    """A text that is no code of ours; `detail` is an English sentence that repeats nothing of the text. `is_guess`: 18
    well-formed digits, which are few enough that somebody may try them."""

    reason: CodeRefusal
    detail: str
    is_guess: bool = False


def malformed(detail: str) -> Refused:
    """The text cannot be a code of ours, whoever made it."""
    return Refused(CodeRefusal.MALFORMED, detail)


def forged(detail: str, *, is_guess: bool = False) -> Refused:
    """The text looks like a code, but no key of this ring made it."""
    return Refused(CodeRefusal.FORGED, detail, is_guess)


def slot_at(now: float) -> int:
    """The slot of a moment in Unix seconds."""
    return int(now) // SLOT_SECONDS


def expires_at(slot: int) -> int:
    """Unix seconds at which a code of this slot stops being good."""
    return slot * SLOT_SECONDS + CODE_LIFETIME_SECONDS


def standing_of(slot: int, now: float) -> Standing:
    """Where a code of this slot stands at `now` (Unix seconds)."""
    if expires_at(slot) <= now:
        return Standing.EXPIRED
    if slot > slot_at(now) + SLOTS_AHEAD_MAX:
        return Standing.NOT_YET
    return Standing.VALID
