"""The numbers of revoked devices, held in memory and followed, so that no scan asks a database.

Guarantees: a device that was revoked is in `numbers` of every worker within `POLL_SECONDS` and one query while
PostgreSQL answers; nothing ever leaves the set. While PostgreSQL is away the latest look stays in force, as the
configuration does: a scan is not stopped by it. Memory: some 100 bytes for each revoked device; devices of a ring key
that is retired need not be known and still are until the next start.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from redemption.database import FAULTS, Pool
from redemption.queries import named_queries
from redemption.waiting import end_tasks

POLL_SECONDS = 0.5
QUERY_SECONDS = 5.0
START_SECONDS = 30.0
OVERLAP = timedelta(seconds=60)
"""Longer than any transaction that revokes may last (redemption/devices/store.py), and a little for the clock."""
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)

logger = logging.getLogger(__name__)


class RevokedDevices:
    """A follower of the table of revoked devices.

    `start` reads all and raises when that fails: a worker without them must not serve.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._query = named_queries("devices", "devices")["revoked_since"]
        self._newest = BEGINNING
        self._task: asyncio.Task[None] | None = None
        self.numbers: set[int] = set()

    async def start(self) -> None:
        await self._look(START_SECONDS)
        self._task = asyncio.create_task(self._follow(), name="revoked devices")

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    async def _follow(self) -> None:
        reachable = True
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look(QUERY_SECONDS)
                reachable = True
            except FAULTS as fault:
                if reachable:
                    logger.error("revoked devices cannot be followed: %r", fault)
                reachable = False

    async def _look(self, seconds: float) -> None:
        for number, revoked_at in await self._pool.fetch(self._query, self._newest - OVERLAP, timeout=seconds):
            self.numbers.add(number)
            self._newest = max(self._newest, revoked_at)
