"""Months are closed for the whole group; each pair of businesses then approves and pays its period.

    open ──close──► closed (frozen, numbered, hashed) ──approve by both──► approved ──pay──► paid

Guarantees: a line is in one period, because its month is a column that never changes; a closed month takes no line any
more, because who writes lines holds the books shared and who closes holds them alone. Closing a month again answers the
same periods, after their hash was computed anew from the lines (`PeriodAltered` when it differs). The hash does not
depend on when or in which batches the lines were written. Memory does not grow with the number of lines.
"""

import asyncio
import datetime
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from typing import Any, Final, Literal

from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.domain.errors import ConflictError
from redemption.projections.projector import Say, silent
from redemption.queries import named_queries
from redemption.settlement.agreements import read_places
from redemption.settlement.lines import month_after, period_id
from redemption.settlement.netting import Total

CLOSE_SECONDS: Final = 3_600.0
REFERENCE_CHARACTERS_MAX: Final = 128

Status = Literal["open", "closed", "approved", "paid"]


@dataclass(frozen=True, slots=True)
class Period:
    """A period of two businesses. An open one has no number, hash or closing. With one business it is its own use."""

    period_id: str
    month: int
    party_low: str
    party_high: str
    status: Status
    lines: int
    totals: tuple[Total, ...]
    number: int | None = None
    sha256: str | None = None
    closed_by: str | None = None
    closed_at: datetime.datetime | None = None
    approved_by: tuple[str, ...] = ()
    payment_reference: str | None = None
    open_disputes: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed month.

    `fresh`: closed by this call. `exceptions`: uses up to its end that have no line yet and will be late.
    """

    month: int
    fresh: bool
    periods: tuple[Period, ...]
    exceptions: int


@dataclass(frozen=True, slots=True)
class PeriodRefused:
    """Nothing was done: the reason as a word and a sentence."""

    reason: Literal[
        "month_not_over",
        "earlier_month_open",
        "not_found",
        "not_closed",
        "not_a_party",
        "own_use",
        "disputed",
        "not_approved",
        "paid_already",
        "not_well_formed",
    ]
    detail: str


class PeriodAltered(ConflictError):
    """The lines of a closed period are not those it was closed with: someone changed them behind the product's back."""


class Periods:
    """Periods over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._queries = named_queries("settlement", "periods")

    async def close(self, month: int, closed_by: str, say: Say = silent) -> Closed | PeriodRefused:
        """Freeze a month (yyyymm) for all pairs; run `Production.run` first. Raises `PeriodAltered`."""
        if not _is_month(month):
            return PeriodRefused("not_well_formed", f"{month} is no month; it is written like 202611")
        async with asyncio.timeout(CLOSE_SECONDS), self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '60s'")
            closed_through = await connection.fetchval(self._queries["freeze_books"], timeout=CLOSE_SECONDS)
            if month > closed_through:
                refused = await self._refuse_close(connection, month, closed_through)
                if refused is not None:
                    return refused
                await self._freeze(connection, month, closed_by, say)
            first_after = _first_day(month_after(month))
            exceptions = await connection.fetchval(self._queries["open_exceptions"], first_after)
            periods = await self._closed(connection, month, None)
            if month <= closed_through:
                for period in periods:
                    await self._check(connection, period)
        return Closed(month, month > closed_through, tuple(periods), exceptions)

    async def refusal_to_close(self, month: int) -> PeriodRefused | None:
        """Return why `close` would refuse a month (yyyymm) now; None where it would not. Changes nothing."""
        if not _is_month(month):
            return PeriodRefused("not_well_formed", f"{month} is no month; it is written like 202611")
        async with self._pool.acquire() as connection:
            closed_through = await connection.fetchval(self._queries["books"])
            return None if month <= closed_through else await self._refuse_close(connection, month, closed_through)

    async def verify(self, month: int) -> list[Period]:
        """Return the closed periods of a month, each hashed anew. Raises `PeriodAltered`."""
        async with self._pool.acquire() as connection:
            periods = await self._closed(connection, month, None)
            for period in periods:
                await self._check(connection, period)
        return periods

    async def listed(self, month: int | None = None) -> list[Period]:
        """Return closed periods and, for months with lines that are not closed, open ones; of one month, or of all."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            return await self._list(connection, month)

    async def get(self, wanted: str) -> Period | None:
        """Return one period by its id, open or closed."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            return await self._find(connection, wanted)

    async def export(self, period: Period, take: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        """Yield the lines of a period in the order of its SHA-256, piece by piece."""
        async with self._pool.acquire() as connection:
            await connection.copy_from_query(
                self._queries["canonical"],
                period.month,
                period.party_low,
                period.party_high,
                output=take,
                timeout=CLOSE_SECONDS,
            )

    async def approve(self, wanted: str, business: str, approved_by: str) -> Period | PeriodRefused:
        """Note one side's consent; a second time changes nothing."""
        async with self._pool.acquire() as connection, connection.transaction():
            period = await self._lock(connection, wanted)
            if isinstance(period, PeriodRefused):
                return period
            if business not in (period.party_low, period.party_high):
                return PeriodRefused("not_a_party", f"{business} is no side of {wanted}")
            if period.party_low == period.party_high:
                return PeriodRefused("own_use", f"{wanted} is a business's own use: nothing is owed")
            if period.open_disputes:
                return PeriodRefused(
                    "disputed", f"{wanted} has {period.open_disputes} open disputes; resolve them first"
                )
            await connection.execute(self._queries["add_approval"], wanted, business, approved_by, self._now())
            return (await self._closed(connection, None, wanted))[0]

    async def pay(self, wanted: str, reference: str, paid_by: str) -> Period | PeriodRefused:
        """Note that an approved period was paid, with the bank's reference. A repeat changes nothing."""
        if not 0 < len(reference) <= REFERENCE_CHARACTERS_MAX:
            return PeriodRefused("not_well_formed", f"a reference has 1 to {REFERENCE_CHARACTERS_MAX} characters")
        async with self._pool.acquire() as connection, connection.transaction():
            period = await self._lock(connection, wanted)
            if isinstance(period, PeriodRefused):
                return period
            if period.payment_reference is not None:
                if period.payment_reference == reference:
                    return period
                return PeriodRefused("paid_already", f"{wanted} was paid with {period.payment_reference}")
            if period.status != "approved":
                missing = sorted({period.party_low, period.party_high} - set(period.approved_by))
                return PeriodRefused("not_approved", f"{wanted} is not approved by {', '.join(missing)}")
            await connection.execute(self._queries["add_payment"], wanted, reference, paid_by, self._now())
            return (await self._closed(connection, None, wanted))[0]

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)

    async def _refuse_close(self, connection: Connection, month: int, closed_through: int) -> PeriodRefused | None:
        places = await read_places(connection)
        if places.earliest_day_running(self._now()) < _first_day(month_after(month)):
            return PeriodRefused("month_not_over", f"{month} is not over at every outlet of the group")
        earliest = await connection.fetchval(self._queries["earliest_open"], closed_through)
        if earliest is not None and earliest < month:
            return PeriodRefused("earlier_month_open", f"{earliest} has lines and is not closed; close it first")
        return None

    async def _freeze(self, connection: Connection, month: int, closed_by: str, say: Say) -> None:
        totals = await totals_of(connection, month)
        number = await connection.fetchval(self._queries["last_number"])
        for name, group in groupby(totals, key=lambda total: total.period_id):
            members = list(group)
            number += 1
            low, high = sorted((members[0].issuer, members[0].acceptor))
            lines = sum(total.lines for total in members)
            digest = await self._digest(connection, month, low, high)
            await connection.execute(
                self._queries["add_period"], name, month, low, high, number, lines, digest, closed_by, self._now()
            )
            await connection.executemany(self._queries["add_total"], [astuple(total) for total in members])
            say(f"{name}: number {number}, {lines} lines, {digest.hex()}")
        await connection.execute(self._queries["close_month"], month)

    async def _digest(self, connection: Connection, month: int, low: str, high: str) -> bytes:
        """Return SHA-256 over the canonical lines, streamed by COPY."""
        digest = hashlib.sha256()

        async def take(data: bytes) -> None:
            digest.update(data)

        await connection.copy_from_query(
            self._queries["canonical"], month, low, high, output=take, timeout=CLOSE_SECONDS
        )
        return digest.digest()

    async def _check(self, connection: Connection, period: Period) -> None:
        digest = await self._digest(connection, period.month, period.party_low, period.party_high)
        if digest.hex() != period.sha256:
            raise PeriodAltered(f"{period.period_id}: closed with {period.sha256}, its lines now give {digest.hex()}")

    async def _list(self, connection: Connection, month: int | None) -> list[Period]:
        periods = await self._closed(connection, month, None)
        closed_through = await connection.fetchval(self._queries["books"])
        if month is None:
            months = [row["month"] for row in await connection.fetch(self._queries["open_months"], closed_through)]
        else:
            months = [month] if month > closed_through else []
        for open_month in months:
            periods += open_periods_of(open_month, await totals_of(connection, open_month))
        return periods

    async def _find(self, connection: Connection, wanted: str) -> Period | None:
        month = wanted.partition(".")[0]
        if len(month) != 6 or not month.isascii() or not month.isdigit():
            return None
        return next((period for period in await self._list(connection, int(month)) if period.period_id == wanted), None)

    async def _closed(self, connection: Connection, month: int | None, wanted: str | None) -> list[Period]:
        totals: dict[str, list[Total]] = {}
        for row in await connection.fetch(self._queries["closed_totals"], month, wanted):
            totals.setdefault(row["period_id"], []).append(Total(*row))
        rows = await connection.fetch(self._queries["closed_periods"], month, wanted)
        return [closed_period(row, tuple(totals.get(row["period_id"], ()))) for row in rows]

    async def _lock(self, connection: Connection, wanted: str) -> Period | PeriodRefused:
        if await connection.fetchrow(self._queries["lock_period"], wanted) is None:
            if await self._find(connection, wanted) is not None:
                return PeriodRefused("not_closed", f"{wanted} is still open")
            return PeriodRefused("not_found", f"there is no period {wanted}")
        return (await self._closed(connection, None, wanted))[0]


async def totals_of(connection: Connection, month: int) -> list[Total]:
    """Return sums of a month's lines, pair by pair: one pass over the month."""
    rows = await connection.fetch(named_queries("settlement", "periods")["month_totals"], month, timeout=CLOSE_SECONDS)
    return [Total(period_id(month, row["issuer"], row["acceptor"]), *tuple(row)[2:]) for row in rows]


def closed_period(row: Any, totals: tuple[Total, ...]) -> Period:
    """Return a closed period from a row of the query `closed_periods` and its totals."""
    approved_by = tuple(row["approved_by"])
    status: Status = "closed"
    if row["payment_reference"] is not None:
        status = "paid"
    elif len(approved_by) == 2:
        status = "approved"
    return Period(
        period_id=row["period_id"],
        month=row["month"],
        party_low=row["party_low"],
        party_high=row["party_high"],
        status=status,
        lines=row["lines"],
        totals=totals,
        number=row["number"],
        sha256=row["sha256"].hex(),
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
        approved_by=approved_by,
        payment_reference=row["payment_reference"],
        open_disputes=row["open_disputes"],
    )


def open_periods_of(month: int, totals: Sequence[Total]) -> list[Period]:
    """Return the open periods of a month, from its totals in the order of the query `month_totals`."""
    periods = []
    for name, group in groupby(totals, key=lambda total: total.period_id):
        members = tuple(group)
        low, high = sorted((members[0].issuer, members[0].acceptor))
        periods.append(
            Period(
                period_id=name,
                month=month,
                party_low=low,
                party_high=high,
                status="open",
                lines=sum(total.lines for total in members),
                totals=members,
            )
        )
    return periods


def _first_day(month: int) -> datetime.date:
    return datetime.date(month // 100, month % 100, 1)


def _is_month(month: int) -> bool:
    return 2020 <= month // 100 <= 2099 and 1 <= month % 100 <= 12
