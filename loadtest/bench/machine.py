"""The machine of a measurement."""

import os
import platform
from typing import Any, Final

from loadtest.processes import processor

QUIET_LOAD: Final = 0.5
NOISY: Final = (
    "NOISY: something else ran on this machine (load before, spread of the rounds); do not quote these figures"
)


def machine() -> dict[str, Any]:
    """Return processor, cores, kernel, Python, and the load before anything was started."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
