"""One `tong up` for measuring, started and stopped from outside: a process of its own, a temporary home, a free port.

Guarantees: it is ready when the block begins and gone when it ends; durable settings are those of the product, nothing
is weakened. Everything is asked by HTTP, SQL and the hot store's own commands, as an outsider would.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from loadtest.processes import end, standing_still
from tokens.development_issuer import DevelopmentIssuer

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 900.0
ASK_SECONDS: Final = 10.0
OUTCOMES_LOOKS: Final = 25
OUTCOMES_LOOK_SECONDS: Final = 0.15
"""The time between looks at the counters: workers take less to show theirs in each other's `/metrics`."""


class StackFailed(Exception):
    """The stack, or a command of it, did not do what it was started for; the text has its last words."""


def tong() -> str:
    """Return the command line of the environment that this runs in."""
    return str(Path(sys.executable).with_name("tong"))


class Stack:
    """A running stack, known by its demo.json."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.demo: dict[str, Any] = json.loads((home / "demo.json").read_bytes())
        self.base_url: str = self.demo["base_url"]
        self.port = int(self.base_url.rpartition(":")[2])
        self.valkey_url: str = self.demo["valkey_url"]
        self.postgres_dsn: str = self.demo["postgres_dsn"]

    @property
    def near_valkey_url(self) -> str:
        """Return the hot store's address as its gateway uses it, the Unix socket where there is one, for
        comparisons."""
        path = self.home / "valkey" / "valkey.sock"
        password = urlsplit(self.valkey_url).password
        return f"unix://:{password}@{quote(str(path))}" if path.is_socket() else self.valkey_url

    @property
    def code_keys(self) -> Path:
        """Return the ring of keys that its members' codes are signed with."""
        return self.home / "code-keys.json"

    def identity(self) -> tuple[str, str]:
        """Return issuer and audience of its members' access tokens."""
        claims_part = self.demo["members"][0]["access_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims_part + "=" * (-len(claims_part) % 4)))
        return claims["iss"], claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]

    def member_issuer(self) -> DevelopmentIssuer:
        """Return an issuer of access tokens of any member."""
        return DevelopmentIssuer(self.home / "identity", *self.identity(), time.time)

    def pids(self, part: str) -> list[int]:
        """Return process ids of a part; none where the server was given."""
        found = self.demo["pids"][part]
        return found if isinstance(found, list) else [found] if found is not None else []

    @contextmanager
    def writer_stopped(self) -> Iterator[None]:
        """Pause the ledger writer (SIGSTOP) for the length of the block."""
        with standing_still(self.pids("ledger_writer")):
            yield

    def metrics(self) -> dict[str, float]:
        """Return /metrics, by sample."""
        address = self.base_url + "/metrics"  # the address is our own
        with urllib.request.urlopen(address, timeout=ASK_SECONDS) as answer:  # noqa: S310 # nosec
            lines = answer.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def outcomes(self) -> dict[str, int]:
        """Return how many scans were answered, by outcome."""
        prefix = 'tong_verify_total{outcome="'
        return {
            name.removeprefix(prefix).removesuffix('"}'): int(value)
            for name, value in self.metrics().items()
            if name.startswith(prefix)
        }

    def settled_outcomes(self, answered: int, before: dict[str, int]) -> dict[str, int]:
        """Return the outcomes once calls in flight have ended and every worker has reported.

        It waits for this many answers since `before`; after `OUTCOMES_LOOKS` looks it returns the latest.
        """
        found = self.outcomes()
        for _ in range(OUTCOMES_LOOKS):
            time.sleep(OUTCOMES_LOOK_SECONDS)
            following = self.outcomes()
            if following == found and sum(found.values()) - sum(before.values()) >= answered:
                break
            found = following
        return found

    def run(self, *arguments: str) -> str:
        """Run a command of `tong` against this stack. Returns its output. Raises StackFailed."""
        environment = {
            **_bare_environment(),
            "TONG_HOME": str(self.home),
            "TONG_VALKEY_URL": self.valkey_url,
            "TONG_POSTGRES_DSN": self.postgres_dsn,
            "TONG_DEVELOPMENT": "true",
        }
        done = subprocess.run(
            [tong(), *arguments], env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if done.returncode:
            raise StackFailed(f"tong {' '.join(arguments)}: {done.stderr[-2_000:]}")
        return done.stdout


def _bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}


@contextmanager
def running_stack(*, workers: int = 1) -> Iterator[Stack]:
    """Run a fresh stack for the length of the block. Raises StackFailed."""
    folder = Path(tempfile.mkdtemp(prefix="tong-load-"))
    home = folder / "home"
    environment = _bare_environment() | {
        "TONG_HOME": str(home),
        "TONG_PORT": "0",
        "TONG_WORKERS": str(workers),
        "TONG_LOG_LEVEL": "warning",
    }
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [tong(), "up"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, home, folder / "log")
            yield Stack(home)
        finally:
            end(process, STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: "subprocess.Popen[bytes]", home: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (home / "demo.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise StackFailed(f"the stack did not start: {log.read_text(errors='replace')[-3_000:]}")
        time.sleep(0.05)
