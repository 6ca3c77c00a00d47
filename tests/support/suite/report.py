"""A pytest plugin for tests/run_suite.py: writes results of a run as JSON to the file that `TONG_TEST_REPORT` names.

`failed` are node ids that failed when they began or ran; `failed_at_end` those whose fixtures failed to end; `seconds`
is the time of each test with its fixtures; `cpu_seconds` the CPU time of each file, with all servers and browsers that
ran meanwhile. With pytest-xdist each worker measures itself and only the controlling process writes.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from loadtest.processes import children, cpu_seconds

MEASURED = "cpu_seconds"


def cpu_seconds_of_tree(pid: int) -> float:
    """Return the CPU time of a process and all below it, those that have ended included."""
    return cpu_seconds(pid) + sum(cpu_seconds_of_tree(child.pid) - child.seconds for child in children(pid))


class CpuMeter:
    """Adds a file's CPU time to the report of its last test; who runs first pays for the start of shared servers."""

    def __init__(self) -> None:
        self._before = cpu_seconds_of_tree(os.getpid())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
        yield
        if nextitem is None or nextitem.path != item.path:
            now = cpu_seconds_of_tree(os.getpid())
            item.user_properties.append((MEASURED, max(0.0, now - self._before)))
            self._before = now


class RunReport:
    """Collects results as reports come in."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._failed: dict[str, None] = {}
        self._failed_at_end: dict[str, None] = {}
        self._seconds: Counter[str] = Counter()
        self._cpu_seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration  # type: ignore[assignment]
        if report.when == "teardown":
            measured: dict[str, Any] = dict(report.user_properties)
            self._cpu_seconds[report.nodeid.partition("::")[0]] += measured.get(MEASURED, 0.0)
        if report.failed:
            (self._failed_at_end if report.when == "teardown" else self._failed)[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        found = {
            "failed": list(self._failed),
            "failed_at_end": list(self._failed_at_end),
            "seconds": self._seconds,
            "cpu_seconds": self._cpu_seconds,
        }
        self._target.write_text(json.dumps(found))


def pytest_configure(config: pytest.Config) -> None:
    target = os.environ.get("TONG_TEST_REPORT")
    if target:
        config.pluginmanager.register(CpuMeter())
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RunReport(Path(target)))
