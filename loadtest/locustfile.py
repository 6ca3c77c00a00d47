"""The entry of Locust: the users of loadtest/scenarios through one day, made short, with its peak at noon.

Started by `python -m loadtest` (`make load`), which makes the stack, the members and the file TONG_LOAD_WORLD.
"""

import json
from pathlib import Path
from typing import Any, Final

from locust import LoadTestShape, events

from loadtest.scenarios.members import ListeningMember, MemberApp
from loadtest.scenarios.tills import DoubleScanner, HotelDesk, NoisyTill, ParkGate, ShopWithCamera, ShopWithWedge
from loadtest.scenarios.world import players

__all__ = [
    "Day",
    "DoubleScanner",
    "HotelDesk",
    "ListeningMember",
    "MemberApp",
    "NoisyTill",
    "ParkGate",
    "ShopWithCamera",
    "ShopWithWedge",
]

HOURS: Final = ((0.15, 0.3), (0.35, 0.6), (0.7, 1.0), (0.85, 0.6), (1.0, 0.3))
"""Pairs of a share of the time and the share of the users until then."""


class Day(LoadTestShape):
    """The shape of a day: quiet, busier, noon, busier, quiet."""

    def tick(self) -> tuple[int, float] | None:
        world = players().world
        share = float(self.get_run_time()) / world.seconds  # type: ignore[no-untyped-call]  # locust's
        for until, busy in HOURS:
            if share < until:
                return max(1, int(world.users * busy)), float(world.users)
        return None


@events.test_stop.add_listener  # type: ignore[untyped-decorator]  # locust's
def keep_results(environment: Any, **_: Any) -> None:
    """Write the data of the verdict: figures by name, and every acknowledged redemption."""
    stats = environment.stats
    names = {
        entry.name: {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "rate": entry.total_rps,
            "p50": entry.get_response_time_percentile(0.50) or 0,
            "p99": entry.get_response_time_percentile(0.99) or 0,
        }
        for entry in stats.entries.values()
    }
    document = {
        "names": names,
        "errors": [f"{error.name}: {error.error} ({error.occurrences} times)" for error in stats.errors.values()],
        "acknowledged": players().acknowledged,
    }
    Path(players().world.results).write_text(json.dumps(document))
