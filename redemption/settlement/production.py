"""Settlement lines made from the ledger, incrementally and exactly once.

Guarantees: the lines and exceptions of a batch and the mark behind them are committed in one transaction, under the
locked row of their bucket's mark, which is read in that same transaction. So two processes never settle a bucket at the
same time, one that was killed leaves nothing half done, and one that was paused is ended by the server before it could
go on. A batch holds the books' row shared: a month cannot close between choosing a line's period and writing it.
Memory is bounded by the batch. Does not guarantee to see what the ledger does not have yet: that is late then.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg

from redemption.database import Connection, Pool
from redemption.domain.contexts import legs_of
from redemption.queries import named_queries
from redemption.settlement.agreements import read_agreements, read_places
from redemption.settlement.lines import Key, Line, Original, Unsettled, originals_of, settle
from redemption.settlement.uses import Use, redeemed_postings, uses_of
from redemption.waiting import set_within

BATCH_TRANSACTIONS: Final = 4_000
BATCH_SECONDS: Final = 60.0
TAKEOVER_SECONDS: Final = 10.0
LOCK_WAIT_RATIO: Final = 1.5  # a process that waits for a bucket outlives one that hangs with it
FOLLOW_SECONDS: Final = 1.0
# A batch of a bucket costs a transaction and a dozen round trips whether it has ten rows or a thousand. Where much
# comes in, a round takes its time, one bucket after the other: fewer and evenly spaced syncs beside the hot store's.
BUSY_TRANSACTIONS: Final = 1_000
BUSY_ROUND_SECONDS: Final = 10.0  # closing a month waits for it, 20 s at most
RETRY_SECONDS_MAX: Final = 15.0

EXCEPTION_COLUMNS: Final = (*Use._fields, "reason", "tried_serial")

T = TypeVar("T")
Say = Callable[[str], None]
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Produced:
    """The result of a run: ledger transactions read, lines and exceptions written, exceptions that got their line."""

    transactions: int = 0
    lines: int = 0
    exceptions: int = 0
    exceptions_settled: int = 0

    def add(self, other: "Produced") -> None:
        self.transactions += other.transactions
        self.lines += other.lines
        self.exceptions += other.exceptions
        self.exceptions_settled += other.exceptions_settled


class Pace(NamedTuple):
    """A round that begins its buckets evenly over `seconds`, and ends early once `stop` is set."""

    stop: asyncio.Event
    seconds: float


def silent(_: str) -> None:
    """Report nothing."""


class Production:
    """A producer of lines over one pool of `redemption.database.open_pool`. Several may run at once."""

    def __init__(
        self,
        pool: Pool,
        *,
        batch_transactions: int = BATCH_TRANSACTIONS,
        takeover_seconds: float = TAKEOVER_SECONDS,
        busy_transactions: int = BUSY_TRANSACTIONS,
        busy_round_seconds: float = BUSY_ROUND_SECONDS,
    ) -> None:
        assert batch_transactions > 0
        self._busy_transactions = busy_transactions
        self._busy_round_seconds = busy_round_seconds
        self._takeover_seconds = takeover_seconds
        self._pool = pool
        self._batch = batch_transactions
        self._queries = named_queries("settlement", "production")

    async def run(self, say: Say = silent, pace: Pace | None = None) -> Produced:
        """Settle what the ledger has now (with a `pace`: bucket by bucket) and retry exceptions after a new agreement.

        Raises PostgreSQL's faults; nothing is lost or done twice by calling it again.
        """
        total = Produced()
        await self._pool.execute(self._queries["create_marks"])
        behind = [row["bucket"] for row in await self._pool.fetch(self._queries["buckets_behind"])]
        # Free buckets come first; then the skipped ones, waiting for the processes that hold them.
        for wait in (False, True):
            skipped = []
            for bucket in behind:
                if pace is not None and await set_within(pace.stop, pace.seconds / len(behind)):
                    return total
                if not await self._taking_over(partial(self._bucket, bucket, wait, total, say)):
                    skipped.append(bucket)
            behind = skipped
        serial = await self._pool.fetchval(named_queries("settlement", "agreements")["latest_serial"])
        for row in await self._pool.fetch(self._queries["buckets_with_exceptions"], serial):
            while (retried := await self._taking_over(partial(self._retry, row["bucket"]))) is not None:
                total.add(retried)
        return total

    async def follow(self, stop: asyncio.Event, say: Say = silent) -> None:
        """Run again and again until stopped; ride out a PostgreSQL that is away."""
        pace: Pace | None = None
        pause = FOLLOW_SECONDS
        while not stop.is_set():
            try:
                produced = await self.run(pace=pace)
                if produced.lines or produced.exceptions:
                    say(f"{produced.lines} lines, {produced.exceptions} exceptions")
                busy = produced.transactions >= self._busy_transactions
                pace = Pace(stop, self._busy_round_seconds) if busy else None
                pause = FOLLOW_SECONDS
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as fault:
                logger.warning("settlement waits %.0f s: %s", pause, type(fault).__name__)
                pause = min(2 * pause, RETRY_SECONDS_MAX)
            await set_within(stop, pause)

    async def _bucket(self, bucket: int, wait: bool, total: Produced, say: Say) -> bool:
        """Settle a bucket up to the ledger's end. Returns False where another process holds it."""
        while True:
            done = await self._step(bucket, wait)
            if done is None:
                return False
            before = total.transactions // 50_000
            total.add(done)
            if total.transactions // 50_000 > before:
                say(f"{total.transactions} ledger transactions, {total.lines} lines")
            if done.transactions < self._batch:
                return True

    async def _taking_over(self, work: Callable[[], Awaitable[T]]) -> T:
        """Settle a bucket; try once more where the holder that it waited for hung and was ended."""
        try:
            return await work()
        except asyncpg.LockNotAvailableError:
            ended = await self._pool.fetch(self._queries["end_stalled"], timedelta(seconds=self._takeover_seconds))
            if not ended:
                raise
            logger.warning("settlement: ended %d session(s) of a process that hangs in a batch", len(ended))
            return await work()

    async def _begin(self, connection: Connection) -> None:
        idle_ms = int(self._takeover_seconds * 1000)
        lock_ms = int(idle_ms * LOCK_WAIT_RATIO)
        await connection.fetch(self._queries["limit_transaction"], f"{lock_ms}ms", f"{idle_ms}ms")

    async def _step(self, bucket: int, wait: bool) -> Produced | None:
        """Settle one batch. Returns None where another process holds the bucket."""
        async with asyncio.timeout(BATCH_SECONDS), self._pool.acquire() as connection, connection.transaction():
            await self._begin(connection)
            mark = await connection.fetchrow(self._queries["lock_mark" if wait else "try_mark"], bucket)
            if mark is None:
                return None
            closed_through = await connection.fetchval(self._queries["hold_books"])
            rows = await connection.fetch(self._queries["next_transactions"], bucket, *mark, self._batch)
            if not rows:
                await self._catch_up(connection, bucket, mark)
                return Produced()
            uses = await self._uses(connection, bucket, rows)
            agreements = await read_agreements(connection)
            originals = await self._originals(connection, uses)
            lines, unsettled = settle(uses, agreements, originals, closed_through)
            await self._write(connection, lines, unsettled, agreements.serial)
            last = rows[-1]
            await connection.execute(
                self._queries["advance_mark"], bucket, last["epoch"], last["entry_ms"], last["entry_seq"]
            )
        return Produced(len(rows), len(lines), len(unsettled))

    async def _catch_up(self, connection: Connection, bucket: int, mark: Any) -> None:
        # Dead letters move the ledger's watermark and leave no transaction. The watermark is read first: the second
        # look sees everything that was committed up to it.
        watermark = await connection.fetchrow(self._queries["watermark"], bucket)
        assert watermark is not None
        if not await connection.fetch(self._queries["next_transactions"], bucket, *mark, 1):
            await connection.execute(self._queries["advance_mark"], bucket, *watermark)

    async def _uses(self, connection: Connection, bucket: int, rows: Sequence[Any]) -> list[Use]:
        """Return the uses of these transactions, in order."""
        captured = [row["subject_id"] for row in rows if row["kind"] == "capture"]
        held_legs: dict[str, object] = {}
        if captured:
            for row in await connection.fetch(self._queries["legs_of_holds"], captured):
                held_legs[row["subject_id"]] = legs_of(row)
        places = await read_places(connection)
        uses: list[Use] = []
        for row in rows:
            found = redeemed_postings(row["moves"], row["business"])
            if found:
                legs = held_legs.get(row["subject_id"]) if row["kind"] == "capture" else legs_of(row)
                uses += uses_of(row, bucket, found, legs, places)
        return uses

    async def _originals(self, connection: Connection, uses: Sequence[Use]) -> dict[Key, Original]:
        subjects = sorted({use.subject_id for use in uses if use.units < 0})
        if not subjects:
            return {}
        rows = await connection.fetch(self._queries["lines_of_subjects"], subjects)
        return originals_of(Line(*row) for row in rows)

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        if lines:
            await connection.copy_records_to_table("settlement_line", records=lines, columns=list(Line._fields))
        if unsettled:
            await connection.copy_records_to_table(
                "settlement_exception",
                records=[(*use, reason, serial) for use, reason in unsettled],
                columns=list(EXCEPTION_COLUMNS),
            )

    async def _retry(self, bucket: int) -> Produced | None:
        """Retry a batch of a bucket's exceptions. Returns None where all were tried with this state."""
        async with asyncio.timeout(BATCH_SECONDS), self._pool.acquire() as connection, connection.transaction():
            await self._begin(connection)
            await connection.fetchrow(self._queries["lock_mark"], bucket)
            closed_through = await connection.fetchval(self._queries["hold_books"])
            agreements = await read_agreements(connection)
            rows = await connection.fetch(self._queries["open_exceptions"], bucket, agreements.serial, self._batch)
            if not rows:
                return None
            uses = [Use(*row) for row in rows]
            lines, unsettled = settle(uses, agreements, await self._originals(connection, uses), closed_through)
            await self._write(connection, lines, (), agreements.serial)
            await connection.execute(self._queries["exceptions_settled"], [line.line_id for line in lines])
            await connection.execute(
                self._queries["exceptions_tried"],
                [item.use.line_id for item in unsettled],
                [item.reason for item in unsettled],
                agreements.serial,
            )
        return Produced(exceptions_settled=len(lines), lines=len(lines))
