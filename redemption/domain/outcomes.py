"""Outcomes of a call, as numbered values in order of precedence.

Where several reasons to refuse hold, the one with the smallest number is given (docs/reference/errors.md). The
hot-store functions use the same numbers: redemption/hot/library.py writes them into the library from this enumeration.
A number is written into idempotency records, so it is never given to another meaning; new ones take free numbers.
"""

import base64
from dataclasses import dataclass
from enum import IntEnum, unique


@unique
class Outcome(IntEnum):
    """`APPLIED`, or the reason why nothing was applied. Members are in the contract's order."""

    APPLIED = 0

    RATE_LIMITED = 5
    UNAVAILABLE = 6  # the bucket is frozen until it is rebuilt (docs/reference/ledger.md)
    IDEMPOTENCY_KEY_REUSED = 10
    CANCELLED = 20
    CODE_MALFORMED = 21
    CODE_FORGED = 22
    CODE_EXPIRED = 23
    CODE_USED = 24
    CODE_REVOKED = 25
    MEMBER_BLOCKED = 26
    POSSIBLE_DUPLICATE = 27
    LEG_NOT_ALLOWED_HERE = 28
    BENEFIT_UNKNOWN = 29
    BENEFIT_NOT_NOW = 30
    BENEFIT_EXHAUSTED = 31
    TIER_TOO_LOW = 32
    BILL_BELOW_MINIMUM = 33
    NOT_STACKABLE = 34
    POINTS_BELOW_MINIMUM = 35
    POINTS_INSUFFICIENT = 36
    STORED_VALUE_INSUFFICIENT = 37
    EXCEEDS_BILL = 38
    EARNING_LIMIT_REACHED = 39

    HOLD_EXPIRED = 50
    ALREADY_CAPTURED = 51
    ALREADY_VOIDED = 52
    ALREADY_REFUNDED = 53
    EXCEEDS_HOLD = 54
    EXCEEDS_REDEMPTION = 55
    WINDOW_CLOSED = 56

    # Faults that only a function can see; the edge answers `unavailable` or `not_found`.
    NOT_FOUND = 90
    MEMBER_MISSING = 91
    LIMIT_REACHED = 92


@unique
class RateSubject(IntEnum):
    """Owners of the rate that a call exceeded: `asked` of a `RATE_LIMITED` refusal."""

    TERMINAL = 1
    OUTLET = 2
    MEMBER = 3
    GUESSES = 4
    """Of a terminal or outlet: digits that nobody made, and ids of members not scanned there."""
    TOMBSTONES = 5
    """Of a terminal or outlet: cancels that find nothing under their key."""
    OFFICE_KEY = 6


@unique
class EarnCeiling(IntEnum):
    """The ceiling that an accrual reached (redemption/rules/policy.py); written into idempotency records."""

    NONE = 0
    BILL_MINOR = 1
    BILL_POINTS = 2
    MEMBER_DAY_POINTS = 3
    TERMINAL_DAY_POINTS = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason why nothing was applied. `asked` and `available` are in the unit of the leg; -1 where they do not apply.

    Of `RATE_LIMITED`, `asked` is a `RateSubject`, `available` the seconds to wait, `quota` how many calls a window has.
    """

    outcome: Outcome
    leg: int | None = None
    asked: int = -1
    available: int = -1
    detail: str | None = None
    replayed: bool = False
    quota: int = -1
    """The number of calls in a window of a rate; -1 where it is not known."""
    is_money: bool = False
    """`asked` and `available` are minor units, although the outcome is mostly about points."""
    earlier_id: str | None = None
    """The redemption that took the same basket, for a possible duplicate."""


NO_REFUSAL = Refusal(Outcome.APPLIED)
"""The gateway found nothing to object to."""


def detail_word(detail: str | None) -> str:
    """Encode a sentence as one word of an idempotency record."""
    return base64.urlsafe_b64encode(detail.encode()).decode() if detail else "-"


def refusal_of_word(
    outcome: Outcome, leg: int | None, asked: int, available: int, word: bytes, *, replayed: bool
) -> Refusal:
    """Return the refusal that a function answered with; the meaning of its last word depends on the outcome."""
    if outcome is Outcome.POSSIBLE_DUPLICATE:
        earlier = None if word == b"-" else word.decode()
        return Refusal(outcome, leg, asked, available, replayed=replayed, earlier_id=earlier)
    return Refusal(outcome, leg, asked, available, detail_of(word), replayed=replayed)


def detail_of(word: bytes) -> str | None:
    """Return the sentence that `detail_word` encoded."""
    return None if word == b"-" else base64.urlsafe_b64decode(word).decode()
