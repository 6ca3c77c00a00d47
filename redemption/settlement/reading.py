"""Lines and exceptions for statements and lists: streamed, so that memory does not grow with their number.

A stream holds a connection and a snapshot from its first row to its last: a reader that stops early closes it
(`contextlib.aclosing`).
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from redemption.database import Pool
from redemption.queries import named_queries
from redemption.settlement.lines import Line, Unsettled
from redemption.settlement.uses import Use

ROWS_AHEAD: Final = 2_000
EXPORT_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class SettlementStatus:
    """The state of settlement. `closed_through` is 0 before the first close."""

    closed_through: int
    buckets_behind: int
    exceptions: int
    open_disputes: int


class SettlementReader:
    """A reader over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("settlement", "reading")

    async def lines(
        self, month: int, business: str | None = None, counterparty: str | None = None
    ) -> AsyncGenerator[Line, None]:
        """Yield the lines of a period month, pair by pair, each pair's in the order of its hash."""
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(
                self._queries["lines"], month, business, counterparty, prefetch=ROWS_AHEAD, timeout=EXPORT_SECONDS
            ):
                yield Line(*row)

    async def exceptions(self, business: str | None = None) -> AsyncGenerator[Unsettled, None]:
        """Yield the uses without a line yet, oldest first."""
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(
                self._queries["exceptions"], business, prefetch=ROWS_AHEAD, timeout=EXPORT_SECONDS
            ):
                *use, reason = row
                yield Unsettled(Use(*use), reason)

    async def status(self) -> SettlementStatus:
        row: Any = await self._pool.fetchrow(self._queries["status"])
        return SettlementStatus(row["closed_through"], row["buckets_behind"], row["exceptions"], row["open_disputes"])
