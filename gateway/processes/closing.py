"""Closing the parts of a worker: each within its own time, so that one that hangs takes none from the others.

Guarantees: a part that does not close within `PART_SECONDS` is cancelled, named in the log and left behind; what comes
after it is closed all the same. The bound of the whole is gateway/server/serve.py's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from redemption.waiting import end_tasks

PART_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


def closing(name: str, close: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Return `close` of the part of that name, bounded by its time."""

    async def within_its_time() -> None:
        try:
            async with asyncio.timeout(PART_SECONDS):
                await close()
        except TimeoutError:
            logger.warning("%s did not close within %.0f s and is left behind", name, PART_SECONDS)

    return within_its_time


def ending(name: str, task: "asyncio.Task[None]") -> Callable[[], Awaitable[None]]:
    """Cancel the task and wait for its end, within its time."""

    async def ended() -> None:
        await end_tasks(task, seconds=PART_SECONDS)

    return closing(name, ended)
