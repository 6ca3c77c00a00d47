"""`python -m loadtest.bench.growth`: how the cost of one scan grows with members, lots, legs, records and workers.

For each of these a stack for every size runs at the same time, and the rounds go in turn, so that a slow moment of the
machine meets all sizes alike (a stack that is not asked costs next to nothing). Closed loop by wrk, 32 connections,
medians over the rounds; CPU by part from /proc. Writes the figures (JSON) and a plot (PNG), and prints what a server of
16 cores and a cluster of 12 would carry by the measured costs, with what that assumes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from loadtest.auditor import Auditor, drain
from loadtest.bench.growth_plot import draw
from loadtest.bench.wrk import WrkMissingError, closed_loop, require_wrk
from loadtest.population import populate
from loadtest.scans import ScanMaker
from loadtest.stack import PARTS, Stack, StackFailedError, running_stack

CONNECTIONS: Final = 32
FASTEST: Final = 12_000  # requests made ahead for each second
FILL_SECONDS: Final = 20
MEMBERS: Final = 10_000
LOADED_SHARE: Final = 0.7  # of a core that may be used before latency suffers


@dataclass(frozen=True)
class Size:
    """One point of a curve."""

    name: str
    members: int = MEMBERS
    lots: int = 3
    legs: int = 1
    records: int = 0
    workers: int = 1


CURVES: Final[dict[str, tuple[Size, ...]]] = {
    "members": tuple(Size(f"{count:,}", members=count) for count in (10_000, 100_000, 1_000_000)),
    "lots": tuple(Size(str(count), lots=count) for count in (1, 12, 96)),
    "legs": tuple(Size(str(count), legs=count) for count in (1, 3, 8)),
    "records": tuple(Size(f"{count:,}", records=count) for count in (0, 1_000_000)),
    "workers": tuple(Size(str(count), workers=count) for count in (1, 2)),
}


@dataclass
class Point:
    """What was measured at one size: requests/s and CPU µs a redemption by part, medians over the rounds."""

    size: Size
    rates: list[float] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)

    def cpu(self, part: str) -> float:
        return median(each[part] for each in self.cpu_us)


class Ground:
    """A stack of one size, populated."""

    def __init__(self, stack: Stack, size: Size, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.point = Point(size)
        population = populate(stack, folder, size.members, lots=size.lots, benefits=max(2, size.legs))
        self.maker = ScanMaker(population, stack.home / "code-keys.json", f"g{time.time_ns():x}")

    def fill(self) -> None:
        """Leaves as many records as the size says."""
        while (have := self.stack.outcomes().get("applied", 0)) < self.point.size.records:
            say(f"{have} of {self.point.size.records} records")
            self._ask(FILL_SECONDS)

    def round(self, seconds: int, *, counts: bool = True) -> None:
        """One closed-loop round; the first one only warms up."""
        before, cpu_before = self.stack.outcomes(), self.stack.cpu()
        rate, requests, errors = self._ask(seconds)
        after, cpu_after = self.stack.outcomes(), self.stack.cpu()
        applied = after.get("applied", 0) - before.get("applied", 0)
        if errors or applied < requests:
            self.point.wrong.append(f"{self.point.size}: {errors} errors, {applied} of {requests} applied")
        if counts:
            self.point.rates.append(rate)
            self.point.cpu_us.append({part: (cpu_after[part] - cpu_before[part]) * 1e6 / applied for part in PARTS})

    def _ask(self, seconds: int) -> tuple[float, int, int]:
        requests = self.maker.make(FASTEST * seconds, legs=self.point.size.legs)
        found = closed_loop(self.stack.port, requests, self.folder, seconds=seconds, connections=CONNECTIONS)
        return found.rate, found.requests, found.errors

    def audit(self) -> None:
        """What was answered is what the ledger has, by counts and balances."""
        asyncio.run(drain(self.stack.valkey_url, self.stack.postgres_dsn))
        applied = self.stack.outcomes()["applied"]
        auditor = Auditor(self.stack.valkey_url, self.stack.postgres_dsn)
        self.point.wrong += asyncio.run(auditor.differences(self.maker.run, [], applied=applied))


def say(text: str) -> None:
    print(f"growth: {text}", flush=True)


def measure(curve: str, sizes: tuple[Size, ...], rounds: int, seconds: int) -> list[Point]:
    """All points of one curve."""
    with ExitStack() as held:
        grounds = []
        for number, size in enumerate(sizes):
            say(f"{curve} {size.name}: loading")
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"tong-growth-{number}-")))
            grounds.append(Ground(held.enter_context(running_stack(workers=size.workers)), size, folder))
            grounds[-1].fill()
        for number in range(rounds + 1):
            for ground in grounds:
                ground.round(seconds, counts=number > 0)
        for ground in grounds:
            ground.audit()
            point = ground.point
            costs = ", ".join(f"{part} {point.cpu(part):.0f}" for part in PARTS)
            ratio = point.rate / grounds[0].point.rate
            say(f"{curve} {point.size.name}: {point.rate:.0f}/s ({ratio:.2f} of the first), CPU µs {costs}")
    return [ground.point for ground in grounds]


def carried(point: Point, *, gateway_cores: float, primaries: int, ledger_cores: float) -> float:
    """Redemptions a second by CPU alone: the smallest of what gateways, primaries and the ledger's side can do."""
    ledger = point.cpu("ledger_writer") + point.cpu("postgres")
    return LOADED_SHARE * min(
        gateway_cores * 1e6 / point.cpu("gateway"), primaries * 1e6 / point.cpu("valkey"), ledger_cores * 1e6 / ledger
    )


def tell(curves: dict[str, list[Point]]) -> None:
    """The projection."""
    point = next(iter(curves.values()))[0]
    one = carried(point, gateway_cores=8, primaries=1, ledger_cores=5)
    twelve = carried(point, gateway_cores=12 * 8, primaries=12, ledger_cores=12 * 5)
    print(
        f"""
By these CPU costs, cores used to {LOADED_SHARE:.0%}: a server of 16 cores (8 for gateway workers, one for one Valkey,
5 for writer and PostgreSQL) carries {one:.0f} redemptions/s; a cluster of 12 of them, each with a primary and a ledger
of its own, {twelve:.0f}/s. Assumed: as fast a core as here, costs that do not change with the number of cores, a disk
whose fsyncs keep up (group commit), members spread evenly over the primaries."""
    )


def main() -> int:
    """The command. Returns the exit status: 1 when something was answered wrongly or differs in the ledger."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CURVES, nargs="*", default=list(CURVES), help="which curves (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of a round")
    parser.add_argument("--small", action="store_true", help="a hundredth of members and records: whether it runs")
    parser.add_argument("--json", type=Path, default=Path("var/growth.json"), help="figures; the plot lies beside it")
    chosen = parser.parse_args()
    curves: dict[str, list[Point]] = {}
    try:
        require_wrk()
        for curve in chosen.only:
            sizes = CURVES[curve]
            if chosen.small:
                sizes = tuple(
                    Size(s.name, s.members // 100, s.lots, s.legs, s.records // 100, s.workers) for s in sizes
                )
            curves[curve] = measure(curve, sizes, chosen.rounds, chosen.seconds)
    except (WrkMissingError, StackFailedError) as fault:
        print(f"growth: {fault}", file=sys.stderr)
        return 2
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    document = {curve: [asdict(point) for point in points] for curve, points in curves.items()}
    chosen.json.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    plot = chosen.json.with_suffix(".png")
    draw({curve: [(p.size.name, p.rate, {part: p.cpu(part) for part in PARTS}) for p in points]
          for curve, points in curves.items()}, plot)  # fmt: skip
    tell(curves)
    print(f"figures: {chosen.json}, plot: {plot}")
    wrong = [text for points in curves.values() for point in points for text in point.wrong]
    for text in wrong:
        print(f"  !     {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
