"""Time as a value that is passed in.

Guarantees: nothing in the product reads the wall clock but through a `Clock`. Inside a hot-store function only the
server's own TIME counts; this clock is for codes, deadlines shown to people, and development tokens.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], float]
"""Seconds since the Unix epoch, UTC."""


def system_clock() -> float:
    """Return the machine's wall clock, seconds since the Unix epoch."""
    return time.time()


def instant(milliseconds: int) -> str:
    """Format a moment as RFC 3339 in UTC with milliseconds: 2026-11-22T03:04:05.678Z."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Return a second as text. Remembered, for speed (`python -m tests.measure_path`): most scans are of one."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
