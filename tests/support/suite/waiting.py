"""Waiting for a condition, never for a time."""

import asyncio
import time
from collections.abc import Callable


async def wait_until(description: str, condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Returns once `condition()` is true; fails with the description when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds} s it did not happen that {description}")
        await asyncio.sleep(0.002)
