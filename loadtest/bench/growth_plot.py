"""The plot of loadtest/bench/growth.py: for each curve requests/s as a line and CPU a redemption as stacked bars."""

from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loadtest.costs import ROLES

Curve = list[tuple[str, float, dict[str, float]]]
"""(size, requests/s, CPU µs a redemption by part)"""

SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "gateway": ("gateway",),
    "hot store": ("valkey",),
    "ledger writer": ("ledger_writer",),
    "sealer, projector": ("sealer", "projector"),
    "PostgreSQL": (*ROLES.values(), "postgres_other"),
}
COLOURS: Final = ("#3b6fb6", "#c2553a", "#8a9a3b", "#d0a13c", "#7a5fa0")
INCHES: Final = (3.4, 3.6)


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Write one PNG with a panel for each curve."""
    figure = Figure(figsize=(INCHES[0] * len(curves), INCHES[1]), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, points) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(1, len(curves), number)
        sizes = [size for size, _, _ in points]
        below = [0.0] * len(points)
        for (label, parts), colour in zip(SHOWN.items(), COLOURS, strict=True):
            costs = [sum(cpu[part] for part in parts) for _, _, cpu in points]
            axes.bar(sizes, costs, bottom=below, color=colour, width=0.55, label=label)
            below = [low + cost for low, cost in zip(below, costs, strict=True)]
        axes.set_xlabel(name)
        axes.set_ylabel("CPU µs a redemption")
        axes.set_ylim(0, max(below) * 1.2)
        rates = axes.twinx()
        rates.plot(sizes, [rate for _, rate, _ in points], color="#222222", marker="o", linewidth=1.5)
        rates.set_ylim(0, max(rate for _, rate, _ in points) * 1.15)
        rates.set_ylabel("redemptions/s (line)")
        if number == 1:
            figure.legend(loc="outside upper center", fontsize=8, frameon=False, ncols=len(SHOWN))
    figure.savefig(path, dpi=110)
