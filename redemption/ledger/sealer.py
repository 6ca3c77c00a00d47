"""The sealer: carries each bucket's chain (redemption/ledger/chain.py) up to the ledger writer's watermark.

Guarantees:
  * Only what is committed behind a watermark is sealed, each row once, in order.
  * Seal n + 1 of a bucket can be written once (primary key). Two sealers, or one that was paused and wakes up, cannot
    fork a chain: the loser's seals come back refused and it begins again from what is there.
  * It takes no lock that the ledger writer waits for.
  * Where the rows up to a watermark are not as many as the watermark says, the bucket is not sealed any further and
    the log names it: a seal must not make a removed row look right.

A row is sealed about `TRAIL_SECONDS` after it was written; what was changed before that is not shown by the chain (the
audit's other checks still apply).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

import asyncpg

from redemption.database import Connection, Pool
from redemption.domain.errors import ConflictError
from redemption.ledger.chain import BATCH_ROWS, Head, Place, SealKey, beginning, extended, head_of, links
from redemption.queries import named_queries
from redemption.waiting import set_within

PARTS: Final = 8
"""The buckets are sealed in so many parts, one after the other: short pieces of work beside the scans."""
TRAIL_SECONDS: Final = 5.0  # a seal is a row: two a second and bucket would be a gigabyte a day
BACK_OFF_SECONDS: Final = 2.0
ROUND_SECONDS: Final = 60.0

AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

logger = logging.getLogger(__name__)


class OtherKey(ConflictError):
    """The chain was sealed with another key than this sealer has: nothing is sealed."""


@dataclass(slots=True)
class SealerFigures:
    """Counts since the start of this sealer. `stopped` says why a bucket is not sealed any further."""

    rows: int = 0
    seals: int = 0
    fenced: int = 0
    faults: int = 0
    stopped: dict[int, str] = field(default_factory=dict)


class Sealer:
    """One sealer over `buckets`. More than one may run."""

    def __init__(
        self, pool: Pool, key: SealKey, buckets: Sequence[int], *, trail_seconds: float = TRAIL_SECONDS
    ) -> None:
        self._pool = pool
        self._key = key
        self._buckets = sorted(set(buckets))
        self._parts = [part for first in range(PARTS) if (part := self._buckets[first::PARTS])]
        self._trail_seconds = trail_seconds
        self._queries = named_queries("ledger", "seal")
        self.figures = SealerFigures()

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until `stop` is set. Raises `OtherKey`."""
        away = False
        parts = cycle(self._parts)
        while not stop.is_set():
            pause = self._trail_seconds / len(self._parts)
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    sealed = await self.round(next(parts))
                if away:
                    logger.warning("ledger sealer: PostgreSQL is back")
                away = False
                if sealed >= BATCH_ROWS:
                    continue
            except asyncpg.UniqueViolationError:
                self.figures.fenced += 1  # another sealer was faster; its seals are read at the next round
            except AWAY as fault:
                self.figures.faults += 1
                if not away:
                    logger.warning("ledger sealer: PostgreSQL is away (%s); trying again", type(fault).__name__)
                away, pause = True, BACK_OFF_SECONDS
            await set_within(stop, pause)

    async def round(self, buckets: Sequence[int] | None = None) -> int:
        """Seal at most `BATCH_ROWS` rows of each of `buckets` (None: all), in one commit. Returns how many the busiest
        had."""
        buckets = self._buckets if buckets is None else buckets
        async with self._pool.acquire() as connection:
            # Watermarks are read first, because the rows behind them were committed with them.
            marks = await connection.fetch(self._queries["watermarks"], buckets)
            heads = {
                row["bucket"]: head_of(row["bucket"], row)
                for row in await connection.fetch(self._queries["heads"], buckets)
            }
            fresh: list[Head] = []
            busiest = 0
            for mark in marks:
                bucket = mark["bucket"]
                if bucket in self.figures.stopped:
                    continue
                head = heads.get(bucket) or beginning(bucket, self._key)
                upto = Place(mark["epoch"], mark["last_ms"], mark["last_seq"])
                if head.place >= upto:
                    continue
                sealed = await self._seal(connection, head, upto, mark["rows_in_epoch"])
                if sealed is not None:
                    busiest = max(busiest, sealed.rows - head.rows)
                    self.figures.rows += sealed.rows - head.rows
                    fresh.append(sealed)
            if fresh:
                await self._write(connection, fresh)
        return busiest

    async def _seal(self, connection: Connection, head: Head, upto: Place, rows_in_epoch: int) -> Head | None:
        if head.key_id != self._key.key_id:
            raise OtherKey(f"the ledger's chain was sealed with key {head.key_id}, this one is {self._key.key_id}")
        batch = await links(connection, head.bucket, head.place, upto)
        sealed = head
        for link in batch:
            sealed = extended(sealed, self._key, link)
        if len(batch) < BATCH_ROWS:  # the batch reached the watermark
            counted = sealed.rows_in_epoch if sealed.place.epoch == upto.epoch else 0
            if counted != rows_in_epoch:
                reason = f"{counted} rows up to the watermark, which says {rows_in_epoch}"
                self.figures.stopped[head.bucket] = reason
                logger.critical("ledger sealer: bucket %d is not sealed any further: %s", head.bucket, reason)
                return None
        return sealed._replace(number=head.number + 1) if batch else None

    async def _write(self, connection: Connection, fresh: Sequence[Head]) -> None:
        await connection.execute(
            self._queries["write_seals"],
            [head.bucket for head in fresh],
            [head.number for head in fresh],
            [head.place.epoch for head in fresh],
            [head.place.ms for head in fresh],
            [head.place.seq for head in fresh],
            [head.rows for head in fresh],
            [head.rows_in_epoch for head in fresh],
            [head.key_id for head in fresh],
            [head.mac for head in fresh],
        )
        self.figures.seals += len(fresh)
