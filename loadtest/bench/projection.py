"""Projection to larger machines, by the CPU costs that were measured here: arithmetic and its assumptions.

It says what CPU allows; what network, disks or a lock would take away it cannot know. Each part has its own limit, and
the smallest counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtest.costs import ROLES

LOADED_SHARE: Final = 0.7  # share of a core that may be used before latency suffers
TICK_US: Final = 0.1  # a clock of 10 ms does not see smaller costs

ASSUMED: Final = f"""
Assumed: cores as fast as here and used to {LOADED_SHARE:.0%}; costs a redemption that do not change with their number;
disks whose fsyncs keep up (group commit); members spread evenly over the primaries; the load generator elsewhere.
Ledger writer, sealer and projector are one process each, as shipped, and so is the backend of each in PostgreSQL."""


@dataclass(frozen=True)
class Machines:
    """Cores given to each part. A primary of the hot store uses one core, whatever it is given."""

    name: str
    gateway_cores: int
    primaries: int
    postgres_cores: int


MACHINES: Final = (
    Machines("a server of 16 cores", gateway_cores=8, primaries=1, postgres_cores=4),
    Machines("a cluster of 12 such servers", gateway_cores=12 * 12, primaries=12, postgres_cores=12),
)


def limits(costs: Mapping[str, float], machines: Machines) -> dict[str, float]:
    """Return the redemptions a second that each part can do.

    `costs`: CPU µs a redemption by part (loadtest/costs.py).
    """

    def done(cores: int, cost: float) -> float:
        return LOADED_SHARE * cores * 1e6 / max(cost, TICK_US)

    backends = [costs[part] for part in ROLES.values()]
    postgres = sum(backends) + costs["postgres_other"]
    return {
        "gateway workers": done(machines.gateway_cores, costs["gateway"]),
        "hot store": done(machines.primaries, costs["valkey"]),
        "ledger writer": done(1, costs["ledger_writer"]),
        "sealer": done(1, costs["sealer"]),
        "projector": done(1, costs["projector"]),
        "PostgreSQL": min(done(machines.postgres_cores, postgres), done(1, max(backends))),
    }


def answered(found: Mapping[str, float]) -> float:
    """Return what is answered in time: gateway and hot store. The parts that work behind only fall back."""
    return min(found["gateway workers"], found["hot store"])


def sentences(costs: Mapping[str, float]) -> list[str]:
    """Return the projection, as it is printed."""
    said = []
    for machines in MACHINES:
        found = limits(costs, machines)
        narrow = min(found, key=lambda part: found[part])
        said.append(
            f"{machines.name} (cores: {machines.gateway_cores} for gateway workers, {machines.primaries} for as many "
            f"primaries, {machines.postgres_cores} for PostgreSQL) answers {answered(found):.0f} redemptions/s; "
            f"it keeps that up for long at {found[narrow]:.0f}/s, by the {narrow}"
        )
        said.append("  " + ", ".join(f"{part} {rate:.0f}" for part, rate in found.items()))
    return [*said, ASSUMED]
