"""The ledger's tables, as the ledger writer sees them.

Guarantees: the rows of a batch and the watermarks behind them are committed in one transaction, under the locked
watermark rows, and only where those still are what the batch was read from. So a second writer, or one that was paused
and woke up, cannot write anything twice: its batch comes back as `None` and nothing of it is kept. A commit is flushed
to disk before it is reported. After any error the outcome of the last commit is unknown: read the watermarks again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from redemption.domain.errors import ConflictError, StorageError
from redemption.ledger.entries import (
    COPY_BEGIN,
    COPY_END,
    DEAD_LETTER_COLUMNS,
    TRANSACTION_COLUMNS,
    Entry,
    Malformed,
    Position,
    transaction_row,
)
from redemption.ledger.streams import Fields
from redemption.queries import named_queries
from redemption.waiting import AT_ONCE, Spread

COMMIT_SECONDS: Final = 30.0
TAKEOVER_SECONDS: Final = 10.0
PIECE_ENTRIES: Final = 100  # a piece is two milliseconds of work, PostgreSQL's included
DAY_MS: Final = 86_400_000
UNIX_DAY: Final = date(1970, 1, 1)
DEAD_FIELDS_MAX: Final = 64
DEAD_VALUE_CHARACTERS_MAX: Final = 65_536
PARTITIONED: Final = ("ledger_transaction", "ledger_posting_row")
MONTHS_REMEMBERED_MAX: Final = 1_200  # 2020 to 2100

AWAY: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

Pool = asyncpg.Pool
Session = Any  # a pool lends it; asyncpg names that type only in its stubs


class PostgresAway(StorageError):
    """PostgreSQL did not answer, or could not do its work now. Holds the kind of fault, no content."""


class LockHeld(PostgresAway):
    """Another session holds the watermarks for too long."""


class RowRefused(StorageError):
    """PostgreSQL refuses a row of the batch for its content, and would refuse it again. Nothing was kept."""


class AlreadyWritten(ConflictError):
    """The rows of an entry behind the watermark are in the ledger already. Nothing was kept."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """A bucket's position in its stream that the ledger has reached, and the number of its epoch's rows there."""

    epoch: int
    position: Position
    rows: int


class Item(NamedTuple):
    """One entry on its way into the ledger."""

    bucket: int
    position: Position
    content: Entry | Malformed
    fields: Fields


Row = tuple[int, int, Position, Entry]
"""Bucket, epoch, position and the content there."""


class LedgerStore:
    """Access to the ledger's tables. `pool` comes from `redemption.database.open_pool`: jsonb columns are Python
    values."""

    def __init__(self, pool: Pool, takeover_seconds: float = TAKEOVER_SECONDS) -> None:
        self._pool = pool
        self._takeover_seconds = takeover_seconds
        self._queries = named_queries("ledger", "writer")
        self._months: set[date] = set()

    async def watermarks(self, buckets: Sequence[int]) -> dict[int, Watermark]:
        """Return the committed watermarks. A bucket that never had one begins in epoch 1 before the first entry."""
        async with self._session() as session:
            rows = await session.fetch(self._queries["read_watermarks"], buckets)
            if len(rows) < len(buckets):
                await session.execute(self._queries["create_watermarks"], buckets)
                rows = await session.fetch(self._queries["read_watermarks"], buckets)
        return {row["bucket"]: watermark_of(row) for row in rows}

    async def commit(
        self, items: Sequence[Item], watermarks: Mapping[int, Watermark], spread: Spread = AT_ONCE
    ) -> dict[int, Watermark] | None:
        """Write the items, in order and in pieces of PIECE_ENTRIES, behind `watermarks`; return the new watermarks.

        Returns None where the committed watermarks are others (another writer went on); then nothing was written.

        None: the committed watermarks are not those (another writer went on), and nothing was written.
        """
        moved = advanced(items, watermarks)
        async with self._session() as session:
            await self._ensure_months(session, items)
            async with session.transaction():
                await self._limit(session)
                if not await self.lock(session, {bucket: watermarks[bucket] for bucket in moved}):
                    return None
                await self.write(session, items, watermarks, spread)
                await self.advance(session, moved)
        return moved

    async def lock(self, session: Session, expected: Mapping[int, Watermark]) -> bool:
        """Lock the watermarks in bucket order. Returns whether they are as expected."""
        rows = await session.fetch(self._queries["lock_watermarks"], sorted(expected))
        return {row["bucket"]: watermark_of(row) for row in rows} == dict(expected)

    async def write(
        self,
        session: Session,
        items: Sequence[Item],
        watermarks: Mapping[int, Watermark],
        spread: Spread = AT_ONCE,
    ) -> None:
        taken: list[Row] = []
        dead: list[tuple[object, ...]] = []
        for bucket, position, content, fields in items:
            epoch = watermarks[bucket].epoch
            if isinstance(content, Malformed):
                dead.append((bucket, epoch, *position, storable(fields), content.reason))
            else:
                taken.append((bucket, epoch, position, content))
        if taken:
            source = _pieces(taken, spread)
            await session.copy_to_table(
                "ledger_transaction", source=source, columns=TRANSACTION_COLUMNS, format="binary"
            )
        if dead:
            await session.copy_records_to_table("ledger_dead_letter", records=dead, columns=DEAD_LETTER_COLUMNS)

    async def advance(self, session: Session, moved: Mapping[int, Watermark]) -> None:
        await session.execute(
            self._queries["advance_watermarks"],
            list(moved),
            [mark.position.ms for mark in moved.values()],
            [mark.position.seq for mark in moved.values()],
            [mark.rows for mark in moved.values()],
        )

    async def end_stalled_writers(self) -> int:
        """End sessions of writers whose transaction is older than the take-over time. Returns how many."""
        async with self._session() as session:
            rows = await session.fetch(self._queries["end_stalled_writers"], timedelta(seconds=self._takeover_seconds))
        return len(rows)

    async def _limit(self, session: Session) -> None:
        # Waiting for the lock ends well before the waiter would itself count as stalled.
        lock_ms = max(1, int(self._takeover_seconds * 500))
        idle_ms = max(1, int(self._takeover_seconds * 1000))
        await session.fetch(self._queries["limit_transaction"], f"{lock_ms}ms", f"{idle_ms}ms")

    async def _ensure_months(self, session: Session, items: Sequence[Item]) -> None:
        # It has its own transaction, so that the partitions exist before the batch needs them, whatever becomes of the
        # batch.
        days = {item.content.at_ms // DAY_MS for item in items if isinstance(item.content, Entry)}
        wanted = {(UNIX_DAY + timedelta(days=day)).replace(day=1) for day in days}
        for month in sorted(wanted - self._months):
            await session.execute(self._queries["ensure_month"], month)
            if len(self._months) >= MONTHS_REMEMBERED_MAX:
                self._months.clear()
            self._months.add(month)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """Lend a session for a bounded time. Every fault leaves as one of this module's."""
        try:
            async with asyncio.timeout(COMMIT_SECONDS), self._pool.acquire() as session:
                try:
                    yield session
                except asyncpg.InternalClientError:
                    # asyncpg 0.31 raises this on a connection that an ending server closed while it was idle.
                    session.terminate()
                    raise
        except asyncpg.UniqueViolationError as fault:
            raise AlreadyWritten(type(fault).__name__) from fault
        except asyncpg.CheckViolationError as fault:
            if fault.constraint_name is None and fault.table_name in PARTITIONED:
                # The partition is missing, because the month was archived since. The next try makes it again.
                self._months.clear()
                raise PostgresAway("a month is not there") from fault
            raise RowRefused(type(fault).__name__) from fault
        except (
            asyncpg.DataError,
            asyncpg.IntegrityConstraintViolationError,
            asyncpg.ProgramLimitExceededError,
            ValueError,  # asyncpg raises this for a value that does not fit its column
        ) as fault:
            raise RowRefused(type(fault).__name__) from fault
        except asyncpg.LockNotAvailableError as fault:
            raise LockHeld("another session holds the watermarks") from fault
        except AWAY as fault:
            # A partition that was made by a transaction the server lost would not be made again.
            self._months.clear()
            raise PostgresAway(type(fault).__name__) from fault


async def _pieces(taken: Sequence[Row], spread: Spread) -> AsyncIterator[bytes]:
    yield COPY_BEGIN
    for start in range(0, len(taken), PIECE_ENTRIES):
        await spread.piece()
        yield b"".join([transaction_row(*row) for row in taken[start : start + PIECE_ENTRIES]])
    yield COPY_END


def watermark_of(row: Mapping[str, Any]) -> Watermark:
    return Watermark(row["epoch"], Position(row["last_ms"], row["last_seq"]), row["rows_in_epoch"])


def advanced(items: Sequence[Item], watermarks: Mapping[int, Watermark]) -> dict[int, Watermark]:
    """Return the watermarks once `items` are written."""
    moved: dict[int, Watermark] = {}
    for bucket, position, _, _ in items:
        before = moved.get(bucket, watermarks[bucket])
        if position <= before.position:
            raise RuntimeError("entries of a bucket out of order")
        moved[bucket] = Watermark(before.epoch, position, before.rows + 1)
    return moved


def storable(fields: Fields) -> dict[str, str]:
    """Return the fields as jsonb can hold them: what is not UTF-8, and U+0000, in backslash notation; huge values
    cut."""
    kept: dict[str, str] = {}
    for name, value in list(fields.items())[:DEAD_FIELDS_MAX]:
        text = value[: DEAD_VALUE_CHARACTERS_MAX + 4].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        if len(value) > DEAD_VALUE_CHARACTERS_MAX:
            text = f"{text[:DEAD_VALUE_CHARACTERS_MAX]}… cut, {len(value)} bytes"
        kept[name[:64].decode("utf-8", "backslashreplace").replace("\0", "\\x00")] = text
    return kept
