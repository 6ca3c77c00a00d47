"""How a process that works in rounds pauses between and within them."""

import asyncio
from contextlib import suppress
from typing import Final


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits so long at most; whether the event is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


class Spread:
    """Pieces of work that begin evenly over a time, so that whoever needs the processor meanwhile waits for a piece and
    not for the whole. Who is late begins the next piece at once."""

    def __init__(self, seconds: float, pieces: int) -> None:
        self._between = seconds / max(1, pieces)
        self._due = 0.0

    async def piece(self) -> None:
        """Waits until the next piece is due; the first one is at once."""
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
