"""A member's own history in the ledger, page by page, newest first, and the notices that a returning page missed.

Guarantees: only rows of the member asked for are read; a page, and what belongs to it, is bounded. The ledger is a
moment behind the hot store: `watermark` says how far it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import asyncpg

from redemption.database import FAULTS, Pool
from redemption.domain.contexts import context_of
from redemption.domain.limits import ACTIVITY_STEPS_MAX
from redemption.ledger.entries import Position, moves_of
from redemption.ledger.reader import LedgerAway
from redemption.live.movements import Movement, movement
from redemption.queries import named_queries

CALL_SECONDS: Final = 3.0
CLOCKS_APART: Final = timedelta(seconds=5)
"""An entry's position is its server's time, `occurred_at` is the same time in its text; more than they ever differ."""
_OPENING: Final = frozenset(("redeem", "hold", "identify", "accrue"))
_LAST: Final = datetime(2099, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the history: everything before this movement comes next."""

    at_ms: int
    position: Position


FIRST_PAGE: Final = Cursor(round(_LAST.timestamp() * 1000), Position(2**62, 0))


ActivityStatus = Literal[
    "identified", "held", "captured", "partially_refunded", "refunded", "voided", "expired", "reversed", "accrued"
]


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """A movement and the present state of its subject. `status` is None for a movement that opens nothing."""

    movement: Movement
    status: ActivityStatus | None
    given_back: Mapping[str, int]


class MemberHistory:
    """Reads over one pool. Every call raises `LedgerAway` when PostgreSQL does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("live", "history")

    async def page(self, member_id: str, before: Cursor, limit: int) -> tuple[list[ActivityEntry], Cursor | None]:
        """Return the next `limit` movements and the place to go on from; None at the end."""
        movements = await self._movements(
            "page", member_id, _moment(before.at_ms), before.position.ms, before.position.seq, limit + 1
        )
        more, movements = len(movements) > limit, movements[:limit]
        subjects = sorted({each.subject_id for each in movements if each.kind in _OPENING})
        steps = await self._movements("of_subjects", subjects, member_id, ACTIVITY_STEPS_MAX) if subjects else []
        by_subject: dict[str, list[Movement]] = {}
        for step in steps:
            by_subject.setdefault(step.subject_id, []).append(step)
        deeds = [
            ActivityEntry(each, *became(by_subject.get(each.subject_id, [each])))
            if each.kind in _OPENING
            else ActivityEntry(each, None, {})
            for each in movements
        ]
        last = movements[-1] if movements and more else None
        return deeds, None if last is None else Cursor(last.at_ms, last.position)

    async def after(self, member_id: str, position: Position, limit: int) -> list[Movement]:
        """Return at most `limit` movements after a position, oldest first."""
        since = max(_moment(min(position.ms, FIRST_PAGE.at_ms)) - CLOCKS_APART, datetime(2020, 1, 1, tzinfo=UTC))
        return await self._movements("after", member_id, position.ms, position.seq, since, limit)

    async def watermark(self, bucket: int) -> Position:
        """Return how far the ledger is with the bucket."""
        rows = await self._fetch("watermark", bucket)
        return Position(*rows[0]) if rows else Position(0, 0)

    async def _movements(self, name: str, *arguments: object) -> list[Movement]:
        return [
            movement(
                Position(row["entry_ms"], row["entry_seq"]),
                row["kind"],
                row["subject_id"],
                round(row["occurred_at"].timestamp() * 1000),
                context_of(row),
                moves_of(row["moves"].encode()),
            )
            for row in await self._fetch(name, *arguments)
        ]

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(self._queries[name], *arguments, timeout=CALL_SECONDS)
        except FAULTS as fault:
            raise LedgerAway(type(fault).__name__) from fault


def became(steps: Iterable[Movement]) -> tuple[ActivityStatus | None, dict[str, int]]:
    """Return the status of a redemption, accrual or identity check and what came back, from all its movements in
    order."""
    status: ActivityStatus | None = None
    taken = 0
    given_back: dict[str, int] = {}
    for step in steps:
        taken += sum(step.redeemed.values())
        if step.kind in ("redeem", "capture"):
            status = "captured"
        elif step.kind == "identify":
            status = "identified"
        elif step.kind == "hold":
            status = "held"
        elif step.kind == "accrue":
            status = "accrued"
        elif step.kind == "release":
            status = "expired" if step.reason == "expired" else "voided"
        elif step.kind == "refund":
            status = "partially_refunded" if taken > 0 else "refunded"
        elif step.kind == "reverse":
            status = "reversed"
        if step.kind in ("capture", "release", "refund", "reverse"):
            for change in step.changes:
                if change.available > 0:
                    given_back[change.asset] = given_back.get(change.asset, 0) + change.available
    return status, given_back


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)
