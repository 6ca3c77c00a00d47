"""Closed loop by wrk (Debian): connections that each send the next request as soon as the last was answered."""

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.scans import Request, write_requests

JEMALLOC: Final = Path(f"/usr/lib/{platform.machine()}-linux-gnu/libjemalloc.so.2")
"""The path at which `tong up` looks for it (gateway/development/valkey_server.py)."""
SCRIPT: Final = Path(__file__).with_name("scans.lua")
INSTALL_SECONDS: Final = 300.0
CONNECTIONS: Final = 64
"""Of a closed loop, for all contestants. Scans in flight together share one fsync of the hot store, so the rate grows
with them up to here: 4 499 a second at 16, 4 819 at 32, 5 568 at 64, 5 422 at 128 (`make bench ARGS="--quick
--connections N"`, 2026-11-22, 2 cores)."""


class WrkMissing(Exception):
    """wrk is missing and could not be installed; the text says what to do."""


@dataclass(frozen=True)
class Closed:
    """The results of one round of wrk. Latencies in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p95: float
    p99: float
    p999: float

    @property
    def rate(self) -> float:
        """Return answers a second."""
        return self.requests / self.seconds


def require_tools() -> None:
    """Require wrk, and for the hot store the allocator it is made for.

    Debian's packages are installed where they are missing and that is allowed. Raises WrkMissing; without jemalloc the
    hot store is slower.
    """
    if not JEMALLOC.is_file():
        _installed("libjemalloc2")
    wrong = "" if shutil.which("wrk") else _installed("wrk")
    if not shutil.which("wrk"):
        manual = "wrk is missing: apt-get install wrk (Debian, Ubuntu), then run this again"
        raise WrkMissing(f"{manual}\n{wrong}".strip())


def _installed(package: str) -> str:
    """Install a package of Debian as root. Returns the fault, or an empty text."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return ""
    print(f"bench: installing {package}", flush=True)
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", package]):
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(command)}` did not end within {INSTALL_SECONDS:.0f} s"
        if done.returncode:
            return done.stderr.decode()[-500:]
    return ""


def closed_loop(port: int, requests: list[Request], folder: Path, *, seconds: int, connections: int) -> Closed:
    """Run one round. Latency is what a connection saw: in a closed loop a slow answer delays the next request."""
    return _wrk(port, requests, folder / "scans.bin", seconds, connections)


def flood(port: int, requests: list[Request], folder: Path, *, seconds: int, connections: int, rate: float) -> Closed:
    """Run connections that wait between their requests, so that all together send about `rate` a second.

    The rate holds as long as answers come soon. A refusal counts as an error.
    """
    return _wrk(port, requests, folder / "flood.bin", seconds, connections, TONG_RATE=str(rate))


def _wrk(port: int, requests: list[Request], file: Path, seconds: int, connections: int, **environment: str) -> Closed:
    write_requests(file, requests)
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "10s",
            "--latency",
            "-s",
            str(SCRIPT),
            f"http://127.0.0.1:{port}",
        ],
        env={**os.environ, "TONG_SCANS": str(file), "TONG_CONNECTIONS": str(connections), **environment},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.rpartition("@@")[2])
    errors = sum(told[name] for name in ("status", "connect", "read", "write", "timeout"))
    p50, p95, p99, p999 = (told[name] / 1000 for name in ("p50", "p95", "p99", "p999"))
    return Closed(told["requests"], told["duration_us"] / 1e6, errors, p50, p95, p99, p999)
