"""Settlement's use cases of a worker, over connections of their own: bounded in number and time, faults as problems.

Guarantees: a slow statement or a burst of look-ups takes no connection from scans; calls beyond the bound are refused
at once (`overloaded`); no call waits longer than its seconds (`unavailable`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from gateway.problems.documents import Problem
from gateway.statements.exports import StatementExports
from redemption.database import FAULTS, Pool
from redemption.domain.clock import Clock
from redemption.domain.limits import SETTLEMENT_CALLS_MAX, SETTLEMENT_TRANSFERS_MAX
from redemption.settlement.browsing import SettlementPages
from redemption.settlement.disputes import Disputes
from redemption.settlement.periods import PeriodAltered, Periods
from redemption.settlement.reconciling import Reconciliations

POOL_SIZE: Final = 4
CALL_SECONDS: Final = 20.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


class SettlementLimiter:
    """The limiter of one worker. `exports` makes files of statements in processes of its own."""

    def __init__(self, pool: Pool, clock: Clock, exports: StatementExports) -> None:
        self.pool = pool
        self.pages = SettlementPages(pool)
        self.periods = Periods(pool, clock)
        self.disputes = Disputes(pool, clock)
        self.reconciliations = Reconciliations(pool, clock)
        self.exports = exports
        self._calls = 0
        self._transfers = 0

    async def run(self, call: Awaitable[T], *, changes: bool = False, seconds: float = CALL_SECONDS) -> T:
        """Await a use case. Raises `overloaded`, `unavailable` (with `outcome: unknown` where it may have changed
        something) and `period_altered`."""
        if self._calls >= SETTLEMENT_CALLS_MAX:
            _close(call)
            raise Problem("overloaded", "This worker has its maximum number of settlement calls in progress")
        self._calls += 1
        try:
            async with asyncio.timeout(seconds):
                return await call
        except PeriodAltered as fault:
            raise Problem("period_altered", str(fault)) from None
        except FAULTS as fault:
            logger.warning("settlement was not answered: %s", type(fault).__name__)
            detail = "PostgreSQL cannot be reached, or did not answer in time"
            if changes:
                detail += ": repeat the request to learn what happened; it is never applied twice"
            raise Problem("unavailable", detail, unknown=changes) from None
        finally:
            self._calls -= 1

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """Count an upload or a download while it lasts. Raises `overloaded`."""
        if self._transfers >= SETTLEMENT_TRANSFERS_MAX:
            raise Problem("overloaded", "This worker has its maximum number of transfers in progress")
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1


def _close(call: Awaitable[object]) -> None:
    """Close a coroutine that will not be awaited, so that Python does not warn."""
    if asyncio.iscoroutine(call):
        call.close()
