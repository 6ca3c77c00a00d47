"""tests/run_suite.py: what it calls failed, unstable and broken."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.run_suite import NO_TESTS, RETRIED_MAX, SLOWEST, TESTS_FAILED, Phase, judge, slowest
from tests.support.suite.file_order import put_longest_files_first, recorded_seconds

ROOT = Path(__file__).parents[3]
THREE_ENDINGS = r"""
import subprocess
import sys

import pytest

@pytest.fixture
def breaks_at_end():
    yield
    raise AssertionError("at the end")

@pytest.fixture
def breaks_at_start():
    raise AssertionError("at the start")

def test_passes():
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
def test_fails(): assert False
def test_ends_badly(breaks_at_end): pass
def test_begins_badly(breaks_at_start): pass
"""


def phase(*failed: str, at_end: tuple[str, ...] = (), status: int = TESTS_FAILED) -> Phase:
    return Phase(status, 1.0, failed, at_end)


def test_a_failure_that_passes_alone_is_unstable_and_the_run_goes_on() -> None:
    verdict = judge([phase("a", "b"), phase(status=NO_TESTS)], lambda test: True)
    assert (verdict.unstable, verdict.failed, verdict.status) == (("a", "b"), (), 0)


def test_a_failure_that_fails_again_fails_the_run() -> None:
    verdict = judge([phase("a", "b")], lambda test: test == "a")
    assert (verdict.unstable, verdict.failed, verdict.status) == (("a",), ("b",), 1)


@pytest.mark.parametrize(
    "phases",
    [
        [phase("a", at_end=("b",))],
        [phase("a"), phase(status=2)],
        [phase(*(str(number) for number in range(RETRIED_MAX + 1)))],
    ],
    ids=["a fixture failed to end", "pytest was interrupted", "too many to be chance"],
)
def test_nothing_is_excused_where_a_second_run_would_hide_a_fault(phases: list[Phase]) -> None:
    def never(test: str) -> bool:
        raise AssertionError(f"{test} was run again")

    verdict = judge(phases, never)
    assert verdict.unstable == ()
    assert verdict.status == 1


def test_the_slowest_tests_of_all_phases_are_listed_with_their_seconds() -> None:
    first = Phase(0, 1.0, (), (), {f"fast {number}": 0.1 for number in range(SLOWEST)} | {"slow": 9.0})
    found = slowest([first, Phase(0, 1.0, (), (), {"slowest": 12.34})])
    assert found[:2] == ["  12.3 s  slowest", "   9.0 s  slow"]
    assert len(found) == SLOWEST


def test_every_file_whose_time_is_recorded_is_there() -> None:
    assert [file for file in recorded_seconds() if not (ROOT / file).is_file()] == []


def test_files_that_take_long_come_first_and_the_rest_keep_their_order() -> None:
    seconds = recorded_seconds()
    longest, second = list(seconds)[:2]

    class Item:
        def __init__(self, nodeid: str) -> None:
            self.nodeid = nodeid

    items: list[Any] = [Item(f"{file}::test") for file in ("tests/b.py", second, "tests/a.py", longest)]
    put_longest_files_first(items)
    assert [item.nodeid.partition("::")[0] for item in items] == [longest, second, "tests/b.py", "tests/a.py"]


def test_the_report_tells_failures_of_a_test_from_failures_at_its_end_and_has_the_cpu_time_of_a_file(
    tmp_path: Path,
) -> None:
    module = tmp_path / "test_three_endings.py"
    module.write_text(THREE_ENDINGS)
    report = tmp_path / "failures.json"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.support.suite.report",
            "-q",
            str(module),
            f"--rootdir={tmp_path}",
        ],
        cwd=ROOT,
        env=os.environ | {"TONG_TEST_REPORT": str(report), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    found = json.loads(report.read_text())
    assert sorted(name.rpartition("::")[2] for name in found["failed"]) == ["test_begins_badly", "test_fails"]
    assert len(found["seconds"]) == 4
    assert [seconds >= 0.3 for seconds in found["cpu_seconds"].values()] == [True], "the time of a child counts"
    assert [name.rpartition("::")[2] for name in found["failed_at_end"]] == ["test_ends_badly"]
