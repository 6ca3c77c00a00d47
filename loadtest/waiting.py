"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.05


def wait_until(name: str, condition: Callable[[], object], seconds: float) -> None:
    """Return once `condition` is true. `name` completes "it did not happen that …". Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"within {seconds:.0f} s it did not happen that {name}")
        time.sleep(PAUSE_SECONDS)
