"""Runs the suite: `python -m tests.run_suite [--tier unit] [--record]`. What `make test` calls.

Most tests run in two processes side by side, each file in one of them, because their servers are private. The longest
files come first, so that both processes end together; `--record` measures anew which these are. Tests marked `alone`
measure or load the machine and run afterwards, one after the other.

A test that fails is run once more in a process of its own. If it passes there, the run names it as unstable and goes
on: it stays a defect to mend. A fault found while a fixture is taken down is final, because the check of the invariants
over everything the tests did on the shared stack happens there. So is a failure of more than `RETRIED_MAX` tests.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.suite.file_order import record
from tests.support.suite.tiers import ALONE, TIERS

ROOT: Final = Path(__file__).parents[1]
WORKERS: Final = 2
RETRIED_MAX: Final = 8
SLOWEST: Final = 10
NOTHING: Final[dict[str, Any]] = {"failed": (), "failed_at_end": (), "seconds": {}, "cpu_seconds": {}}
PASSED: Final = 0
TESTS_FAILED: Final = 1
NO_TESTS: Final = 5


@dataclass(frozen=True)
class Phase:
    """One run of pytest: its exit status, failed tests by node id, tests whose fixtures failed to end, the seconds of
    each test with its fixtures, and the CPU seconds of each file with its servers."""

    status: int
    seconds: float
    failed: tuple[str, ...]
    failed_at_end: tuple[str, ...]
    seconds_of_tests: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds_of_files: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_broken(self) -> bool:
        """Return whether pytest ended for another reason than failing tests."""
        return self.status not in {PASSED, TESTS_FAILED, NO_TESTS}


def run_phase(title: str, *arguments: str) -> Phase:
    """Run pytest with these arguments and read back which tests failed."""
    print(f"\n== {title}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-p", "tests.support.suite.report", *arguments]
        began = time.monotonic()
        status = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"TONG_TEST_REPORT": str(report)}, check=False
        ).returncode
        found = json.loads(report.read_text()) if report.exists() else NOTHING
    seconds = time.monotonic() - began
    failed, at_end = tuple(found["failed"]), tuple(found["failed_at_end"])
    return Phase(status, seconds, failed, at_end, found["seconds"], found["cpu_seconds"])


@dataclass(frozen=True)
class Verdict:
    """The result of a run: what is unstable is named, everything else fails it."""

    unstable: tuple[str, ...]
    failed: tuple[str, ...]
    failed_at_end: tuple[str, ...]
    is_broken: bool

    @property
    def status(self) -> int:
        """Return the exit status."""
        return TESTS_FAILED if self.failed or self.failed_at_end or self.is_broken else PASSED


def judge(phases: Sequence[Phase], passes_alone: Callable[[str], bool]) -> Verdict:
    """Decide which failures count. `passes_alone` runs one test once more, in a process of its own."""
    failed = tuple(test for phase in phases for test in phase.failed)
    at_end = tuple(test for phase in phases for test in phase.failed_at_end)
    is_broken = any(phase.is_broken for phase in phases)
    is_retried = len(failed) <= RETRIED_MAX and not at_end and not is_broken
    unstable = tuple(test for test in failed if is_retried and passes_alone(test))
    return Verdict(unstable, tuple(test for test in failed if test not in unstable), at_end, is_broken)


def slowest(phases: Sequence[Phase]) -> list[str]:
    """Return the slowest tests of all phases, a line each."""
    seconds = Counter[str]()
    for phase in phases:
        seconds.update(phase.seconds_of_tests)
    return [f"{took:6.1f} s  {test}" for test, took in seconds.most_common(SLOWEST)]


def run_suite(tier: str | None, *, records: bool = False) -> int:
    """Run both phases and repeat failures alone. Return the exit status."""
    chosen = f"{tier} and " if tier else ""
    side_by_side = ("-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")
    phases = [
        run_phase("side by side", *side_by_side, "-q", "-m", f"{chosen}not {ALONE}"),
        run_phase("alone", "-q", "-m", f"{chosen}{ALONE}"),
    ]
    if records:
        record(phases[0].cpu_seconds_of_files)
    verdict = judge(phases, lambda test: run_phase(f"once more, alone: {test}", "-q", test).status == PASSED)
    print("\n== slowest, with their fixtures")
    print("\n".join(slowest(phases)))
    print(f"\n== in {sum(phase.seconds for phase in phases):.0f} s")
    for title, tests in (
        ("unstable", verdict.unstable),
        ("failed", verdict.failed),
        ("failed at their end", verdict.failed_at_end),
    ):
        for test in tests:
            print(f"{title}: {test}")
    if verdict.is_broken:
        print("pytest itself ended early; see above")
    return verdict.status


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.run_suite", description=__doc__)
    asked.add_argument("--tier", choices=sorted(TIERS), help="only tests of this tier")
    asked.add_argument("--record", action="store_true", help="write the CPU time of each file, for their order")
    chosen = asked.parse_args()
    if chosen.record and chosen.tier:
        asked.error("only a run of every tier is recorded")
    return run_suite(chosen.tier, records=chosen.record)


if __name__ == "__main__":
    sys.exit(main())
