"""A pytest plugin for tests/run_suite.py: writes which tests failed as JSON to the file `TONG_TEST_FAILURES` names.

`failed` are node ids that failed when they began or ran; `failed_at_end` those whose fixtures failed to end. With
pytest-xdist only the controlling process writes.
"""

import json
import os
from pathlib import Path

import pytest


class FailureReport:
    """Collects failures as reports come in."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._failed: dict[str, None] = {}
        self._failed_at_end: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            (self._failed_at_end if report.when == "teardown" else self._failed)[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        found = {"failed": list(self._failed), "failed_at_end": list(self._failed_at_end)}
        self._target.write_text(json.dumps(found))


def pytest_configure(config: pytest.Config) -> None:
    target = os.environ.get("TONG_TEST_FAILURES")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailureReport(Path(target)))
