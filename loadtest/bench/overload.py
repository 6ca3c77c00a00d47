"""`python -m loadtest.bench.overload`: a worker at three times the load it can carry. `make bench-overload` calls it.

A stack of its own, one worker. In turn, each but the last after the work behind the scans is done:
  * the maximum: closed loop, as in `make bench`;
  * quiet: a probe alone, `PROBE_RATE` scans a second at a constant rate (loadtest/bench/open_loop.py);
  * a ramp: wrk offers shares of the maximum over `FLOOD_CONNECTIONS` connections (each waits so long between its
    requests that all together send the rate). The best rate of what was accepted is what the overload is held
    against: generator and gateway share the machine, and offering much costs the generator as much at any rate;
  * overload: three times the maximum is offered, and the same probe beside it, whose answers are looked at one by one;
  * after: the probe again, until it is not refused any more.

The generator has cores of its own, half of what this process may use, and the stack has the others: three times the
maximum costs wrk more than the worker, and on shared cores it would take from the worker what it is asked to do
(`--together` measures that). On one core there is nothing to part.

A probe's latency counts from when it was due. The first `SETTLE_SECONDS` of the overload are reported on their own: a
burst is let in and waits (gateway/hot_path/admission.py), and then the queue is cut. Exit status 1 when a line fails.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from loadtest.auditor import Auditor, drain
from loadtest.bench.open_loop import Open, open_loop, percentile
from loadtest.bench.wrk import CONNECTIONS, WrkMissing, closed_loop, flood, require_tools
from loadtest.costs import Costs
from loadtest.population import populate
from loadtest.scans import ScanMaker
from loadtest.stack import Stack, StackFailed, running_stack
from loadtest.waiting import wait_until

FACTOR: Final = 3.0
RAMP: Final = (0.6, 0.8, 1.0, 1.25)
PROBE_RATE: Final = 100.0
PROBE_CONNECTIONS: Final = 64
FLOOD_CONNECTIONS: Final = 2_000
SETTLE_SECONDS: Final = 3
FLOOD_START_SECONDS: Final = 30.0
LATE_SECONDS: Final = 2  # the flood lasts so much longer: its beginning is seen a little late
RECOVERY_SECONDS: Final = 30.0
PROBLEMS_TOLD: Final = 5
TAKEN: Final = 201
REFUSED: Final = 503


@dataclass
class Found:
    """The results of a run; rates a second, latencies in milliseconds."""

    maximum: float = 0.0
    ramp: dict[float, float] = field(default_factory=dict)
    quiet: list[float] = field(default_factory=list)
    offered: float = 0.0
    accepted: float = 0.0
    refused: float = 0.0
    loaded: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)
    recovery_seconds: float = float("nan")
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[tuple[str, str, bool]]:
        """Return what has to hold: its name, the result, whether it holds."""
        best = max(self.ramp.values())
        kept = self.accepted / best
        quiet, loaded = percentile(sorted(self.quiet), 99), percentile(sorted(self.loaded), 99)
        return [
            (
                "offered at least 2.5 times the maximum",
                f"{self.offered / self.maximum:.2f}",
                self.offered >= 2.5 * self.maximum,
            ),
            ("accepted at least 0.80 of the best", f"{self.accepted:.0f}/s to {best:.0f}/s, {kept:.2f}", kept >= 0.80),
            (
                "p99 of the accepted at most 10 times that of a quiet worker",
                f"{loaded:.1f} ms to {quiet:.1f} ms, {loaded / quiet:.1f} times",
                loaded <= 10 * quiet,
            ),
            (
                "refused with `overloaded` and Retry-After, nothing else; audit clean",
                f"{len(self.wrong)} differences",
                not self.wrong,
            ),
            ("recovered within 5 s", f"{self.recovery_seconds:.1f} s", self.recovery_seconds <= 5),
        ]

    def document(self) -> dict[str, Any]:
        """Return figures for JSON."""
        return {
            "maximum": self.maximum,
            "ramp": {f"{share:g}": rate for share, rate in self.ramp.items()},
            "offered": self.offered,
            "accepted": self.accepted,
            "refused": self.refused,
            "quiet_p99_ms": percentile(sorted(self.quiet), 99),
            "loaded_p50_ms": median(self.loaded or [float("nan")]),
            "loaded_p99_ms": percentile(sorted(self.loaded), 99),
            "settling_p99_ms": percentile(sorted(self.settling), 99),
            "recovery_seconds": self.recovery_seconds,
            "wrong": self.wrong,
            "held": [{"what": what, "found": found, "passed": passed} for what, found, passed in self.lines()],
        }


class Overload:
    """One run over one stack."""

    def __init__(self, stack: Stack, maker: ScanMaker, folder: Path) -> None:
        self.stack = stack
        self.maker = maker
        self.folder = folder
        self.found = Found()
        self.acknowledged: list[tuple[str, str]] = []

    def run(self, seconds: int) -> Found:
        """Run all parts; `seconds` for each."""
        self._rest()
        self.maximum(seconds)
        self._rest()
        self.quiet(seconds)
        for share in RAMP:
            self._rest()
            self.offer(share, seconds)
        self._rest()
        self.overload(seconds)
        self.recover()
        return self.found

    def _rest(self) -> None:
        """Wait until the work behind the scans is done, so that each part pays for its own."""
        asyncio.run(drain(self.stack.valkey_url, self.stack.postgres_dsn))
        Costs(self.stack).come_to_rest()

    def maximum(self, seconds: int) -> None:
        rates = []
        for _ in range(3):
            requests = self.maker.make(int(10_000 * seconds))
            rates.append(
                closed_loop(self.stack.port, requests, self.folder, seconds=seconds, connections=CONNECTIONS).rate
            )
        self.found.maximum = median(rates)
        say(f"maximum {self.found.maximum:.0f}/s")

    def probe(self, seconds: float) -> Open:
        requests = self.maker.make(int(PROBE_RATE * seconds))
        return open_loop(self.stack.port, requests, rate=PROBE_RATE, connections=PROBE_CONNECTIONS)

    def quiet(self, seconds: int) -> None:
        found = self.probe(seconds)
        self.read(found)
        self.found.quiet = [latency * 1000 for latency in found.latencies]
        say(f"quiet p99 {found.p99:.1f} ms")

    def offer(self, share: float, seconds: int) -> None:
        """Run a step of the ramp: what is accepted of a share of the maximum."""
        rate = self.found.maximum * share
        requests = self.maker.make(int(rate * seconds * 1.2))
        before, began = self.stack.outcomes()["applied"], time.monotonic()
        flood(
            self.stack.port,
            requests,
            self.folder,
            seconds=seconds,
            connections=FLOOD_CONNECTIONS,
            rate=rate,
        )
        self.found.ramp[share] = (self.stack.outcomes()["applied"] - before) / (time.monotonic() - began)
        say(f"{rate:.0f}/s offered: {self.found.ramp[share]:.0f}/s accepted")

    def overload(self, seconds: int) -> None:
        whole = SETTLE_SECONDS + seconds
        rate = self.found.maximum * FACTOR
        requests = self.maker.make(int(rate * (whole + LATE_SECONDS) * 1.2))
        probes = self.maker.make(int(PROBE_RATE * whole))
        before = self.stack.outcomes()
        flooding = threading.Thread(
            target=flood,
            args=(self.stack.port, requests, self.folder),
            kwargs={"seconds": whole + LATE_SECONDS, "connections": FLOOD_CONNECTIONS, "rate": rate},
        )
        flooding.start()
        self._until_flooded(sum(before.values()))
        marks: list[tuple[float, dict[str, int]]] = []
        watching = threading.Thread(target=self._watch, args=(marks, seconds))
        watching.start()
        found = open_loop(self.stack.port, probes, rate=PROBE_RATE, connections=PROBE_CONNECTIONS)
        watching.join()
        flooding.join()
        (began, first), (ended, last) = marks
        took = ended - began
        self.found.accepted = (last["applied"] - first["applied"]) / took
        self.found.refused = (last["overloaded"] - first["overloaded"]) / took
        self.found.offered = (sum(last.values()) - sum(first.values())) / took
        others = {name: n - before.get(name, 0) for name, n in last.items() if name not in ("applied", "overloaded")}
        self.found.wrong += [f"{n} answers {name}" for name, n in others.items() if n]
        self.read(found)
        taken = [
            (number, latency * 1000)
            for number, ((_, status, _), latency) in enumerate(zip(found.answers, found.latencies, strict=True))
            if status == TAKEN
        ]
        settled = int(SETTLE_SECONDS * PROBE_RATE)
        self.found.settling = [latency for number, latency in taken if number < settled]
        self.found.loaded = [latency for number, latency in taken if number >= settled]
        say(f"offered {self.found.offered:.0f}/s, accepted {self.found.accepted:.0f}/s")

    def _until_flooded(self, before: int) -> None:
        """wrk reads its file before it asks anything; what follows counts from its first questions."""
        wait_until(
            "wrk asks",
            lambda: sum(self.stack.outcomes().values()) - before >= FLOOD_CONNECTIONS,
            FLOOD_START_SECONDS,
        )

    def _watch(self, marks: list[tuple[float, dict[str, int]]], seconds: int) -> None:
        """Read the counters after the settling, and near the end."""
        time.sleep(SETTLE_SECONDS)
        marks.append((time.monotonic(), self.stack.outcomes()))
        time.sleep(max(1, seconds - 1))
        marks.append((time.monotonic(), self.stack.outcomes()))

    def recover(self) -> None:
        """Wait until a whole second of probes is taken."""
        began = time.monotonic()
        while time.monotonic() - began < RECOVERY_SECONDS:
            started = time.monotonic() - began
            found = self.probe(1)
            self.read(found)
            if all(status == TAKEN for _, status, _ in found.answers):
                self.found.recovery_seconds = started
                return

    def read(self, found: Open) -> None:
        """Keep acknowledged redemptions, and answers that are wrong."""
        wrong = self.found.wrong
        if found.unanswered:
            wrong.append(f"{found.unanswered} probes without an answer")
        for key, status, body in found.answers:
            document = orjson.loads(body)
            if status == TAKEN:
                self.acknowledged.append((key, document["redemption_id"]))
            elif status != REFUSED or document["code"] != "overloaded":
                wrong.append(f"{status} {document}")
        del wrong[PROBLEMS_TOLD:]


def say(text: str) -> None:
    print(f"overload: {text}", flush=True)


def parted(cores: set[int]) -> tuple[set[int], set[int]]:
    """Return the cores of the stack and those of the generator; both have all where there is one only."""
    ordered = sorted(cores)
    half = len(ordered) // 2
    return (set(ordered[half:]), set(ordered[:half])) if half else (cores, cores)


def measure(seconds: int, members: int, *, together: bool) -> Found:
    """Run everything."""
    all_cores = os.sched_getaffinity(0)
    of_stack, of_generator = (all_cores, all_cores) if together else parted(all_cores)
    os.sched_setaffinity(0, of_stack)  # the stack's processes inherit it, wrk's threads the other
    with tempfile.TemporaryDirectory(prefix="tong-overload-") as name, running_stack() as stack:
        os.sched_setaffinity(0, of_generator)
        say(f"stack on cores {sorted(of_stack)}, generator on {sorted(of_generator)}")
        folder = Path(name)
        population = populate(stack, folder, members)
        run = Overload(stack, ScanMaker(population, stack.code_keys, f"o{int(time.time()):x}"), folder)
        found = run.run(seconds)
        asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
        applied = stack.outcomes()["applied"]
        auditor = Auditor(stack.valkey_url, stack.postgres_dsn)
        found.wrong += asyncio.run(auditor.differences(run.maker.run, run.acknowledged, applied=applied))
    return found


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make bench-overload", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10, help="of each part (default: 10)")
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--together", action="store_true", help="generator and stack share the cores")
    parser.add_argument("--json", type=Path, default=Path("var/overload.json"), help="where the figures go")
    chosen = parser.parse_args()
    try:
        require_tools()
        found = measure(chosen.seconds, chosen.members, together=chosen.together)
    except (WrkMissing, StackFailed, TimeoutError) as fault:
        print(f"overload: {fault}", file=sys.stderr)
        return 2
    print(
        f"\nmaximum {found.maximum:.0f}/s; offered {found.offered:.0f}/s, accepted {found.accepted:.0f}/s, "
        f"refused {found.refused:.0f}/s"
    )
    print(
        f"p99 of the probes while the queue was cut (the first {SETTLE_SECONDS} s): "
        f"{percentile(sorted(found.settling), 99):.1f} ms"
    )
    lines = found.lines()
    for what, told, passed in lines:
        print(f"  {'pass' if passed else 'FAIL'}  {what}: {told}")
    for text in found.wrong:
        print(f"  !     {text}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_bytes(orjson.dumps(found.document(), option=orjson.OPT_INDENT_2))
    return 0 if all(passed for _, _, passed in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
