"""Look-ups in the ledger for the till and the back office. Always a moment behind the hot store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from redemption.database import FAULTS, Pool
from redemption.domain.errors import StorageError
from redemption.ledger.entries import Position
from redemption.queries import named_queries

CALL_SECONDS: Final = 2.0
STEP_OF_STATUS: Final[Mapping[str, str]] = {
    "voided": "release",
    "expired": "release",
    "refunded": "refund",
    "partially_refunded": "refund",
    "reversed": "reverse",
}
"""The kind of ledger entry without which a redemption never has the status."""


class LedgerAway(StorageError):
    """PostgreSQL did not answer."""


@dataclass(frozen=True, slots=True)
class RedemptionFilter:
    """The wanted redemptions of one business.

    Times are Unix milliseconds of the scan, `to_ms` excluded; None does not narrow.
    """

    business_id: str
    from_ms: int
    to_ms: int
    status: str | None = None
    outlet_id: str | None = None
    bill_reference: str | None = None
    member_id: str | None = None

    @property
    def by_deadline(self) -> bool:
        """Return whether open holds come in the order in which they end; everything else comes newest first."""
        return self.status == "held"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a redemption in its list: by `at_ms` (of the scan, or the deadline of a hold), then by id."""

    at_ms: int
    redemption_id: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A redemption that the ledger names for a filter; the hot store has its present state."""

    place: Place
    outlet_id: str | None


class LedgerReader:
    """Reads over one pool. Every call raises `LedgerAway` when PostgreSQL does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("ledger", "reader")

    async def candidates(self, wanted: RedemptionFilter, after: Place, limit: int) -> list[Candidate]:
        """Return the next `limit` redemptions behind `after`, in the order of the list.

        All that the filter wants are among them; some may have another status than `wanted.status` by now.

        All that the filter wants are among them; some may stand otherwise than `wanted.status` says.
        """
        span = (wanted.business_id, _moment(wanted.from_ms), _moment(wanted.to_ms))
        if wanted.by_deadline:
            rows = await self._fetch(
                "open_holds", *span, after.at_ms, after.redemption_id, wanted.outlet_id, limit, wanted.bill_reference
            )
            return [Candidate(Place(row["hold_until_ms"], row["subject_id"]), row["outlet"]) for row in rows]
        page = (*span, _moment(after.at_ms), after.redemption_id, wanted.outlet_id, limit)
        if wanted.bill_reference is not None:
            rows = await self._fetch("of_bill", *page, wanted.bill_reference)
        elif wanted.member_id is not None:
            rows = await self._fetch("of_member", *page, wanted.member_id)
        elif wanted.status is not None and wanted.status in STEP_OF_STATUS:
            rows = await self._fetch("undone", *page, STEP_OF_STATUS[wanted.status])
        else:
            rows = await self._fetch("newest", *page)
        return [Candidate(Place(_milliseconds(row["occurred_at"]), row["subject_id"]), row["outlet"]) for row in rows]

    async def watermarks(self) -> dict[int, Position]:
        """Return how far the ledger is with each bucket; a bucket without an entry is missing."""
        rows = await self._fetch("watermarks")
        return {row["bucket"]: Position(row["last_ms"], row["last_seq"]) for row in rows}

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(self._queries[name], *arguments, timeout=CALL_SECONDS)
        except FAULTS as fault:
            raise LedgerAway(type(fault).__name__) from fault


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
