"""The order of test files when two processes share them: the longest first, so that both end together.

`file_seconds.json` has the seconds of each file that takes more than `LISTED_SECONDS_MIN`, as measured by
`python -m tests.run_suite --record`. All other files, and the tests of each file, keep their random order.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

RECORD: Final = Path(__file__).with_name("file_seconds.json")
LISTED_SECONDS_MIN: Final = 5.0


def recorded_seconds() -> dict[str, int]:
    """Return the seconds of each listed file, by its path from the root of the project."""
    found: dict[str, int] = json.loads(RECORD.read_text())
    return found


def record(seconds_of_tests: Mapping[str, float]) -> None:
    """Write the list anew from the seconds of tests by node id."""
    seconds: Counter[str] = Counter()
    for test, took in seconds_of_tests.items():
        seconds[test.partition("::")[0]] += took  # type: ignore[assignment]
    listed = {file: round(took) for file, took in seconds.most_common() if took > LISTED_SECONDS_MIN}
    RECORD.write_text(json.dumps(listed, indent=2) + "\n")


def put_longest_files_first(items: list[pytest.Item]) -> None:
    """Sort tests by the seconds of their file. Files that are not listed come last, in the order they have."""
    seconds = recorded_seconds()
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))
