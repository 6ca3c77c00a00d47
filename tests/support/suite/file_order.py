"""The order of test files when two processes share them: the longest first, so that both end together.

`file_seconds.json` has the seconds of each file that takes more than `LISTED_SECONDS_MIN`. `python -m tests.run_suite
--record` writes them anew as CPU seconds, servers included, which other work on the machine changes less. All other
files, and the tests of each file, keep their random order.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

RECORD: Final = Path(__file__).with_name("file_seconds.json")
LISTED_SECONDS_MIN: Final = 1.0


def recorded_seconds() -> dict[str, int]:
    """Return the CPU seconds of each listed file, by its path from the root of the project."""
    found: dict[str, int] = json.loads(RECORD.read_text())
    return found


def record(seconds_of_files: Mapping[str, float]) -> None:
    """Write the list anew from the CPU seconds of all files."""
    longest_first = sorted(seconds_of_files.items(), key=lambda each: -each[1])
    listed = {file: round(seconds) for file, seconds in longest_first if seconds > LISTED_SECONDS_MIN}
    RECORD.write_text(json.dumps(listed, indent=2) + "\n")


def put_longest_files_first(items: list[pytest.Item]) -> None:
    """Sort tests by the seconds of their file. Files that are not listed come last, in the order they have."""
    seconds = recorded_seconds()
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))
