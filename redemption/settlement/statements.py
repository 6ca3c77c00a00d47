"""Statements: what a business is owed and owes in a month, with everybody or with one counterparty; or so far.

Guarantees: figures, lines and exceptions of one statement are of one snapshot of PostgreSQL. Sums are made by SQL and
lines come by a cursor, so memory does not grow with their number. The statement of a closed month says the same each
time, until something is recorded about it (an approval, a payment, a dispute, an agreement for one of its exceptions).
Not guaranteed: that a provisional one, of a month that is not closed or of a single day, is what will be closed.

A snapshot is held from `open` to its end: write to a file, not to a slow reader.
"""

import calendar
import datetime
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.queries import named_queries
from redemption.settlement.disputes import DISPUTES_LISTED_MAX
from redemption.settlement.figures import (
    SUMS,
    Row,
    Scope,
    Statement,
    StatementDispute,
    StatementException,
    StatementLine,
    StatementPeriod,
    StatementStatus,
    Sums,
)
from redemption.settlement.lines import month_after, month_of

ROWS_AT_ONCE: Final = 2_000
STATEMENT_SECONDS: Final = 3_600.0
PERIOD_CHARACTERS_MAX: Final = 80
MONTH_LAST: Final = 209912
YEARS: Final = range(2020, 2100)
BUSINESS: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")

Streamed = TypeVar("Streamed")


@dataclass(frozen=True, slots=True)
class StatementRefused:
    """There is no statement: the reason as a word and a sentence."""

    reason: Literal["not_well_formed", "business_unknown", "not_a_party", "font_missing"]
    detail: str


class OpenStatement:
    """A statement and the streams of its rows, in one snapshot. One stream at a time."""

    def __init__(self, connection: Connection, statement: Statement) -> None:
        self.statement = statement
        self._connection = connection
        self._queries = named_queries("settlement", "statements")

    def lines(self) -> AsyncGenerator[list[StatementLine], None]:
        """Yield every line, at most ROWS_AT_ONCE at a time; by period, pair, time."""
        return self._stream(self._queries["lines"], _line_filter(self.statement.scope), StatementLine._make)

    def exceptions(self) -> AsyncGenerator[list[StatementException], None]:
        """Yield every use without a line, at most ROWS_AT_ONCE at a time; oldest first."""
        scope = self.statement.scope
        return self._stream(self._queries["exceptions"], _exception_filter(scope), StatementException._make)

    async def _stream(
        self, query: str, arguments: tuple[Any, ...], make: Callable[[Any], Streamed]
    ) -> AsyncGenerator[list[Streamed], None]:
        cursor = await self._connection.cursor(query, *arguments, timeout=STATEMENT_SECONDS)
        while rows := await cursor.fetch(ROWS_AT_ONCE, timeout=STATEMENT_SECONDS):
            yield [make(row) for row in rows]


class Statements:
    """Statements over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._queries = named_queries("settlement", "statements")

    async def resolve(
        self, business: str, period: str | None = None, counterparty: str | None = None
    ) -> Scope | StatementRefused:
        """Return the scope of a request.

        `period` is None (the running month so far), a month (`2026-11`, `202611`), a local day (`2026-11-22`, `today`)
        or the period of a pair (`202611.hotel.mall`), one side of which is the business.
        """
        async with self._pool.acquire() as connection:
            if period is not None and "." in period:
                found = _counterparty_of(period[:PERIOD_CHARACTERS_MAX], business)
                if isinstance(found, StatementRefused):
                    return found
                if counterparty not in (None, found):
                    return StatementRefused("not_a_party", f"{counterparty} is no side of {period}")
                period, counterparty = period.partition(".")[0], found
            for name in (business, counterparty):
                if name is not None and not await self._is_business(connection, name):
                    return StatementRefused("business_unknown", f"there is no business {name[:32]!r}")
            today = await self._today(connection)
            closed_through = await connection.fetchval(self._queries["closed_through"])
        return _scope_of(business, counterparty, period, today, closed_through)

    async def read(
        self, business: str, period: str | None = None, counterparty: str | None = None
    ) -> Statement | StatementRefused:
        """Return the figures. `period` as for `resolve`."""
        scope = await self.resolve(business, period, counterparty)
        if isinstance(scope, StatementRefused):
            return scope
        async with self.open(scope) as opened:
            return opened.statement

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[OpenStatement]:
        """Open the figures and the streams of a scope that `resolve` returned."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield OpenStatement(connection, await self._statement(connection, scope))

    async def _is_business(self, connection: Connection, name: str) -> bool:
        if BUSINESS.fullmatch(name) is None:
            return False
        return await connection.fetchrow(self._queries["business"], name) is not None

    async def _today(self, connection: Connection) -> datetime.date:
        zone = ZoneInfo(await connection.fetchval(self._queries["group_zone"]) or "UTC")
        return datetime.datetime.fromtimestamp(self._clock(), zone).date()

    async def _statement(self, connection: Connection, scope: Scope) -> Statement:
        parts: dict[str, list[Row]] = {}
        for row in await connection.fetch(self._queries["figures"], *_line_filter(scope), timeout=STATEMENT_SECONDS):
            sums = Sums(*(row[name] for name in SUMS))
            parts.setdefault(row["part"], []).append(Row(row["key"], row["acceptor"], sums))
        if "totals" not in parts:
            currency = await connection.fetchval(self._queries["business"], scope.business)
            parts["totals"] = [Row(None, None, Sums(currency))]
        closed = scope.kind == "month" and scope.month <= await connection.fetchval(self._queries["closed_through"])
        periods = await self._periods(connection, scope) if closed else ()
        names = {row["id"]: row["name"] or {} for row in await connection.fetch(self._queries["names"])}
        disputes = await connection.fetch(
            self._queries["disputes"], *_line_filter(scope), DISPUTES_LISTED_MAX, timeout=STATEMENT_SECONDS
        )
        return Statement(
            scope=scope,
            status=_status(periods) if closed else "provisional",
            as_of=await self._closed_at(connection, scope) if closed else self._now(),
            buckets_behind=0 if closed else await connection.fetchval(self._queries["buckets_behind"]),
            exceptions=await connection.fetchval(
                self._queries["count_exceptions"], *_exception_filter(scope), timeout=STATEMENT_SECONDS
            ),
            names=names,
            periods=periods,
            disputes=tuple(StatementDispute(*row) for row in disputes),
            **{part: tuple(parts.get(part, ())) for part in _PARTS},
        )

    async def _periods(self, connection: Connection, scope: Scope) -> tuple[StatementPeriod, ...]:
        rows = await connection.fetch(self._queries["periods"], scope.month, scope.business, scope.counterparty)
        return tuple(_period(row, scope.business) for row in rows)

    async def _closed_at(self, connection: Connection, scope: Scope) -> datetime.datetime:
        """Return when the month was closed; for a month without any period the end of its last day."""
        closed_at: datetime.datetime | None = await connection.fetchval(self._queries["closed_at"], scope.month)
        if closed_at is None:
            return datetime.datetime.combine(scope.last_day, datetime.time(23, 59, 59), datetime.UTC)
        return closed_at

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)


_PARTS: Final = ("totals", "kinds", "counterparties", "outlets", "days", "instruments", "late")


def _line_filter(scope: Scope) -> tuple[Any, ...]:
    """Return the filter of lines. A day's lines may be in later months: those written after its month was closed."""
    if scope.kind == "day":
        return (scope.month, MONTH_LAST, scope.first_day, scope.business, scope.counterparty)
    return (scope.month, scope.month, None, scope.business, scope.counterparty)


def _exception_filter(scope: Scope) -> tuple[Any, ...]:
    """Return the filter of exceptions. A month's statement shows those of earlier months too, as nothing else does."""
    first_day = scope.first_day if scope.kind == "day" else datetime.date(YEARS.start, 1, 1)
    return (first_day, scope.last_day, scope.business, scope.counterparty)


def _counterparty_of(period: str, business: str) -> str | StatementRefused:
    _, low, high = (*period.split("."), "", "")[:3]
    if period.count(".") != 2 or low > high:
        return StatementRefused("not_well_formed", f"{period!r} is no period; one is written like 202611.hotel.mall")
    if business not in (low, high):
        return StatementRefused("not_a_party", f"{business} is no side of {period}")
    return high if business == low else low


def _scope_of(
    business: str, counterparty: str | None, period: str | None, today: datetime.date, closed_through: int
) -> Scope | StatementRefused:
    if period is None:
        month = max(month_of(today), month_after(closed_through) if closed_through else 0)
        return _month_scope(business, counterparty, month)
    if period == "today":
        return Scope(business, counterparty, "day", month_of(today), today, today)
    digits = period.replace("-", "")
    refused = StatementRefused(
        "not_well_formed",
        f"{period[:PERIOD_CHARACTERS_MAX]!r} is no period; one is written like 2026-11, 2026-11-22 or today",
    )
    if period not in (digits, f"{digits[:4]}-{digits[4:]}", f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"):
        return refused
    if not (digits.isascii() and digits.isdigit() and len(digits) in (6, 8) and int(digits[:4]) in YEARS):
        return refused
    try:
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:] or 1))
    except ValueError:
        return refused
    if len(digits) == 8:
        return Scope(business, counterparty, "day", month_of(day), day, day)
    return _month_scope(business, counterparty, month_of(day))


def _month_scope(business: str, counterparty: str | None, month: int) -> Scope:
    year, number = divmod(month, 100)
    last = calendar.monthrange(year, number)[1]
    return Scope(
        business, counterparty, "month", month, datetime.date(year, number, 1), datetime.date(year, number, last)
    )


def _period(row: Any, business: str) -> StatementPeriod:
    approved_by = tuple(row["approved_by"])
    status: Literal["closed", "approved", "paid"] = "closed"
    if row["payment_reference"] is not None:
        status = "paid"
    elif len(approved_by) == 2:
        status = "approved"
    return StatementPeriod(
        period_id=row["period_id"],
        counterparty=row["party_high"] if row["party_low"] == business else row["party_low"],
        number=row["number"],
        status=status,
        lines=row["lines"],
        sha256=row["sha256"].hex(),
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
        approved_by=approved_by,
        payment_reference=row["payment_reference"],
    )


def _status(periods: tuple[StatementPeriod, ...]) -> StatementStatus:
    """Return the least advanced status of the periods in which something may be owed."""
    states = {period.status for period in periods if period.period_id.split(".")[1] != period.period_id.split(".")[2]}
    if not states or "closed" in states:
        return "closed"
    return "approved" if "approved" in states else "paid"
