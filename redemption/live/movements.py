"""Ledger entries as their member may see them: from the stream while they happen, from PostgreSQL later.

Guarantees: both ways give equal `Movement` values for one entry, so a notice and the history never tell two stories;
only the member's own side is in it (what was available or held), and nothing of an entry's `restore` but which code it
used.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, cast

from redemption.domain.limits import SLOT_SECONDS
from redemption.ledger.entries import Entry, Move, Position
from tokens.offline import MARKER_PREFIX, STEP_SECONDS

MovementKind = Literal[
    "identify", "redeem", "hold", "capture", "release", "refund", "reverse", "accrue", "issue", "expire", "adjust"
]
MovementReason = Literal["voided", "expired", "cancelled", "accrual_reversed"]

AVAILABLE: Final = "A"
HELD: Final = "H"
REDEEMED: Final = "R"
_USE_CODES: Final = frozenset(("redeem", "hold", "accrue"))


class Posting(NamedTuple):
    """The change of one account (a letter of redemption/ledger/entries.py) of one lot."""

    asset: str
    account: str
    issuer: str
    expires_month: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class LotChange:
    """The moved amount of one lot. `amount` is positive; the change it belongs to has the sign."""

    issuer: str
    expires_month: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one asset of the member: available, and set aside by holds."""

    asset: str
    available: int
    held: int
    lots: tuple[LotChange, ...]


@dataclass(frozen=True, slots=True)
class CodeUsed:
    """The code that a movement used: its slot, or the device that made it and its step."""

    slot: int
    device_number: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of the ledger.

    `kind` is the ledger's, or `identify` for a scan that took nothing. `redeemed` is the amount of each asset that
    businesses took, negative where it was given back.
    """

    position: Position
    kind: MovementKind
    reason: MovementReason | None
    subject_id: str
    at_ms: int
    business: str | None
    outlet: str | None
    code: CodeUsed | None
    bill: Mapping[str, Any] | None
    legs: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]
    redeemed: Mapping[str, int]
    hold_seconds: int


def movement_of_entry(position: Position, entry: Entry) -> Movement:
    """Return the movement of a decoded stream entry."""
    return movement(position, entry.kind, entry.subject_id, entry.at_ms, entry.context, entry.moves)


def movement(
    position: Position, kind: str, subject_id: str, at_ms: int, context: Mapping[str, Any], moves: Iterable[Move]
) -> Movement:
    """Return the movement of an entry from any source. `context` is the entry's, as redemption/legs.py writes it."""
    postings = [
        Posting(move.asset, letter, move.issuer, move.expires_month, amount)
        for move in moves
        for letter, amount in ((move.source, -move.amount), (move.target, move.amount))
    ]
    legs = tuple(context.get("legs") or ())
    restore = context.get("restore") or {}
    bill = context.get("bill")
    shown = kind
    if kind == "redeem" and not legs and not postings:
        shown = "identify"
    redeemed: dict[str, int] = {}
    for posting in postings:
        if posting.account == REDEEMED:
            redeemed[posting.asset] = redeemed.get(posting.asset, 0) + posting.amount
    return Movement(
        position=position,
        kind=cast(MovementKind, shown),
        reason=_reason(kind, subject_id, "legs" in context),
        subject_id=subject_id,
        at_ms=at_ms,
        business=context.get("business"),
        outlet=context.get("outlet"),
        code=_code(restore.get("code"), at_ms // 1000) if kind in _USE_CODES else None,
        bill=bill if isinstance(bill, dict) else None,
        legs=legs if kind in _USE_CODES else (),
        changes=_changes(postings),
        redeemed=redeemed,
        hold_seconds=int(restore.get("hold_seconds") or 0),
    )


def _reason(kind: str, subject_id: str, of_the_scan: bool) -> MovementReason | None:
    """Return why something ended.

    A hold that expired ends with the context of its scan, one that was voided with the till's.
    """
    if kind == "release":
        return "expired" if of_the_scan else "voided"
    if kind == "reverse":
        return "accrual_reversed" if subject_id.startswith("acr_") else "cancelled"
    return None


def _code(used: Any, at: int) -> CodeUsed | None:
    """Return the code of a context's pair of slot and marker; None where it has none.

    A nonce may look like the marker of a device (tokens/offline.py), but the moment of a device's step and that of a
    slot of the same number are never near each other.
    """
    if not isinstance(used, list) or len(used) != 2:
        return None
    slot, marker = used
    device = marker.removeprefix(MARKER_PREFIX)
    is_step = abs(slot * STEP_SECONDS - at) < abs(slot * SLOT_SECONDS - at)
    return CodeUsed(slot, int(device) if is_step and device.isdecimal() else None)


def _changes(postings: Sequence[Posting]) -> tuple[Change, ...]:
    """Return the changes by asset, in the order they were moved; lots in the order they were spent."""
    assets: dict[str, dict[tuple[str, int | None], list[int]]] = {}
    for posting in postings:
        if posting.account in (AVAILABLE, HELD):
            lots = assets.setdefault(posting.asset, {})
            sums = lots.setdefault((posting.issuer, posting.expires_month), [0, 0])
            sums[posting.account == HELD] += posting.amount
    changes = []
    for asset, lots in assets.items():
        parts = tuple(
            LotChange(issuer, month, max(abs(available), abs(held)))
            for (issuer, month), (available, held) in lots.items()
            if available or held
        )
        if parts:
            available, held = (sum(sums[side] for sums in lots.values()) for side in (0, 1))
            changes.append(Change(asset, available, held, parts))
    return tuple(changes)
