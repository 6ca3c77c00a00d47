"""Pauses of a process that works in rounds, and the end of its tasks."""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

END_SECONDS: Final = 3.0
CANCEL_AGAIN_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


async def end_tasks(*tasks: "asyncio.Task[Any]", seconds: float = END_SECONDS) -> None:
    """Cancel the tasks until they have ended, for a bounded time; a task that stays is named in the log and left
    behind.

    One cancellation is not enough: it is lost where it meets the end of what the task waits for (`asyncio.wait_for`
    before Python 3.12 then returns the result), and who waits for the task without a bound waits for ever.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    left = {task for task in tasks if not task.done()}
    while left and loop.time() < deadline:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)
    for task in left:
        logger.warning("%s did not end within %.0f s and is left behind", task.get_name(), seconds)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # the exception is read, or the loop would report it


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait this long at most. Returns whether the event is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


class Spread:
    """Pieces of work that begin evenly over a time, so that others wait for a piece and not for the whole.

    A late piece begins at once.
    """

    def __init__(self, seconds: float, pieces: int) -> None:
        self._between = seconds / max(1, pieces)
        self._due = 0.0

    async def piece(self) -> None:
        """Wait until the next piece is due; the first one is at once."""
        if not self._between:
            return
        now = asyncio.get_running_loop().time()
        self._due = self._due or now
        wait = self._due - now
        self._due += self._between
        if wait > 0:
            await asyncio.sleep(wait)


AT_ONCE: Final = Spread(0.0, 1)
"""All pieces without a pause."""
