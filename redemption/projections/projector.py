"""One ordered reader of the ledger that feeds every projection.

Guarantees:
  * A projection's rows and its mark of a bucket are committed in one transaction, under the locked row of the mark,
    which is read in that same transaction. So two processes never apply a bucket's rows at the same time, one that was
    killed leaves nothing half done, and one that was paused is ended by the server before it could go on.
  * Projections that are in step share a read, its decoding and the transaction. One that raises or takes longer than
    its limit is stopped by itself: the batch is rolled back and done again for the others. It is tried again later from
    its mark, alone, as is one that is new or far behind, in small batches in turn with others like it. Once it has
    caught up it goes on with the others.
  * A projection that was registered after months were archived is not begun before a person has decided how.
  * Memory is bounded by the batch.

Does not guarantee to see what the ledger does not have yet. A projection that hangs while it is in step holds the
others for its limit, once; one that keeps the interpreter busy without waiting holds them until it ends.
"""

import asyncio
import logging
import traceback
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import asyncpg

from redemption.database import FAULTS, Connection, Pool
from redemption.domain.errors import StorageError
from redemption.projections.projection import Projection
from redemption.projections.rows import Place, read_rows
from redemption.queries import named_queries
from redemption.waiting import end_tasks, set_within

BATCH_TRANSACTIONS: Final = 4_000
CATCH_UP_TRANSACTIONS: Final = 1_000
APPLY_SECONDS: Final = 15.0
BATCH_SECONDS: Final = 60.0
TAKEOVER_SECONDS: Final = 10.0
LOCK_WAIT_RATIO: Final = 1.5  # a process that waits for a bucket outlives one that hangs with it
FOLLOW_SECONDS: Final = 1.0
# A batch of a bucket costs a transaction and a dozen round trips whether it has ten rows or a thousand. Where much
# comes in, a round takes its time, one bucket after the other: fewer and evenly spaced syncs beside the hot store's.
BUSY_TRANSACTIONS: Final = 1_000
BUSY_ROUND_SECONDS: Final = 10.0  # closing a month waits for it, 20 s at most
RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 15.0
STOP_SECONDS: Final = 5.0

_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.CrashShutdownError,
    ConnectionError,
)
"""Faults of the server or the connection, whichever projection met them."""

T = TypeVar("T")
Say = Callable[[str], None]
logger = logging.getLogger(__name__)


class Pace(NamedTuple):
    """A round that begins its buckets evenly over `seconds`, and ends early once `stop` is set."""

    stop: asyncio.Event
    seconds: float


class ProjectionFailed(StorageError):
    """A projection raised, or took too long; the cause is its fault."""

    def __init__(self, projection: Projection, fault: Exception) -> None:
        super().__init__(projection.name)
        self.projection = projection
        self.fault = fault

    def reason(self) -> str:
        """Return the kind of the fault and where it was raised: messages may quote content of rows."""
        frames = traceback.extract_tb(self.fault.__traceback__)
        frame = next((each for each in reversed(frames) if "asyncpg" not in each.filename), frames[-1])
        return f"{type(self.fault).__name__} in {Path(frame.filename).name}:{frame.lineno}"


class _Step(NamedTuple):
    """A batch of a bucket. `complete`: no mark was held by another process."""

    transactions: int
    complete: bool


@dataclass(slots=True)
class ProjectorFigures:
    """Counts since the start of this projector; `stopped` says why a projection is stopped."""

    transactions: int = 0
    stops: int = 0
    stopped: dict[str, str] = field(default_factory=dict)


def silent(_: str) -> None:
    """Report nothing."""


class Projector:
    """A projector over one pool of `redemption.database.open_pool`. Several may run at once."""

    def __init__(
        self,
        pool: Pool,
        projections: Sequence[Projection],
        *,
        batch_transactions: int = BATCH_TRANSACTIONS,
        catch_up_transactions: int = CATCH_UP_TRANSACTIONS,
        apply_seconds: float = APPLY_SECONDS,
        takeover_seconds: float = TAKEOVER_SECONDS,
        busy_transactions: int = BUSY_TRANSACTIONS,
        busy_round_seconds: float = BUSY_ROUND_SECONDS,
    ) -> None:
        assert batch_transactions > 0
        assert catch_up_transactions > 0
        self.figures = ProjectorFigures()
        self._pool = pool
        self._batch = batch_transactions
        self._catch_up_batch = catch_up_transactions
        self._apply_seconds = apply_seconds
        self._takeover_seconds = takeover_seconds
        self._busy_transactions = busy_transactions
        self._busy_round_seconds = busy_round_seconds
        self._queries = named_queries("projections", "projector")
        self._projections = {projection.name: projection for projection in projections}
        self._in_step = list(projections)
        self._apart: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()  # first come, first served: those that catch up take turns

    async def run(self, say: Say = silent, pace: Pace | None = None) -> int:
        """Apply what the ledger has now to every projection, and return the number of transactions read.

        With a `pace` bucket by bucket. A projection that fails does not keep the others from it; its fault is raised in
        the end. Raises PostgreSQL's faults too; nothing is lost or done twice by calling it again.
        """
        failed: list[ProjectionFailed] = []
        await self._pool.execute(self._queries["create_marks"], list(self._projections))
        try:
            return await self._round(say, pace, failed.append)
        finally:
            self._in_step += [failure.projection for failure in failed]
            if failed:
                raise failed[0].fault

    async def follow(self, stop: asyncio.Event, say: Say = silent) -> None:
        """Run again and again until stopped; ride out a PostgreSQL that is away."""
        following = asyncio.create_task(self._follow(stop, say), name="the projector")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((following,), timeout=STOP_SECONDS)
            if following.done():
                following.result()  # a fault is raised to the caller
        finally:
            await end_tasks(following, stopping, *self._apart.values())

    async def _follow(self, stop: asyncio.Event, say: Say) -> None:
        pace: Pace | None = None
        pause = RETRY_SECONDS
        begun = False
        while not stop.is_set():
            try:
                await self._pool.execute(self._queries["create_marks"], list(self._projections))
                if not begun:
                    await self._set_out(stop)
                    begun = True
                read = await self._round(say, pace, lambda failure: self._stop(failure, stop))
                pace = Pace(stop, self._busy_round_seconds) if read >= self._busy_transactions else None
                pause = RETRY_SECONDS
                await set_within(stop, FOLLOW_SECONDS)
            except FAULTS as fault:
                logger.warning("projector waits %.0f s: %s", pause, type(fault).__name__)
                await set_within(stop, pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _set_out(self, stop: asyncio.Event) -> None:
        """Let those that another has read further than, and those not begun, go apart."""
        rows = await self._pool.fetch(self._queries["in_step"], list(self._projections))
        in_step = {row["name"] for row in rows} - await self._not_begun()
        self._in_step = [projection for name, projection in self._projections.items() if name in in_step]
        for name, projection in self._projections.items():
            if name not in in_step:
                self._go_apart(projection, stop, None)

    async def _not_begun(self) -> set[str]:
        return {row["name"] for row in await self._pool.fetch(self._queries["not_begun"], list(self._projections))}

    # These are the steps of the projections that go together.

    async def _round(self, say: Say, pace: Pace | None, stop: Callable[[ProjectionFailed], None]) -> int:
        """Apply what there is to all that are in step. Returns the number of transactions read."""
        read = 0
        names = [projection.name for projection in self._in_step]
        behind = [row["bucket"] for row in await self._pool.fetch(self._queries["buckets_behind"], names)]
        # Free buckets come first; then the skipped ones, waiting for the processes that hold them.
        for wait in (False, True):
            skipped = []
            for bucket in behind:
                if pace is not None and await set_within(pace.stop, pace.seconds / len(behind)):
                    return read
                complete = False
                while self._in_step:
                    step = await self._together(partial(self._step, bucket, wait=wait, limit=self._batch), stop)
                    if step is None:
                        continue
                    before, read, complete = read // 50_000, read + step.transactions, step.complete
                    if read // 50_000 > before:
                        say(f"{read} ledger transactions")
                    if step.transactions < self._batch or not complete:
                        break
                if not complete:
                    skipped.append(bucket)
            behind = skipped
        for projection in list(self._in_step):
            await self._together(partial(self._retry, projection), stop)
        return read

    async def _together(
        self, work: Callable[[Sequence[Projection]], Awaitable[T]], stop: Callable[[ProjectionFailed], None]
    ) -> T | None:
        """Do a step for all that are in step. Returns None where one of them failed: it is not in step any more."""
        try:
            return await self._taking_over(partial(work, tuple(self._in_step)))
        except ProjectionFailed as failure:
            self._in_step.remove(failure.projection)
            stop(failure)
            return None

    async def _taking_over(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a step; do it once more where the holder that it waited for hung and was ended."""
        try:
            return await work()
        except asyncpg.LockNotAvailableError:
            ended = await self._pool.fetch(self._queries["end_stalled"], timedelta(seconds=self._takeover_seconds))
            if not ended:
                raise
            logger.warning("projector: ended %d session(s) of a process that hangs in a batch", len(ended))
            return await work()

    async def _begin(self, connection: Connection) -> None:
        lock, idle = LOCK_WAIT_RATIO * self._takeover_seconds, self._takeover_seconds
        limits = (lock, idle, max(self._apply_seconds, lock + 1))  # a wait for a lock ends as one, not as a statement
        await connection.fetch(self._queries["limit_transaction"], *(f"{int(1000 * limit)}ms" for limit in limits))

    async def _step(self, bucket: int, projections: Sequence[Projection], *, wait: bool, limit: int) -> _Step:
        """Apply a batch of a bucket to these projections. Marks that another process holds are passed over or waited
        for."""
        async with asyncio.timeout(BATCH_SECONDS), self._pool.acquire() as connection, connection.transaction():
            await self._begin(connection)
            names = [projection.name for projection in projections]
            locked = await connection.fetch(self._queries["lock_marks" if wait else "try_marks"], bucket, names)
            marks = {row[0]: Place(*row[1:]) for row in locked}
            if not marks:
                return _Step(0, complete=wait)
            after = min(marks.values())
            rows = await read_rows(connection, bucket, after, limit)
            end = rows[-1].place if rows else await self._dead_letters(connection, bucket, after)
            behind = [name for name, mark in marks.items() if mark < end]
            if rows:
                for projection in projections:
                    if projection.name in behind:
                        mine = rows[bisect_right(rows, marks[projection.name], key=lambda row: row.place) :]
                        await self._limited(projection, projection.apply(connection, mine))
            await connection.execute(self._queries["advance_marks"], bucket, behind, *end)
        self.figures.transactions += len(rows)
        return _Step(len(rows), complete=len(marks) == len(projections))

    async def _dead_letters(self, connection: Connection, bucket: int, after: Place) -> Place:
        """Return the place up to which no row comes any more: dead letters move the watermark and leave none."""
        # The watermark is read first: the second look sees everything that was committed up to it.
        watermark = await connection.fetchrow(self._queries["watermark"], bucket)
        assert watermark is not None
        return after if await read_rows(connection, bucket, after, 1) else max(after, Place(*watermark))

    async def _limited(self, projection: Projection, work: Awaitable[T]) -> T:
        """Await a projection's own work for its time at most. Raises `ProjectionFailed` for what it raises."""
        try:
            async with asyncio.timeout(self._apply_seconds):
                return await work
        except _AWAY:
            raise
        except Exception as fault:
            raise ProjectionFailed(projection, fault) from fault

    async def _retry(self, projection: Projection, _: Sequence[Projection] = ()) -> None:
        """Let a projection look again at what it could not finish."""
        async with self._pool.acquire() as connection:
            buckets = await self._limited(projection, projection.buckets_to_retry(connection))
        for bucket in buckets:
            while await self._taking_over(partial(self._retry_bucket, projection, bucket)):
                pass

    async def _retry_bucket(self, projection: Projection, bucket: int) -> bool:
        async with asyncio.timeout(BATCH_SECONDS), self._pool.acquire() as connection, connection.transaction():
            await self._begin(connection)
            await connection.fetch(self._queries["lock_marks"], bucket, [projection.name])
            return await self._limited(projection, projection.retry(connection, bucket))

    # These are the steps of a projection that goes apart: stopped, new, or far behind.

    def _stop(self, failure: ProjectionFailed, stop: asyncio.Event) -> None:
        self._go_apart(failure.projection, stop, failure)

    def _go_apart(self, projection: Projection, stop: asyncio.Event, failure: ProjectionFailed | None) -> None:
        name = projection.name
        self._apart[name] = asyncio.create_task(self._catch_up(projection, stop, failure), name=f"projection {name}")

    async def _catch_up(self, projection: Projection, stop: asyncio.Event, failure: ProjectionFailed | None) -> None:
        """Bring a projection up to the others, trying again after every failure; then it goes on with them."""
        pause = RETRY_SECONDS
        while not stop.is_set():
            try:
                if failure is not None:
                    await self._note_stop(projection, failure.reason())
                    failure = None
                    await set_within(stop, pause)
                    pause = min(2 * pause, RETRY_SECONDS_MAX)
                if projection.name in await self._not_begun():
                    await self._note_stop(
                        projection,
                        f"months were archived before it was registered: `tong projections begin {projection.name}`",
                    )
                    await set_within(stop, RETRY_SECONDS_MAX)
                elif await self._caught_up(projection, stop):
                    await self._pool.execute(self._queries["goes_on"], projection.name)
                    self.figures.stopped.pop(projection.name, None)
                    self._in_step.append(projection)
                    return
            except ProjectionFailed as again:
                failure = again
            except FAULTS as fault:
                logger.warning("projection %s waits %.0f s: %s", projection.name, pause, type(fault).__name__)
                await set_within(stop, pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _note_stop(self, projection: Projection, reason: str) -> None:
        """Make a stop known: to the log, the metrics and `tong projections status`."""
        if self.figures.stopped.get(projection.name) != reason:
            logger.error("projection %s is stopped: %s", projection.name, reason)
        self.figures.stopped[projection.name] = reason
        self.figures.stops += 1
        await self._pool.execute(self._queries["stopped"], projection.name, reason)

    async def _caught_up(self, projection: Projection, stop: asyncio.Event) -> bool:
        """Apply batches until each bucket has less than one left. Returns False where a stop was requested."""
        loop = asyncio.get_running_loop()
        full = True
        while full:
            full = False
            await self._pool.execute(self._queries["create_marks"], [projection.name])
            for row in await self._pool.fetch(self._queries["buckets_behind"], [projection.name]):
                work = partial(self._step, row["bucket"], (projection,), wait=True, limit=self._catch_up_batch)
                transactions = self._catch_up_batch
                while transactions == self._catch_up_batch:
                    async with self._turn:
                        began = loop.time()
                        transactions = (await self._taking_over(work)).transactions
                        taken = loop.time() - began
                    full = full or transactions == self._catch_up_batch
                    # Half of the time is left to the others.
                    if await set_within(stop, taken):
                        return False
        await self._retry(projection)
        return True
