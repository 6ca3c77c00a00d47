"""Tiers of tests, as pytest markers that follow from a test's folder; `slow` and `alone` are written at the test."""

from pathlib import PurePath
from typing import Final

ALONE: Final = "alone"
TIERS: Final = {
    "unit": "needs no server",
    "integration": "needs real servers",
    "browser": "needs Chromium too",
}
MARKERS: Final = TIERS | {
    "slow": "takes more than ten seconds",
    ALONE: "measures or loads the machine, so nothing runs beside it",
}
_TIER_OF_FOLDER: Final = {"unit": "unit", "truth": "unit", "browser": "browser"}


def tier_of(path: PurePath, tests: PurePath) -> str:
    """Return the tier of the test module at `path`, which lies under the folder `tests`."""
    return _TIER_OF_FOLDER.get(path.relative_to(tests).parts[0], "integration")
