"""A worker's check of the hot store once a second, apart from any scan: its functions, and the length of the backlog.

Guarantees: without the function library the worker is not ready and says why. When the streams together hold
`backlog_max` entries or more (the ledger is away, or too slow), new scans and accruals are refused early as
`unavailable`, `not_applied`, until a tenth of it is carried away; what ends something that was begun (capture, void,
refund, cancel) goes on. While the hot store does not answer, the latest result stays in force.

Does not guarantee an exact bound: between two looks the streams grow by a second of scans, and entries that are in the
ledger count until the writer trims them, a second later.
"""

import asyncio
import logging
from typing import Final

from gateway.problems.documents import Problem
from redemption.hot import keys
from redemption.hot.connection import HotConnection
from redemption.hot.faults import HotStoreFault, NotSent, ServerRefused
from redemption.hot.library import Library

LOOK_SECONDS: Final = 1.0
BUCKETS_AT_ONCE: Final = 128
EMPTY: Final = "the hot store is empty: run `tong rebuild --all` (docs/guides/operations.md)"
LIBRARY_MISSING: Final = "the hot store lacks the function library of this version: run `tong migrate`"
_NOT_FOUND: Final = "Function not found"

logger = logging.getLogger(__name__)


def call_that_changes_nothing(library: Library) -> tuple[str | int, ...]:
    """Return a call of a function of this library that changes nothing: refused where the library is missing."""
    return ("FCALL_RO", library.function("read_member"), 3, "{b0}:member:", "{b0}:lots:", "{b0}:uses:", 0, 0)


class LibraryCheck:
    """A check at the first call on each new connection: the library of this version must be there.

    It keeps the result, so that readiness can tell an emptied server from one that does not answer.

    Keeps what it found, so that readiness can tell a server that was emptied from one that does not answer.
    """

    def __init__(self, library: Library) -> None:
        self.reason: str | None = None
        """The reason why this server cannot serve calls; None where it can, or was not reached."""
        self._question = call_that_changes_nothing(library)

    async def __call__(self, connection: HotConnection) -> None:
        """Check the library. Raises the hot store's faults."""
        self.reason = None
        try:
            await connection.execute(*self._question, deadline_seconds=LOOK_SECONDS)
        except ServerRefused as refused:
            if refused.text.startswith(_NOT_FOUND):
                installed = await connection.execute("EXISTS", keys.epoch(0), deadline_seconds=LOOK_SECONDS)
                self.reason = LIBRARY_MISSING if installed else EMPTY
            raise


class HotStoreHealth:
    """The latest check of one worker."""

    def __init__(
        self, hot: HotConnection, library: Library, buckets: int, backlog_max: int, check: LibraryCheck | None = None
    ) -> None:
        self._check = check or LibraryCheck(library)
        self.backlog = 0
        self.backlog_full = False
        self._hot = hot
        self._buckets = buckets
        self._backlog_max = backlog_max

    @property
    def reasons(self) -> list[str]:
        """Return why scans sent here cannot be decided, for readiness."""
        found = []
        # The result of an earlier attempt does not hold for a server that does not answer any more.
        is_new = self._hot.connected or _NOT_FOUND in (self._hot.last_fault or "")
        if self._check.reason is not None and is_new:
            found.append(self._check.reason)
        elif not self._hot.connected:
            found.append("hot store not connected")
        if self.backlog_full:
            found.append(f"{self.backlog} entries wait for the ledger, TONG_BACKLOG_MAX is {self._backlog_max}")
        return found

    def refuse_if_full(self) -> None:
        """Refuse new scans while the backlog is full. Raises `unavailable`."""
        if self.backlog_full:
            raise Problem("unavailable", "The ledger is too far behind; nothing was applied")

    async def look(self) -> None:
        """Check once. Faults of the hot store are left to its connection."""
        try:
            await self._look_for_library()
            await self._measure_backlog()
        except (HotStoreFault, TimeoutError) as fault:
            logger.debug("the hot store was not looked at this second: %s", fault)

    async def _look_for_library(self) -> None:
        if not self._hot.connected:  # each new attempt makes the check itself
            raise NotSent("no connection to the hot store")
        before = self._check.reason
        try:
            await self._check(self._hot)
        except ServerRefused:
            if self._check.reason is None:
                raise
        if self._check.reason is not None and self._check.reason != before:
            logger.error(self._check.reason)
        elif before is not None and self._check.reason is None:
            logger.warning("the function library is there again")

    async def _measure_backlog(self) -> None:
        total = 0
        for first in range(0, self._buckets, BUCKETS_AT_ONCE):
            part = range(first, min(first + BUCKETS_AT_ONCE, self._buckets))
            calls = [self._hot.call("XLEN", keys.ledger_stream(bucket)) for bucket in part]
            async with asyncio.timeout(LOOK_SECONDS):
                lengths = await asyncio.gather(*calls, return_exceptions=True)
            # The writer handles a key that is no stream any more (WRONGTYPE): it freezes that bucket.
            total += sum(length for length in lengths if isinstance(length, int))
            for fault in lengths:
                if isinstance(fault, HotStoreFault) and not isinstance(fault, ServerRefused):
                    raise fault
        self.backlog = total
        full = total >= (self._backlog_max * 9 // 10 if self.backlog_full else self._backlog_max)
        if full and not self.backlog_full:
            logger.error("%d entries wait for the ledger: new scans are refused until it catches up", total)
        elif self.backlog_full and not full:
            logger.warning("the ledger has caught up to %d entries: scans are taken again", total)
        self.backlog_full = full
