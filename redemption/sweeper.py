"""Expiry of holds whose time has run out, bucket by bucket, for ever.

Guarantees: a hold that no call touches ends within about `SWEEP_SECONDS` of its deadline while a sweeper runs, and at
the first touch otherwise. Any number of sweepers may run: the function decides, one of them finds nothing to do.
"""

import asyncio
import logging
from dataclasses import dataclass

from redemption.hot.faults import HotStoreFault
from redemption.service import Redemptions

SWEEP_SECONDS = 1.0
BUCKETS_AT_ONCE = 32

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SweeperFigures:
    """Counts since the start, and how many holds are open."""

    expired: int = 0
    still_open: int = 0


class Sweeper:
    """One sweeper over all buckets."""

    def __init__(self, redemptions: Redemptions, buckets: int) -> None:
        self._redemptions = redemptions
        self._buckets = buckets
        self.figures = SweeperFigures()

    async def run(self) -> None:
        """Sweep until cancelled."""
        reachable = True
        while True:
            try:
                await self.sweep()
                reachable = True
            except HotStoreFault as fault:
                if reachable:
                    logger.warning("holds are not swept while the hot store is away: %s", fault)
                reachable = False
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Sweep all buckets once. Raises the hot store's faults."""
        still_open = 0
        for first in range(0, self._buckets, BUCKETS_AT_ONCE):
            buckets = range(first, min(first + BUCKETS_AT_ONCE, self._buckets))
            for expired, left in await asyncio.gather(*(self._redemptions.sweep(bucket) for bucket in buckets)):
                self.figures.expired += expired
                still_open += left
        self.figures.still_open = still_open
