"""`python -m loadtest.bench`: the speed of one scan, against references, in one run. `make bench` calls it.

Starts its own stack with the durable settings (an fsync before every reply), ledger writer, metrics, authentication and
rate limits on, one worker; every scan has a fresh single-use code and a key of its own. Prints one table, the lines of
"it holds when" with pass or fail, and writes everything as JSON. Exit status 1 when a line fails.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import orjson

from loadtest.auditor import Auditor, drain
from loadtest.bench.bare_call import Bare, CallPattern, bare_calls, watch_one_call
from loadtest.bench.lag import watched_lag
from loadtest.bench.machine import machine
from loadtest.bench.memory import (
    member_bytes,
    redemption_parts,
    stream_bytes,
    used_memory,
    wait_until_trimmed,
)
from loadtest.bench.open_loop import Open
from loadtest.bench.reference_servers import reference_servers
from loadtest.bench.report import Report, print_report
from loadtest.bench.rounds import GATEWAY, HOT_MEMBER, REFERENCES, Bench
from loadtest.bench.wrk import CONNECTIONS, WrkMissing, require_tools
from loadtest.costs import REST_SECONDS
from loadtest.population import populate
from loadtest.processes import allocator
from loadtest.scans import ScanMaker
from loadtest.stack import Stack, StackFailed, running_stack

SHARES: Final = (0.25, 0.50, 0.75)
BUCKETS: Final = 64
MEMORY_SCANS: Final = 10_000
BARE_CALLS: Final = 10_000
BARE_SOCKETS: Final = 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about a minute and a half instead of about seven")
    parser.add_argument("--smoke", action="store_true", help="seconds: whether everything runs, figures mean nothing")
    parser.add_argument(
        "--connections", type=int, default=CONNECTIONS, help=f"of the closed loop (default: {CONNECTIONS})"
    )
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--json", type=Path, default=Path("var/bench.json"), help="where the figures go")
    return parser.parse_args()


def measure(chosen: argparse.Namespace) -> Report:
    """Run everything."""
    report = Report(command=" ".join(["python -m loadtest.bench", *sys.argv[1:]]), machine=machine())
    members = 500 if chosen.smoke else chosen.members
    rounds, seconds, open_seconds = (1, 1, 1) if chosen.smoke else (3, 3, 4) if chosen.quick else (7, 5, 10)
    with tempfile.TemporaryDirectory(prefix="tong-bench-") as name, running_stack() as stack:
        folder = Path(name)
        report.machine["allocator"] = allocator(stack.pids("valkey"))
        say(f"loading {members} members")
        population = populate(stack, folder, members)
        asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
        report.member_bytes = member_bytes(stack)
        with reference_servers(REFERENCES, stack) as references:
            bench = Bench(stack, references, population, folder, connections=chosen.connections)
            rest_seconds = 0.0 if chosen.smoke else REST_SECONDS
            bench.costs.come_to_rest(rest_seconds)
            bench.costs.start()
            warm_up(bench, 1 if chosen.smoke else 3)
            with watched_lag(stack) as lag:
                for number in range(rounds):
                    for contestant in (*REFERENCES, GATEWAY):
                        bench.closed_round(contestant, seconds)
                    say(f"round {number + 1} of {rounds}: {rates(bench)}")
                bench.closed_round(HOT_MEMBER, seconds)
                report.drain_seconds = asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
                bench.costs.come_to_rest(rest_seconds)
                report.behind_us, report.log_bytes = bench.costs.behind(), bench.costs.log_bytes()
                open_rounds(bench, report, open_seconds, 1 if chosen.smoke or chosen.quick else 3)
            report.lag_seconds, report.lag_faults = lag.worst, lag.faults
            for _ in range(1 if chosen.smoke else 3):
                for contestant in ("starlette", GATEWAY):
                    bench.codes_round(contestant, seconds)
            measure_memory(bench, report, 500 if chosen.smoke else MEMORY_SCANS)
            report.series = bench.series
            say("the auditor compares")
            asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
            report.applied, report.acknowledged = bench.applied, len(bench.acknowledged)
            auditor = Auditor(stack.valkey_url, stack.postgres_dsn)
            report.differences = asyncio.run(
                auditor.differences(bench.maker.run, bench.acknowledged, applied=bench.applied)
            )
            report.complaints = bench.complaints
            say("the bare call")
            report.bare = measure_bare(stack, bench, 2_000 if chosen.smoke else BARE_CALLS)
    report.machine["load_after"] = os.getloadavg()[0]
    return report


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def rates(bench: Bench) -> str:
    """Print the medians so far, on a line."""
    return ", ".join(f"{name} {series.rate:.0f}/s" for name, series in bench.series.items())


def warm_up(bench: Bench, seconds: int) -> None:
    """Run a round of each that is not counted: caches, connections, the first partitions."""
    for contestant in (*REFERENCES, GATEWAY):
        bench.closed_round(contestant, seconds)
    bench.series.clear()


def open_rounds(bench: Bench, report: Report, seconds: int, times: int) -> None:
    """Run gateway and no-op in turn at shares of the gateway's maximum.

    Of several rounds the one with the median p99 counts.
    """
    fastest = bench.series[GATEWAY].rate
    for share in SHARES:
        found: dict[str, list[Open]] = {"starlette": [], GATEWAY: []}
        for _ in range(times):
            for contestant, runs in found.items():
                runs.append(bench.open_round(contestant, fastest * share, seconds))
        for contestant, runs in found.items():
            report.open_loop[f"{contestant} {share:.2f}"] = sorted(runs, key=lambda run: run.p99)[len(runs) // 2]
        say(f"open loop at {share:.0%}: " + ", ".join(f"{n} p99 {r[0].p99:.2f} ms" for n, r in found.items()))


def measure_memory(bench: Bench, report: Report, scans: int) -> None:
    """Measure what this many redemptions add, before anything of them is trimmed."""
    asyncio.run(drain(bench.stack.valkey_url, bench.stack.postgres_dsn))
    wait_until_trimmed(bench.stack)
    with bench.stack.writer_stopped():
        before, (stream_before, entries_before) = used_memory(bench.stack), stream_bytes(bench.stack)
        bench.open_round(GATEWAY, min(1_000.0, bench.series[GATEWAY].rate / 2), max(1, scans // 1_000))
        after, (stream_after, entries_after) = used_memory(bench.stack), stream_bytes(bench.stack)
    entries = entries_after - entries_before
    report.redemption_bytes = {
        "all": (after - before) / entries,
        "stream_entry": (stream_after - stream_before) / entries,
        **redemption_parts(bench.stack),
    }


def measure_bare(stack: Stack, bench: Bench, calls: int) -> list[Bare]:
    """Measure the hot store's own function at the same number of calls in flight, and at four times that. The best of
    three."""
    population, url = bench.population, stack.near_valkey_url
    maker = ScanMaker(population, stack.code_keys, "watched")
    pattern = CallPattern(watch_one_call(url, stack.port, maker), BUCKETS, population.first_member, population.members)
    found = []
    for batch in (bench.connections // BARE_SOCKETS, bench.connections):
        runs = [bare_calls(url, pattern, calls=calls, sockets=BARE_SOCKETS, batch=batch) for _ in range(3)]
        found.append(sorted(runs, key=lambda run: run.rate)[1])
    return found


def main() -> int:
    """Run the command. Returns the exit status."""
    chosen = arguments()
    began = time.monotonic()
    try:
        require_tools()
        report = measure(chosen)
    except (WrkMissing, StackFailed, TimeoutError) as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    report.seconds = time.monotonic() - began
    passed = print_report(report)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_bytes(orjson.dumps(report.as_document(), option=orjson.OPT_INDENT_2))
    print(f"\nfigures: {chosen.json}")
    return 0 if passed or chosen.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
