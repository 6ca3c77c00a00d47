"""The ledger writer: from the hot store's streams into PostgreSQL, every entry once, in order per bucket.

Guarantees:
  * An entry's rows and its bucket's watermark are committed together, fenced (redemption/ledger/store.py). Killed,
    paused, run twice, with either server coming and going: each entry is in the ledger once, none is left out.
  * A malformed entry becomes a dead letter, counts as a row of its epoch and stops nothing.
  * Entries are removed from a stream only behind the committed watermark.
  * A bucket whose stream and ledger disagree (another epoch, a stream that ends before the watermark, another number of
    entries than rows) is stopped, frozen in the hot store (redemption/ledger/freezing.py) and said so; the others go
    on. It goes on itself once a rebuild has given both stores a new epoch.
  * A batch is committed only if it came from the very server process whose streams were last found to agree.

Does not guarantee that a stream exchanged under a running server process (FLUSHALL, RESTORE) is seen before the next
look, `TEND_SECONDS` later. Logs hold no content of entries.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from redemption.domain.clock import Clock, system_clock
from redemption.domain.errors import ConflictError
from redemption.ledger.entries import Entry, Malformed, Position, decode_entry
from redemption.ledger.status import (
    BucketStatus,
    WriterFigures,
    WriterStatus,
    disagreement,
    disagreement_of_ends,
)
from redemption.ledger.store import (
    PIECE_ENTRIES,
    AlreadyWritten,
    Item,
    LedgerStore,
    LockHeld,
    PostgresAway,
    RowRefused,
    Watermark,
)
from redemption.ledger.streams import Fields, LedgerStreams, Sight, ValkeyAway
from redemption.waiting import AT_ONCE, Spread, end_tasks, set_within

BATCH_ENTRIES_MAX: Final = 2_000
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
BLOCK_MS: Final = 200  # a stop may wait this long for an idle reader
TEND_SECONDS: Final = 1.0
# A transaction costs nearly the same for one entry and for a thousand: after a small one the next has time to gather.
# Meanwhile the one at hand is worked off in pieces: scans that share the machine wait for a piece, not for all of it.
# Under so much load that it would fall behind, the whole batch is worked off at once.
ROUND_SECONDS: Final = 0.2
ENTRY_SECONDS: Final = 0.000_2  # it is several times the cost of an entry
BUSY_ENTRIES: Final = 1_000
BACK_OFF_FIRST_SECONDS: Final = 0.1
BACK_OFF_MAX_SECONDS: Final = 5.0
STOP_SECONDS: Final = 10.0
COMPARE_ATTEMPTS: Final = 5
POSITION_MAX: Final = 2**63 - 1  # a bigint holds no more

logger = logging.getLogger(__name__)


class LedgerStopped(ConflictError):
    """Every bucket is stopped: stream and ledger disagree and a person has to look."""


class LedgerWriter:
    """One writer over `buckets`. More than one may run: they fence each other, and one that hangs is taken over."""

    def __init__(
        self,
        streams: LedgerStreams,
        store: LedgerStore,
        buckets: Sequence[int],
        *,
        clock: Clock = system_clock,
        tend_seconds: float = TEND_SECONDS,
        back_off_max_seconds: float = BACK_OFF_MAX_SECONDS,
    ) -> None:
        if not buckets:
            raise ValueError("a ledger writer without buckets")
        self.figures = WriterFigures()
        self._streams = streams
        self._store = store
        self._buckets = sorted(set(buckets))
        self._clock = clock
        self._tend_seconds = tend_seconds
        self._back_off_max_seconds = back_off_max_seconds
        self._marks: dict[int, Watermark] = {}
        self._server: str | None = None  # the process whose streams agree with _marks; None until it was checked
        self._stopped: dict[int, str] = {}
        self._stopped_in: dict[int, tuple[int, int | None]] = {}  # epochs of ledger and hot store when it was stopped
        self._waiting: set[int] = set()  # buckets the hot store does not have yet
        self._tended_at = float("-inf")
        self._batch_limit = BATCH_ENTRIES_MAX

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set. Raises LedgerStopped when no bucket is left to write for."""
        away: str | None = None
        back_off = BACK_OFF_FIRST_SECONDS
        while not stop.is_set():
            try:
                began = self._loop_seconds()
                gather = await self._turn()
            except (PostgresAway, ValkeyAway) as fault:
                self._server = None
                name = "PostgreSQL" if isinstance(fault, PostgresAway) else "the hot store"
                if name == "PostgreSQL":
                    self.figures.postgres_faults += 1
                    if isinstance(fault, LockHeld):
                        await self._take_over()
                else:
                    self.figures.valkey_faults += 1
                if away != name:
                    logger.warning("ledger writer: %s is away (%s); trying again", name, fault)
                away = name
                await set_within(stop, back_off)
                back_off = min(back_off * 2, self._back_off_max_seconds)
            else:
                if away is not None:
                    logger.warning("ledger writer: %s is back", away)
                away, back_off = None, BACK_OFF_FIRST_SECONDS
                if gather:
                    await set_within(stop, began + ROUND_SECONDS - self._loop_seconds())

    async def _turn(self) -> bool:
        """Take one batch, if there is one. Returns whether the next one should have time to gather."""
        if self._server is None:
            await self._begin()
        elif self._loop_seconds() - self._tended_at >= self._tend_seconds:
            await self._tend()
        if len(self._stopped) == len(self._buckets):
            raise LedgerStopped(f"all {len(self._buckets)} buckets are stopped: {self._reasons()}")
        positions = {bucket: self._marks[bucket].position for bucket in self._active()}
        if not positions:
            await asyncio.sleep(BLOCK_MS / 1000)  # nothing is installed yet; _tend looks again
            return False
        reading = await self._streams.read(positions, self._batch_limit, BLOCK_MS)
        if reading.server != self._server:
            logger.warning("ledger writer: the hot store was restarted or replaced; looking at every bucket")
            self._server = None
            return False
        spread = spread_of(sum(map(len, reading.entries.values())))
        items = await self._items(reading.entries, spread)
        if items:
            await self._record(items, spread)
        return 0 < len(items) < BUSY_ENTRIES

    async def _items(self, entries: Mapping[int, list[tuple[Position, Fields]]], spread: Spread) -> list[Item]:
        """Decode entries in order, up to BATCH_BYTES_MAX; the rest is read again with the next batch."""
        items: list[Item] = []
        size = 0
        for bucket, found in entries.items():
            for position, fields in found:
                if max(position) > POSITION_MAX:
                    self._stop(bucket, "an entry id does not fit the ledger")
                    break
                size += sum(map(len, fields.values()))
                if size > BATCH_BYTES_MAX and items:
                    self._batch_limit = max(1, len(items))
                    return items
                if len(items) % PIECE_ENTRIES == 0:
                    await spread.piece()
                items.append(Item(bucket, position, decode_entry(fields), fields))
        self._batch_limit = min(2 * self._batch_limit, BATCH_ENTRIES_MAX)
        return items

    async def _record(self, items: list[Item], spread: Spread) -> None:
        """Commit the items; halve a batch that the database refuses until the refused row is alone."""
        batches = [items]
        while batches:
            batch = [item for item in batches.pop() if item.bucket not in self._stopped]
            if not batch:
                continue
            try:
                moved = await self._store.commit(batch, self._marks, spread)
            except (RowRefused, AlreadyWritten) as refused:
                if len(batch) > 1:
                    half = len(batch) // 2
                    batches += [batch[half:], batch[:half]]
                elif isinstance(refused, AlreadyWritten):
                    epoch = self._marks[batch[0].bucket].epoch
                    await self._freeze(batch[0].bucket, epoch, "rows behind the watermark are in the ledger already")
                elif isinstance(batch[0].content, Entry):
                    reason = Malformed(f"the database refuses it: {refused}")
                    batches.append([batch[0]._replace(content=reason)])
                else:
                    self._stop(batch[0].bucket, f"the database refuses a dead letter: {refused}")
                continue
            if moved is None:
                # Another writer went on. Its work is in the watermarks; begin again from there.
                self.figures.batches_fenced += 1
                self._server = None
                return
            self._marks |= moved
            self._count(batch)

    def _count(self, batch: Sequence[Item]) -> None:
        self.figures.batches += 1
        for bucket, position, content, _ in batch:
            if isinstance(content, Malformed):
                self.figures.dead_letters += 1
                logger.error(
                    "ledger writer: bucket %d entry %d-%d is a dead letter: %s", bucket, *position, content.reason
                )
            else:
                self.figures.transactions += 1

    async def _begin(self) -> None:
        """Begin from the committed watermarks, after comparing every bucket's stream with them. Removes nothing."""
        server = await self._streams.server()
        self._marks = await self._store.watermarks(self._buckets)
        sights = await self._streams.look([b for b in self._buckets if b not in self._stopped])
        self._waiting.clear()
        for bucket, sight in sights.items():
            await self._compare(bucket, sight)
        # It is read before the looks: if the server was replaced in between, the next reading shows it.
        self._server = server
        self._tended_at = self._loop_seconds()

    async def _compare(self, bucket: int, sight: Sight) -> None:
        """Stop the bucket if stream and ledger disagree twice at one watermark.

        Once is not enough: another writer may have committed or trimmed between the looks.
        """
        doubted: Watermark | None = None
        for _ in range(COMPARE_ATTEMPTS):
            mark = self._marks[bucket]
            if not sight.poisoned and sight.epoch is None and mark.rows == 0 and sight.added == 0:
                self._waiting.add(bucket)
                return
            behind = 0
            if sight.first is not None and sight.first <= mark.position:
                behind = await self._streams.count_up_to(bucket, mark.position)
            reason = disagreement(mark, sight, behind)
            if reason is None:
                return
            if doubted == mark:
                await self._freeze(bucket, sight.epoch, reason)
                return
            doubted = mark
            self._marks |= await self._store.watermarks([bucket])
            sight = (await self._streams.look([bucket]))[bucket]
        # The watermark moved at every look: another writer is at work and the next look, a second away, decides.

    async def _tend(self) -> None:
        """Trim behind the watermarks and compare every bucket again, now exactly and without counting."""
        looked = await self._streams.look(self._active())
        to_trim: set[int] = set()
        for bucket, sight in looked.items():
            mark = self._marks[bucket]
            if sight.first is not None and sight.first <= mark.position:
                to_trim.add(bucket)
                reason = disagreement_of_ends(mark, sight)
            else:
                reason = disagreement(mark, sight, 0)
            if reason is not None:
                await self._compare(bucket, sight)
        watermarks = {b: self._marks[b].position for b in to_trim.intersection(self._active())}
        removed, sights = await self._streams.trim(watermarks)
        self.figures.entries_trimmed += removed
        for bucket, sight in sights.items():
            if disagreement(self._marks[bucket], sight, 0) is not None:
                await self._compare(bucket, sight)
        if self._waiting:
            sights = await self._streams.look(sorted(self._waiting))
            for bucket in [b for b, sight in sights.items() if sight.epoch is not None or sight.added]:
                self._waiting.discard(bucket)
                await self._compare(bucket, sights[bucket])
        if self._stopped:
            await self._resume_rebuilt()
        self._tended_at = self._loop_seconds()

    async def _resume_rebuilt(self) -> None:
        """Resume stopped buckets whose stores are in one epoch again, another than the one they were stopped in."""
        stopped = sorted(self._stopped)
        marks = await self._store.watermarks(stopped)
        for bucket, sight in (await self._streams.look(stopped)).items():
            mark = marks[bucket]
            if sight.epoch == mark.epoch and self._stopped_in[bucket] != (mark.epoch, sight.epoch):
                logger.warning("ledger writer: bucket %d goes on in epoch %d", bucket, mark.epoch)
                del self._stopped[bucket], self._stopped_in[bucket]
                self._marks[bucket] = mark
                self.figures.buckets_stopped = len(self._stopped)

    async def _take_over(self) -> None:
        with suppress(PostgresAway):
            ended = await self._store.end_stalled_writers()
            if ended:
                logger.warning("ledger writer: ended %d session(s) of a writer that hangs in a transaction", ended)

    def _active(self) -> list[int]:
        return [b for b in self._buckets if b not in self._stopped and b not in self._waiting]

    async def _freeze(self, bucket: int, epoch: int | None, reason: str) -> None:
        """Stop the bucket and, while the hot store still is in the epoch of the disagreement, freeze it."""
        self._stop(bucket, reason)
        self._stopped_in[bucket] = (self._marks[bucket].epoch, epoch)
        if await self._streams.freeze(bucket, epoch, reason):
            logger.critical("ledger writer: bucket %d is frozen until `tong rebuild`", bucket)

    def _stop(self, bucket: int, reason: str) -> None:
        self._stopped[bucket] = reason
        epoch = self._marks[bucket].epoch
        self._stopped_in[bucket] = (epoch, epoch)
        self.figures.buckets_stopped = len(self._stopped)
        logger.critical("ledger writer: bucket %d is stopped: %s", bucket, reason)

    def _reasons(self) -> str:
        return "; ".join(sorted(set(self._stopped.values())))

    def _loop_seconds(self) -> float:
        return asyncio.get_running_loop().time()

    async def status(self) -> WriterStatus:
        """Return the status of every bucket now. Raises ValkeyAway or PostgresAway."""
        marks = await self._store.watermarks(self._buckets)
        sights = await self._streams.look(self._buckets)
        oldest = await self._streams.oldest_after({bucket: mark.position for bucket, mark in marks.items()})
        now_ms = self._clock() * 1000
        statuses = []
        for bucket, mark in marks.items():
            first = oldest[bucket]
            statuses.append(
                BucketStatus(
                    bucket=bucket,
                    epoch=mark.epoch,
                    watermark=mark.position,
                    rows=mark.rows,
                    backlog=max(0, sights[bucket].added - mark.rows),
                    behind_seconds=max(0.0, (now_ms - first.ms) / 1000) if first else 0.0,
                    stopped=self._stopped.get(bucket),
                    waiting=bucket in self._waiting,
                )
            )
        return WriterStatus(tuple(sorted(statuses, key=lambda status: status.bucket)))


def spread_of(entries: int) -> Spread:
    """Return how the work on this many entries is spread: decoding, and the rows."""
    if entries >= BUSY_ENTRIES:
        return AT_ONCE
    return Spread(entries * ENTRY_SECONDS, 2 * -(-entries // PIECE_ENTRIES))


async def run_writer(writer: LedgerWriter, stop: asyncio.Event) -> None:
    """Run until `stop`, then let the batch in hand finish, at most STOP_SECONDS; an unfinished batch is rolled back."""
    running = asyncio.create_task(writer.run(stop), name="the ledger writer")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((running,), timeout=STOP_SECONDS)
        if running.done():
            running.result()  # a fault is raised to the caller
        else:
            logger.warning("ledger writer: the last batch was cut off; it is written at the next start")
    finally:
        await end_tasks(running, stopping)
