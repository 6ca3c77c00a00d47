"""Waiting for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")
_WAIT_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.002
_PAUSE_AFTER_REQUEST_SECONDS: Final = 0.02


class NotInTime(AssertionError):
    """A condition did not become true in time. The text names the condition."""


@overload
async def wait_until(
    name: str,
    condition: Callable[[], Awaitable[T | None]],
    *,
    seconds: float = ...,
    tolerated: tuple[type[Exception], ...] = ...,
) -> T: ...


@overload
async def wait_until(
    name: str,
    condition: Callable[[], T | None],
    *,
    seconds: float = ...,
    tolerated: tuple[type[Exception], ...] = ...,
) -> T: ...


async def wait_until(
    name: str,
    condition: Callable[[], Any],
    *,
    seconds: float = _WAIT_SECONDS,
    tolerated: tuple[type[Exception], ...] = (),
) -> Any:
    """Return the first true value of `condition`, a function or a coroutine function that is called again and again.

    `name` completes the sentence "it did not happen that …". An exception of a `tolerated` type counts as not yet true.
    A coroutine function asks a server, so it rests longer between calls. Raises NotInTime after `seconds`.
    """
    deadline = time.monotonic() + seconds
    fault: Exception | None = None
    while True:
        pause = _PAUSE_SECONDS
        try:
            found = condition()
            if inspect.isawaitable(found):
                pause = _PAUSE_AFTER_REQUEST_SECONDS
                found = await found
            if found:
                return found
        except tolerated as away:
            fault, pause = away, _PAUSE_AFTER_REQUEST_SECONDS
        if time.monotonic() > deadline:
            last = f" (last: {fault!r})" if fault else ""
            raise NotInTime(f"within {seconds:g} s it did not happen that {name}{last}")
        await asyncio.sleep(pause)
