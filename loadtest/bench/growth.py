"""`python -m loadtest.bench.growth`: the cost of one scan by members, lots, legs, records and workers.

`make bench-growth` calls it.

For each of these a stack for every size runs at the same time, and the rounds go in turn, so that a slow moment of the
machine meets all sizes alike. Before the first round each has drained its ledger, and sealer and settlement have come
to rest. Closed loop by wrk; medians over the rounds; CPU by part (loadtest/costs.py). Prints each round, writes figures
(JSON) and a plot (PNG), and projects them to a server of 16 cores and a cluster of 12 (loadtest/bench/projection.py).

Exit status 1 when throughput at 1 000 000 members is below 0.9 of that at 10 000, when anything was refused or differs
in the ledger, or when the time was over before every curve was measured; what was measured until then is written.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from loadtest.auditor import Auditor, drain
from loadtest.bench.growth_report import Growth, Point, Size, of_members, of_records
from loadtest.bench.wrk import CONNECTIONS, WrkMissing, closed_loop, require_tools
from loadtest.costs import Costs
from loadtest.population import populate
from loadtest.scans import ScanMaker
from loadtest.stack import Stack, StackFailed, running_stack

RATE_FIRST: Final = 8_000
FILL_SECONDS: Final = 15
DRAIN_SECONDS: Final = 600.0
REST_SECONDS: Final = 240.0
MINUTES: Final = 30

CURVES: Final[dict[str, tuple[Size, ...]]] = {
    "members": tuple(of_members(count) for count in (10_000, 100_000, 1_000_000)),
    "lots": tuple(Size(str(count), lots=count) for count in (1, 12, 96)),
    "legs": tuple(Size(str(count), legs=count) for count in (1, 3, 8)),
    "records": tuple(of_records(count) for count in (0, 1_000_000)),
    "workers": tuple(Size(str(count), workers=count) for count in (1, 2)),
}
SMALL: Final = CURVES | {
    "members": tuple(of_members(count) for count in (1_000, 3_000, 10_000)),
    "records": tuple(of_records(count) for count in (0, 10_000)),
}


class OutOfTime(Exception):
    """The run has taken its time."""


class Timer:
    """The time of the run: prints it with every line, and ends the run."""

    def __init__(self, minutes: float) -> None:
        self._began = time.monotonic()
        self._minutes = minutes

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def check(self) -> None:
        """Check the time. Raises OutOfTime when it is over."""
        if self.seconds > self._minutes * 60:
            raise OutOfTime(f"stopped after {self._minutes:g} minutes")

    def say(self, text: str) -> None:
        print(f"growth: {self.seconds:5.0f} s  {text}", flush=True)


class Environment:
    """A stack of one size, populated."""

    def __init__(self, stack: Stack, size: Size, folder: Path, timer: Timer) -> None:
        self.stack = stack
        self.point = Point(size)
        self._folder = folder
        self._timer = timer
        self._best = 0.0
        population = populate(stack, folder, size.members, lots=size.lots, benefits=max(2, size.legs))
        self._maker = ScanMaker(population, stack.code_keys, f"g{time.time_ns():x}")
        self._costs = Costs(stack)

    def fill(self) -> None:
        """Make as many records as the size says. Raises StackFailed when scans are not taken."""
        have, wanted = 0, self.point.size.records
        while have < wanted:
            self._timer.check()
            self._ask(FILL_SECONDS)
            before, have = have, self.stack.outcomes().get("applied", 0)
            self._timer.say(f"{have} of {wanted} records")
            if have == before:
                raise StackFailed("no scan was taken while records were made")

    def come_to_rest(self) -> None:
        """Wait until the ledger has everything, and sealer and settlement have processed it."""
        asyncio.run(drain(self.stack.valkey_url, self.stack.postgres_dsn, DRAIN_SECONDS))
        if not self._costs.come_to_rest(REST_SECONDS):
            self._timer.say(f"{self.point.size.name}: not at rest after {REST_SECONDS:.0f} s, going on")

    def start(self) -> None:
        """Begin the rounds."""
        self._costs.start()

    def round(self, seconds: int, *, counts: bool = True) -> None:
        """Run one closed-loop round; the first one only warms up."""
        self._timer.check()
        before = self.stack.outcomes()
        self._costs.begin()
        rate, requests, errors = self._ask(seconds)
        applied = self.stack.settled_outcomes(requests, before)["applied"] - before["applied"]
        if errors or applied < requests:
            self.point.wrong.append(f"{self.point.size}: {errors} errors, {applied} of {requests} applied")
        if not applied:
            raise StackFailed(f"no scan was taken at {self.point.size}")
        cost = self._costs.end(applied)
        if counts:
            self.point.rates.append(rate)
            self.point.cpu_us.append(cost)

    def _ask(self, seconds: int) -> tuple[float, int, int]:
        requests = self._maker.make(int((self._best or RATE_FIRST) * seconds * 1.4) + 500, legs=self.point.size.legs)
        found = closed_loop(self.stack.port, requests, self._folder, seconds=seconds, connections=CONNECTIONS)
        self._best = max(self._best, found.rate)
        return found.rate, found.requests, found.errors

    def finish(self) -> None:
        """End the rounds: read the CPU time of the parts behind, and audit counts and balances."""
        self.come_to_rest()
        self.point.behind_us = self._costs.behind()
        applied = self.stack.outcomes()["applied"]
        auditor = Auditor(self.stack.valkey_url, self.stack.postgres_dsn)
        self.point.wrong += asyncio.run(auditor.differences(self._maker.run, [], applied=applied))


def measure(curve: str, sizes: tuple[Size, ...], rounds: int, seconds: int, timer: Timer) -> list[Point]:
    """Measure all points of one curve. Raises OutOfTime."""
    with ExitStack() as held:
        environments = []
        for number, size in enumerate(sizes):
            timer.check()
            timer.say(f"{curve} {size.name}: loading")
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"tong-growth-{number}-")))
            environments.append(
                Environment(held.enter_context(running_stack(workers=size.workers)), size, folder, timer)
            )
            environments[-1].fill()
        for environment in environments:
            environment.come_to_rest()
        for environment in environments:
            environment.start()
        for number in range(rounds + 1):
            for environment in environments:
                environment.round(seconds, counts=number > 0)
            told = ", ".join(
                f"{environment.point.size.name}: {environment.point.last_rate:.0f}/s" for environment in environments
            )
            timer.say(f"{curve}, round {number} of {rounds}: {told}" if number else f"{curve}: warmed up")
        for environment in environments:
            environment.finish()
            timer.say(f"{curve} {environment.point.sentence(environments[0].point)}")
    return [environment.point for environment in environments]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CURVES, nargs="*", default=list(CURVES), help="which curves (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of a round")
    parser.add_argument("--small", action="store_true", help="1 000 to 10 000 members, 10 000 records: whether it runs")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"at most (default: {MINUTES})")
    parser.add_argument("--json", type=Path, default=Path("var/growth.json"), help="figures; the plot lies beside it")
    return parser.parse_args()


def main() -> int:
    """Run the command. Returns the exit status."""
    chosen = arguments()
    timer = Timer(chosen.minutes)
    growth = Growth(command=" ".join(["python -m loadtest.bench.growth", *sys.argv[1:]]), small=chosen.small)
    try:
        require_tools()
        for curve in chosen.only:
            sizes = (SMALL if chosen.small else CURVES)[curve]
            growth.curves[curve] = measure(curve, sizes, chosen.rounds, chosen.seconds, timer)
    except (OutOfTime, StackFailed, TimeoutError) as fault:
        growth.missing = f"{fault}: {', '.join(c for c in chosen.only if c not in growth.curves)} not measured"
    except WrkMissing as fault:
        print(f"growth: {fault}", file=sys.stderr)
        return 2
    growth.seconds, growth.machine["load_after"] = timer.seconds, os.getloadavg()[0]
    growth.write(chosen.json)
    return 0 if growth.tell() else 1


if __name__ == "__main__":
    sys.exit(main())
