"""`python -m loadtest`: a load test with the behaviour of users, by Locust, with a verdict. `make load` calls it.

Starts its own stack on the loopback address with members of its own, runs the scenarios of loadtest/scenarios through
a day made short, lets the ledger drain, audits, and says pass or fail. `--web` gives a person Locust's pages instead.
Bounded: so many users, so many seconds, then everything is stopped.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from loadtest.auditor import Auditor, drain
from loadtest.population import Population, populate
from loadtest.scenarios.world import WORLD_VARIABLE, World
from loadtest.stack import Stack, StackFailed, running_stack
from loadtest.verdict import NOTICE, Limits, notices_heard, objections, scan_rate

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
GRACE_SECONDS: Final = 60
USERS_MAX: Final = 2_000
SECONDS_MAX: Final = 3_600


def arguments() -> argparse.Namespace:
    limits = Limits()
    parser = argparse.ArgumentParser(prog="make load", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help=f"how long, at most {SECONDS_MAX} (default: 60)")
    parser.add_argument("--users", type=int, default=120, help=f"at noon, at most {USERS_MAX} (default: 120)")
    parser.add_argument("--members", type=int, default=2_000)
    parser.add_argument("--p99-ms", type=float, default=limits.p99_ms, help="allowed for scans")
    parser.add_argument("--rate-min", type=float, default=limits.rate_min, help="scans a second, mean of the test")
    parser.add_argument(
        "--notice-seconds", type=float, default=3.0, help="within which a member hears of a scan (default: 3)"
    )
    parser.add_argument("--report", type=Path, default=Path("var/load.html"), help="the HTML report")
    parser.add_argument("--web", action="store_true", help="Locust's pages on 127.0.0.1:8089, until Ctrl-C")
    chosen = parser.parse_args()
    if not (1 <= chosen.users <= USERS_MAX and 1 <= chosen.seconds <= SECONDS_MAX):
        parser.error("that is more than this is made for")
    return chosen


def make_world(stack: Stack, population: Population, chosen: argparse.Namespace, folder: Path) -> World:
    """Return the surroundings of the scenarios."""
    issuer, audience = stack.identity()
    return World(
        run=f"l{int(time.time()):x}",
        home=str(stack.home),
        issuer=issuer,
        audience=audience,
        first_member=population.first_member,
        members=population.members,
        users=chosen.users,
        seconds=chosen.seconds,
        notice_seconds=chosen.notice_seconds,
        results=str(folder / "results.json"),
        terminals=population.terminals,
    )


def run_locust(stack: Stack, world: World, chosen: argparse.Namespace, folder: Path) -> None:
    """Run Locust in a process of its own (it patches the standard library). Raises StackFailed."""
    world.write(folder / "world.json")
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", stack.base_url]
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    if chosen.web:
        command += ["--web-host", "127.0.0.1", "--web-port", "8089"]
    else:
        command += ["--headless", "--only-summary", "--html", str(chosen.report), "--exit-code-on-error", "0"]
    environment = {**os.environ, WORLD_VARIABLE: str(folder / "world.json")}
    timeout = None if chosen.web else chosen.seconds + GRACE_SECONDS
    try:
        done = subprocess.run(command, env=environment, timeout=timeout, check=False)
    except KeyboardInterrupt:
        return
    if done.returncode:
        raise StackFailed(f"locust ended with status {done.returncode}")


def judge(stack: Stack, world: World, chosen: argparse.Namespace) -> bool:
    """Drain, audit and print the verdict. Returns whether it passed."""
    results: dict[str, Any] = json.loads(Path(world.results).read_text())
    drained = asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
    auditor = Auditor(stack.valkey_url, stack.postgres_dsn)
    acknowledged = {(key, redemption_id) for key, redemption_id in results["acknowledged"]}
    differences = asyncio.run(auditor.differences(world.run, acknowledged, applied=stack.outcomes()["applied"]))
    against = objections(Limits(chosen.p99_ms, chosen.rate_min), results["names"], results["errors"], differences)
    print(f"\nload: {scan_rate(results['names']):.1f} scans/s, {len(acknowledged)} redemptions acknowledged")
    if heard := notices_heard(results["names"]):
        print(f"load: {heard} notices heard, p99 {results['names'][NOTICE]['p99']:.0f} ms after the scan began")
    print(f"load: drained after {drained:.2f} s, {len(differences)} differences; report: {chosen.report}")
    for sentence in against:
        print(f"load: {sentence}")
    print(f"load: {'FAILED' if against else 'passed'}")
    return not against


def main() -> int:
    """Run the command. Returns the exit status: 0 passed, 1 failed, 2 could not run."""
    chosen = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="tong-load-run-") as name, running_stack() as stack:
            folder = Path(name)
            print(f"load: loading {chosen.members} members", flush=True)
            population = populate(stack, folder, chosen.members)
            world = make_world(stack, population, chosen, folder)
            run_locust(stack, world, chosen, folder)
            return 0 if not Path(world.results).exists() or judge(stack, world, chosen) else 1
    except (StackFailed, TimeoutError, subprocess.TimeoutExpired) as fault:
        print(f"load: {fault}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
