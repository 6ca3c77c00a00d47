"""`python -m loadtest.bench.listeners`: the cost of open live pages for a scan. `make bench-listeners` calls it.

One stack with one worker; closed-loop rounds of wrk in turn: nobody listens, then so many members' pages and
operations' pages are open and read (by a process of its own on the same machine, whose cost is in the result). Prints
the rates, their ratio, and how many events the pages received. Exit status 1 when scans with listeners are not at
least `SHARE_MIN` of those without, or anything was refused.
"""

import argparse
import asyncio
import multiprocessing
import selectors
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from loadtest.auditor import drain
from loadtest.bench.wrk import CONNECTIONS, Closed, WrkMissing, closed_loop, require_tools
from loadtest.costs import Costs, CpuClock
from loadtest.population import Population, member_id, populate
from loadtest.scans import ScanMaker
from loadtest.stack import Stack, StackFailed, running_stack

SHARE_MIN: Final = 0.9
RATE_FIRST: Final = 5_000
OPEN_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 3_600


@dataclass(frozen=True)
class Pages:
    """The report of the listening process when it was ended."""

    opened: int
    notices: int
    snapshots: int
    ended: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-listeners", description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=20_000, help="members that are scanned")
    parser.add_argument("--member-streams", type=int, default=1_000)
    parser.add_argument("--operations-streams", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each round")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--json", type=Path, default=Path("var/listeners.json"), help="where the figures go")
    return parser.parse_args()


def listen(port: int, requests: list[bytes], told: "Connection[Any, Any]") -> None:
    """Open a stream for each request and read all of them until stopped. Runs in a process of its own."""
    selector = selectors.DefaultSelector()
    for request in requests:
        link = socket.create_connection(("127.0.0.1", port), timeout=OPEN_SECONDS)
        link.sendall(request)
        first = link.recv(4_096)
        if not first.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a stream was refused: {first[:200]!r}")
        link.setblocking(False)
        selector.register(link, selectors.EVENT_READ)
    told.send(len(requests))
    selector.register(told, selectors.EVENT_READ)
    notices = snapshots = ended = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is told:
                told.send(Pages(len(requests), notices, snapshots, ended))
                return
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(262_144)
            if not data:
                selector.unregister(key.fileobj)
                ended += 1
            notices += data.count(b"event: notice\n")
            snapshots += data.count(b"event: snapshot\n")


def stream_requests(stack: Stack, population: Population, members: int, operations: int) -> list[bytes]:
    """Return a request for each page."""
    issuer = stack.member_issuer()
    first = population.first_member
    found = [
        _get("/v1/me/events", issuer.access_token(member_id(number), TOKEN_SECONDS))
        for number in range(first, first + members)
    ]
    return found + [_get("/v1/ops/events", stack.demo["admin_api_key"])] * operations


def _get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: tong\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class Rounds:
    """Closed-loop rounds over one stack."""

    def __init__(self, stack: Stack, population: Population, folder: Path, asked: argparse.Namespace) -> None:
        self._stack = stack
        self._maker = ScanMaker(population, stack.code_keys, f"l{int(time.time()):x}")
        self._folder = folder
        self._asked = asked
        self._best = float(RATE_FIRST)
        self._clock = CpuClock(stack)
        self.complaints: list[str] = []
        self.cpu: list[dict[str, float]] = []
        """CPU seconds of each part a second, for each round. On a busy machine they say more than rates."""

    def one(self) -> Closed:
        asked, before, cpu = self._asked, self._stack.outcomes(), self._clock.read()
        requests = self._maker.make(int(self._best * asked.seconds * 1.4) + 500)
        found = closed_loop(
            self._stack.port, requests, self._folder, seconds=asked.seconds, connections=asked.connections
        )
        self._best = max(self._best, found.rate)
        self.cpu.append({part: (used - cpu[part]) / found.seconds for part, used in self._clock.read().items()})
        after = self._stack.outcomes()
        refused = {
            name: after[name] - before.get(name, 0)
            for name in after
            if name != "applied" and after[name] != before.get(name, 0)
        }
        if found.errors or refused:
            self.complaints.append(f"{found.errors} errors, refused {refused}")
        return found


def measure(stack: Stack, population: Population, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    rounds = Rounds(stack, population, folder, asked)
    requests = stream_requests(stack, population, asked.member_streams, asked.operations_streams)
    rounds.one()  # this round warms up
    quiet: list[Closed] = []
    heard: list[Closed] = []
    pages: list[Pages] = []
    for _ in range(asked.rounds):
        quiet.append(rounds.one())
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=listen, args=(stack.port, requests, there))
        process.start()
        if not here.poll(OPEN_SECONDS):
            raise SystemExit("the streams could not be opened")
        here.recv()
        heard.append(rounds.one())
        here.send("stop")
        pages.append(here.recv())
        process.join()
    ratios = [with_them.rate / without.rate for with_them, without in zip(heard, quiet, strict=True)]
    return {
        "member_streams": asked.member_streams,
        "operations_streams": asked.operations_streams,
        "members": asked.members,
        "rates_without": [round(each.rate) for each in quiet],
        "rates_with": [round(each.rate) for each in heard],
        "p99_ms_without": median(each.p99 for each in quiet),
        "p99_ms_with": median(each.p99 for each in heard),
        "ratios": [round(each, 3) for each in ratios],
        "ratio": round(median(ratios), 3),
        "gateway_cpu_us_a_scan": _cpu_of(rounds, "gateway", quiet, heard),
        "valkey_cpu_us_a_scan": _cpu_of(rounds, "valkey", quiet, heard),
        "notices": [each.notices for each in pages],
        "snapshots": [each.snapshots for each in pages],
        "ended": sum(each.ended for each in pages),
        "complaints": rounds.complaints,
    }


def _cpu_of(rounds: Rounds, part: str, quiet: list[Closed], heard: list[Closed]) -> list[int]:
    """Return CPU microseconds a scan, the median without listeners and with them.

    The first round was the warming up.
    """
    used = [each[part] for each in rounds.cpu[1:]]
    return [
        round(median(cpu / each.rate for cpu, each in zip(used[which::2], found, strict=True)) * 1e6)
        for which, found in ((0, quiet), (1, heard))
    ]


def main() -> int:
    """Run the command. Returns the exit status."""
    asked = arguments()
    try:
        require_tools()
        with running_stack(workers=1) as stack, tempfile.TemporaryDirectory(prefix="tong-listeners-") as folder:
            population = populate(stack, Path(folder), asked.members)
            asyncio.run(drain(stack.valkey_url, stack.postgres_dsn))
            Costs(stack).come_to_rest()
            found = measure(stack, population, Path(folder), asked)
    except (WrkMissing, StackFailed, TimeoutError) as fault:
        print(f"listeners: {fault}", file=sys.stderr)
        return 2
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    for name, value in found.items():
        print(f"{name:20} {value}")
    failed = found["ratio"] < SHARE_MIN or found["ended"] or found["complaints"]
    print("FAIL" if failed else "pass", f"scans with listeners are at least {SHARE_MIN:.0%} of those without")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
