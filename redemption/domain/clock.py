"""Time as a value that is passed in.

Guarantees: nothing in the product reads the wall clock but through a `Clock`. Inside a hot-store function only the
server's own TIME counts; this clock is for codes, deadlines shown to people, and development tokens.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the Unix epoch, UTC."""


def system_clock() -> float:
    """The machine's wall clock, seconds since the Unix epoch."""
    return time.time()
