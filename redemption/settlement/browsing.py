"""Settlement a page at a time: periods, lines, exceptions, disputes and agreements, each after a place.

Guarantees: a page is a few queries by index whatever there is; a place is a value of the last item seen, so nothing is
left out or shown twice because something was added in between. Not guaranteed: one snapshot over several pages.
"""

import asyncio
import datetime
import math
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from redemption.database import Connection, Pool
from redemption.queries import named_queries
from redemption.settlement.agreements import ListedAgreement
from redemption.settlement.definitions import AgreementDefinition
from redemption.settlement.disputes import Dispute
from redemption.settlement.lines import Line, Unsettled
from redemption.settlement.netting import Total
from redemption.settlement.periods import Period, Status, closed_period, open_periods_of, totals_of
from redemption.settlement.uses import Use

LOOK_SECONDS: Final = 0.1

T = TypeVar("T")
Moment = tuple[datetime.datetime, str]
"""A time and an id: the place of a line, an exception or a dispute."""
PeriodPlace = tuple[int, str, str]
"""Month and the two businesses."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items, and whether there are more after the last of them."""

    items: list[T]
    more: bool


@dataclass(frozen=True, slots=True)
class PeriodFilter:
    """A filter of periods: of a month, with a business, with another beside it, in a state. None does not narrow."""

    month: int | None = None
    business: str | None = None
    counterparty: str | None = None
    status: Status | None = None

    def takes(self, period: Period) -> bool:
        sides = (period.party_low, period.party_high)
        return (
            (self.business is None or self.business in sides)
            and (self.counterparty is None or self.counterparty in sides)
            and self.status in (None, period.status)
        )


@dataclass(frozen=True, slots=True)
class DisputeOfLine:
    """A dispute with the two businesses of its line."""

    dispute: Dispute
    issuer: str
    acceptor: str


class SettlementPages:
    """Pages over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("settlement", "browsing")

    async def periods(self, wanted: PeriodFilter, after: PeriodPlace | None, limit: int) -> Page[Period]:
        """Return periods, newest month first, then by the names of the two businesses."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            found: list[Period] = []
            if wanted.status in (None, "open"):
                for month in await self._open_months(connection, wanted.month, after):
                    periods = open_periods_of(month, await totals_of(connection, month))
                    found += [each for each in periods if wanted.takes(each) and _is_after(each, after)]
                    if len(found) > limit:
                        return Page(found[:limit], more=True)
            if wanted.status != "open":
                found += await self._closed(connection, wanted, after, limit + 1 - len(found))
        return Page(found[:limit], more=len(found) > limit)

    async def period_named(self, name: str) -> str | None:
        """Return the id of the closed period that has this number or this SHA-256 in hexadecimal."""
        number = int(name) if name.isascii() and name.isdigit() and len(name) <= 9 else None
        digest = bytes.fromhex(name) if len(name) == 64 else None
        found: str | None = await self._pool.fetchval(self._queries["named"], number, digest)
        return found

    async def lines(self, period: Period, after: Moment | None, limit: int) -> Page[Line]:
        """Return lines of a period, in the order of its hash."""
        place = after or (None, None)
        rows = await self._pool.fetch(
            self._queries["lines"], period.month, period.party_low, period.party_high, *place, limit + 1
        )
        return Page([Line(*row) for row in rows[:limit]], more=len(rows) > limit)

    async def exceptions(self, business: str | None, after: Moment | None, limit: int) -> Page[Unsettled]:
        """Return the uses without a line yet, oldest first."""
        place = after or (None, None)
        rows = await self._pool.fetch(self._queries["exceptions"], business, *place, limit + 1)
        items = [Unsettled(Use(*tuple(row)[:-1]), row["reason"]) for row in rows[:limit]]
        return Page(items, more=len(rows) > limit)

    async def disputes(
        self, business: str | None, resolved: bool | None, after: Moment | None, limit: int
    ) -> Page[DisputeOfLine]:
        """Return disputes of the lines of a business, oldest first, resolved or not."""
        place = after or (None, None)
        rows = await self._pool.fetch(self._queries["disputes"], business, resolved, *place, limit + 1)
        return Page([_dispute(row) for row in rows[:limit]], more=len(rows) > limit)

    async def dispute(self, dispute_id: str) -> DisputeOfLine | None:
        """Return one dispute."""
        row = await self._pool.fetchrow(self._queries["dispute"], dispute_id)
        return None if row is None else _dispute(row)

    async def sides_of_line(self, line_id: str) -> tuple[str, str] | None:
        """Return issuer and acceptor of a line."""
        row = await self._pool.fetchrow(self._queries["sides"], line_id)
        return None if row is None else (row["issuer"], row["acceptor"])

    async def agreements(
        self, business: str | None, agreement_id: str | None, after: tuple[str, int] | None, limit: int
    ) -> Page[ListedAgreement]:
        """Return versions by agreement and number; of those that can count for a business, of one agreement, or all."""
        place = after or (None, None)
        rows = await self._pool.fetch(self._queries["agreements"], business, agreement_id, *place, limit + 1)
        items = [
            ListedAgreement(
                agreement_id=row["agreement_id"],
                version=row["version"],
                definition=msgspec.convert(row["definition"], AgreementDefinition),
                added_by=row["added_by"],
                added_at=row["added_at"],
                superseded=row["superseded"],
            )
            for row in rows[:limit]
        ]
        return Page(items, more=len(rows) > limit)

    async def caught_up(self, seconds: float) -> bool:
        """Wait until what the ledger has now is settled, and tried with the newest agreement. Returns False where time
        ran out."""
        rows = await self._pool.fetch(self._queries["positions"])
        positions = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
        for _ in range(math.ceil(seconds / LOOK_SECONDS)):
            if not await self._pool.fetchval(self._queries["behind"], *positions):
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _open_months(self, connection: Connection, month: int | None, after: PeriodPlace | None) -> list[int]:
        """Return the open months, newest first, without those that are all before the place."""
        queries = named_queries("settlement", "periods")
        closed_through = await connection.fetchval(queries["books"])
        if month is not None:
            months = [month] if month > closed_through else []
        else:
            months = [row["month"] for row in await connection.fetch(queries["open_months"], closed_through)]
        return [each for each in sorted(months, reverse=True) if after is None or each <= after[0]]

    async def _closed(
        self, connection: Connection, wanted: PeriodFilter, after: PeriodPlace | None, limit: int
    ) -> list[Period]:
        place = after or (None, None, None)
        rows = await connection.fetch(
            self._queries["closed_ids"],
            wanted.month,
            wanted.business,
            wanted.counterparty,
            wanted.status,
            *place,
            limit,
        )
        ids = [row["period_id"] for row in rows]
        totals: dict[str, list[Total]] = {}
        for row in await connection.fetch(self._queries["closed_totals"], ids):
            totals.setdefault(row["period_id"], []).append(Total(*row))
        found = await connection.fetch(self._queries["closed_periods"], ids)
        return [closed_period(row, tuple(totals.get(row["period_id"], ()))) for row in found]


def _is_after(period: Period, after: PeriodPlace | None) -> bool:
    if after is None:
        return True
    month, low, high = after
    return period.month < month or (period.month == month and (period.party_low, period.party_high) > (low, high))


def _dispute(row: Any) -> DisputeOfLine:
    *dispute, issuer, acceptor = row
    return DisputeOfLine(Dispute(*dispute), issuer, acceptor)
