"""What the growth run says of its figures: the line that has to hold, what is missing, the projection, the files."""

import json
from pathlib import Path

import pytest

from loadtest.bench.growth import CURVES
from loadtest.bench.growth_report import Growth, Point, of_members
from loadtest.bench.projection import LOADED_SHARE, MACHINES, answered, limits
from loadtest.costs import BEHIND

COSTS = {"gateway": 100.0, "valkey": 80.0, **dict.fromkeys(BEHIND, 10.0)}


def point(members: int, *rates: float) -> Point:
    at_once = {part: COSTS[part] for part in ("gateway", "valkey")}
    return Point(of_members(members), list(rates), [at_once] * len(rates), dict.fromkeys(BEHIND, 10.0))


def growth(first: tuple[float, ...], last: tuple[float, ...], *, small: bool = False) -> Growth:
    curves = {"members": [point(10_000, *first), point(1_000_000, *last)]}
    return Growth(command="growth", small=small, curves=curves)


@pytest.mark.parametrize(
    ("last", "holds"), [((900.0, 1_800.0, 2_700.0), True), ((899.0, 1_790.0, 2_690.0), False), ((0.0, 1.0, 2.0), False)]
)
def test_it_fails_when_the_largest_size_keeps_less_than_nine_tenths(last: tuple[float, ...], holds: bool) -> None:
    found = growth((1_000.0, 2_000.0, 3_000.0), last)
    assert [passed for _, _, passed in found.held()] == [holds]
    assert found.tell() is holds


def test_rounds_that_stood_side_by_side_are_compared_with_each_other() -> None:
    # The machine was slow in the second round, for both alike; medians of each alone would say 0.5.
    assert growth((1_000.0, 400.0, 1_000.0), (950.0, 380.0, 500.0)).held()[0][1] == "0.95"


def test_small_sizes_are_not_judged_and_a_curve_that_is_missing_fails() -> None:
    found = growth((1_000.0,), (1.0,), small=True)
    assert found.held() == []
    assert found.tell()
    found.missing = "stopped after 30 minutes: lots not measured"
    assert not found.tell()


def test_every_axis_of_the_issue_has_its_sizes() -> None:
    assert [size.members for size in CURVES["members"]] == [10_000, 100_000, 1_000_000]
    assert [size.lots for size in CURVES["lots"]] == [1, 12, 96]
    assert [size.legs for size in CURVES["legs"]] == [1, 3, 8]
    assert [size.records for size in CURVES["records"]] == [0, 1_000_000]
    assert [size.workers for size in CURVES["workers"]] == [1, 2]


def test_the_projection_is_the_smallest_of_what_cores_can_do() -> None:
    server, cluster = (limits(COSTS, machines) for machines in MACHINES)
    assert answered(server) == pytest.approx(LOADED_SHARE * 1e6 / 80)  # one primary, one core
    assert answered(cluster) == pytest.approx(12 * answered(server))
    assert cluster["ledger writer"] == server["ledger writer"] == pytest.approx(LOADED_SHARE * 1e6 / 10)
    assert server["PostgreSQL"] == pytest.approx(LOADED_SHARE * 1e6 / 10)  # four cores for 40 µs, one for a backend


def test_figures_and_plot_are_written(tmp_path: Path) -> None:
    found = growth((1_000.0, 1_100.0), (950.0, 1_000.0))
    found.write(tmp_path / "var" / "growth.json")
    document = json.loads((tmp_path / "var" / "growth.json").read_bytes())
    assert document["held"][0]["passed"]
    assert document["curves"]["members"][1]["rates"] == [950.0, 1_000.0]
    assert set(document["projection"]) == {machines.name for machines in MACHINES}
    assert (tmp_path / "var" / "growth.png").read_bytes().startswith(b"\x89PNG")
