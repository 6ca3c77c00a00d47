"""A pytest plugin for tests/run_suite.py: writes results of a run as JSON to the file that `TONG_TEST_REPORT` names.

`failed` are node ids that failed when they began or ran; `failed_at_end` those whose fixtures failed to end; `seconds`
is the time of each test with its fixtures. With pytest-xdist only the controlling process writes.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest


class RunReport:
    """Collects results as reports come in."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._failed: dict[str, None] = {}
        self._failed_at_end: dict[str, None] = {}
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration  # type: ignore[assignment]
        if report.failed:
            (self._failed_at_end if report.when == "teardown" else self._failed)[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        found = {
            "failed": list(self._failed),
            "failed_at_end": list(self._failed_at_end),
            "seconds": self._seconds,
        }
        self._target.write_text(json.dumps(found))


def pytest_configure(config: pytest.Config) -> None:
    target = os.environ.get("TONG_TEST_REPORT")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RunReport(Path(target)))
