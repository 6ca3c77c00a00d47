"""`make bench` and `make load` run to their end and audit what they did. Their figures are not looked at here."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from loadtest.bench.open_loop import percentile
from loadtest.verdict import NOTICE, Limits, objections

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[3]
SECONDS = 110.0


async def run_to_the_end(module: str, *arguments: str) -> tuple[int, str]:
    """Runs a command of loadtest; exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_bench_measures_everything_and_its_audit_finds_no_difference(tmp_path: Path) -> None:
    status, said = await run_to_the_end("loadtest.bench", "--smoke", "--json", str(tmp_path / "bench.json"))
    assert status == 0, said
    document = json.loads((tmp_path / "bench.json").read_bytes())
    assert document["differences"] == [], said
    assert document["complaints"] == [], said
    assert document["acknowledged"] > 0
    assert {"starlette", "raw", "plain", "gateway"} <= document["series"].keys()
    assert all(each["applied"] > 0 for each in document["bare"])
    assert {"sealer", "projector", "postgres_writer", "postgres_other"} <= document["behind_us"].keys()
    assert all("CPU µs" in said and f"  {part}  " in said for part in ("postgres writer", "ledger writer", "sum"))


async def test_the_load_test_passes_and_every_scenario_took_part(tmp_path: Path) -> None:
    status, said = await run_to_the_end(
        *("loadtest", "--seconds", "8", "--users", "40", "--members", "200", "--rate-min", "1", "--p99-ms", "60000"),
        *("--notice-seconds", "60", "--report", str(tmp_path / "load.html")),
    )
    assert status == 0, said
    assert (tmp_path / "load.html").stat().st_size > 0
    for scenario in (
        "shop, points",
        "hotel, hold",
        "noisy till",
        "double scan",
        "gate, identity",
        "member who listens",
    ):
        assert f"verify: {scenario}" in said
    heard = re.search(r"load: (\d+) notices heard", said)
    assert heard is not None, said
    assert int(heard[1]) > 0


@pytest.mark.parametrize(
    ("p99", "rate", "unheard", "errors", "differences", "count"),
    [
        (10.0, 50.0, 1, [], [], 0),
        (900.0, 50.0, 1, [], [], 1),
        (10.0, 1.0, 1, [], [], 1),
        (10.0, 50.0, 3, [], [], 1),
        (10.0, 50.0, 1, ["x"], [], 1),
        (10.0, 50.0, 1, [], ["y"], 1),
        (900.0, 1.0, 3, ["x"], ["y"], 5),
    ],
)
def test_the_verdict_names_each_thing_that_is_wrong(
    p99: float, rate: float, unheard: int, errors: list[str], differences: list[str], count: int
) -> None:
    names = {
        "verify: shop": {"p99": p99, "rate": rate},
        "me": {"p99": 9_999.0, "rate": 9_999.0},
        NOTICE: {"p99": 9_999.0, "rate": 1.0, "requests": 3, "failures": unheard},
    }
    assert len(objections(Limits(250.0, 20.0), names, errors, differences)) == count


def test_percentiles_are_by_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (50, 99, 100)] == [51.0, 100.0, 100.0]
