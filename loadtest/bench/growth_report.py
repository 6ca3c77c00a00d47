"""The results of loadtest/bench/growth.py: points, the line that has to hold, all as text, JSON and a plot."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from loadtest.bench.growth_plot import draw
from loadtest.bench.machine import NOISY, QUIET_LOAD, machine
from loadtest.bench.projection import MACHINES, limits, sentences
from loadtest.costs import AT_ONCE

KEPT_MIN: Final = 0.9


@dataclass(frozen=True)
class Size:
    """One point of a curve."""

    name: str
    members: int = 10_000
    lots: int = 3
    legs: int = 1
    records: int = 0
    workers: int = 1


def of_members(members: int) -> Size:
    return Size(f"{members:,}", members=members)


def of_records(records: int) -> Size:
    return Size(f"{records:,}", records=records)


@dataclass
class Point:
    """The measurements at one size.

    requests/s and CPU µs a redemption, round by round; those of the parts that work behind over all rounds.
    """

    size: Size
    rates: list[float] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    behind_us: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return the median over the rounds."""
        return median(self.rates)

    @property
    def last_rate(self) -> float:
        return self.rates[-1] if self.rates else 0.0

    def cpu(self) -> dict[str, float]:
        """Return CPU by part; of gateway and hot store the medians over the rounds."""
        return {part: median(each[part] for each in self.cpu_us) for part in AT_ONCE} | self.behind_us

    def kept(self, first: "Point") -> float:
        """Return its throughput as a share of another's: the median over the pairs of rounds, which ran side by
        side."""
        return median(own / its for own, its in zip(self.rates, first.rates, strict=True))

    def sentence(self, first: "Point") -> str:
        """Return the point on a line, against the first of its curve."""
        costs = ", ".join(f"{part.replace('_', ' ')} {cost:.0f}" for part, cost in self.cpu().items())
        return f"{self.size.name}: {self.rate:.0f}/s ({self.kept(first):.2f} of the first), CPU µs {costs}"


@dataclass
class Growth:
    """The results of a run. `missing` names what the time did not suffice for."""

    command: str
    small: bool
    machine: dict[str, Any] = field(default_factory=machine)
    seconds: float = 0.0
    curves: dict[str, list[Point]] = field(default_factory=dict)
    missing: str = ""

    def held(self) -> list[tuple[str, str, bool]]:
        """Return the line of issue 5 that this run decides, where it measured the members at their full sizes."""
        points = self.curves.get("members")
        if points is None or self.small:
            return []
        kept = points[-1].kept(points[0])
        what = f"throughput at {points[-1].size.name} members at least {KEPT_MIN} of that at {points[0].size.name}"
        return [(what, f"{kept:.2f}", kept >= KEPT_MIN)]

    def wrong(self) -> list[str]:
        """Return everything that should not have happened."""
        found = [text for points in self.curves.values() for point in points for text in point.wrong]
        return [*found, self.missing] if self.missing else found

    def write(self, path: Path) -> None:
        """Write figures, and the plot beside them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = asdict(self) | {
            "held": [{"what": what, "found": found, "passed": passed} for what, found, passed in self.held()],
            "projection": {each.name: limits(costs, each) for each in MACHINES for costs in self._plain_costs()},
        }
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        if self.curves:
            curves = {
                name: [(point.size.name, point.rate, point.cpu()) for point in points]
                for name, points in self.curves.items()
            }
            draw(curves, path.with_suffix(".png"))
        print(f"\n{self.command}   ({self.seconds:.0f} s)\nfigures: {path}, the plot beside them")

    def tell(self) -> bool:
        """Print the curves, the projection and what has to hold. Returns whether it does."""
        if self.machine["load_before"] > QUIET_LOAD:
            print(NOISY)
        for curve, points in self.curves.items():
            print(f"\n{curve}\n" + "\n".join(f"  {point.sentence(points[0])}" for point in points))
        for costs in self._plain_costs():
            print("\nBy the CPU costs of the first point:\n" + "\n".join(sentences(costs)))
        for what, found, passed in self.held():
            print(f"  {'pass' if passed else 'FAIL'}  {what}: {found}")
        for text in self.wrong():
            print(f"  !     {text}")
        return not self.wrong() and all(passed for _, _, passed in self.held())

    def _plain_costs(self) -> Sequence[dict[str, float]]:
        """Return the costs of the first measured point: the smallest size of the first curve.

        None where there is none.
        """
        return [points[0].cpu() for points in list(self.curves.values())[:1]]
