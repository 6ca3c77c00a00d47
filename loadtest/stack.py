"""One `tong up`, started and stopped from outside: a process of its own, a home of its own, a free port.

`StackProcess` is what every driver of a stack is made of, those of the tests and drills too. `Stack` measures: it is
asked by HTTP, SQL and the hot store's own commands, as an outsider would. Nothing of the product's durable settings is
weakened.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from loadtest.processes import end, standing_still
from loadtest.waiting import wait_until
from tokens.development_issuer import DevelopmentIssuer

TONG: Final = Path(sys.executable).with_name("tong")
"""The command line of the environment that this runs in."""
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 900.0
ASK_SECONDS: Final = 10.0
OUTCOMES_LOOKS: Final = 25
OUTCOMES_LOOK_SECONDS: Final = 0.15
"""The time between looks at the counters: workers take less to show theirs in each other's `/metrics`."""


class StackFailed(Exception):
    """The stack, or a command of it, did not do what it was started for; the text has its last words."""


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings of Tong and no others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TONG_")} | dict(settings)


def processes_of(home: Path) -> list[int]:
    """Return every other process that has to do with this home: by command line, environment or working folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            traces = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(home).encode() in traces or str((entry / "cwd").readlink()).startswith(str(home)):
                found.append(int(entry.name))
    return found


class StackProcess:
    """One `tong up` on a home, which may be started again once it has ended.

    `demo` is read anew each time, because process ids change when a part was restarted.
    """

    process: "subprocess.Popen[bytes]"

    def __init__(self, home: Path, environment: Mapping[str, str], *, log: Path | None = None) -> None:
        self.home = home
        self.log = log or home.with_name("log")
        self.environment = environment_with({"TONG_HOME": str(home), "TONG_PORT": "0"}) | dict(environment)

    def start(self) -> None:
        """Start the process, in a session of its own. It is not ready yet when this returns."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(TONG), "up"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        """Return whether the process has ended; it is reaped then."""
        return self.process.poll() is not None

    def is_ready(self) -> bool:
        """Return whether the stack has described itself in demo.json. Raises StackFailed when it ended instead."""
        if self.has_ended:
            raise StackFailed(f"the stack did not start: {self.said[-3_000:]}")
        return (self.home / "demo.json").exists()

    @property
    def said(self) -> str:
        """Everything the stack and its parts wrote."""
        return self.log.read_text(errors="replace")

    @property
    def demo(self) -> dict[str, Any]:
        """The content of demo.json."""
        content: dict[str, Any] = json.loads((self.home / "demo.json").read_bytes())
        return content

    @property
    def base_url(self) -> str:
        """The address of the gateway."""
        return str(self.demo["base_url"])

    @property
    def valkey_url(self) -> str:
        """The address of the hot store, with its password."""
        return str(self.demo["valkey_url"])

    @property
    def postgres_dsn(self) -> str:
        """The address of the ledger's database, with its password."""
        return str(self.demo["postgres_dsn"])

    def pids(self, part: str) -> list[int]:
        """Return the process ids of a part; none where the server was given."""
        found = self.demo["pids"][part]
        return found if isinstance(found, list) else [found] if found is not None else []

    def pid(self, part: str) -> int:
        """Return the process id of a part; the first worker's of `gateway`."""
        return self.pids(part)[0]


class Stack(StackProcess):
    """A stack that is measured."""

    @property
    def port(self) -> int:
        """The gateway's port."""
        return int(self.base_url.rpartition(":")[2])

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
        """A command of `tong` against this stack; what it printed. Raises StackFailed."""
        settings = {
            "TONG_HOME": str(self.home),
            "TONG_VALKEY_URL": self.valkey_url,
            "TONG_POSTGRES_DSN": self.postgres_dsn,
            "TONG_DEVELOPMENT": "true",
        }
        done = subprocess.run(
            [str(TONG), *arguments],
            env=environment_with(settings),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StackFailed(f"tong {' '.join(arguments)}: {done.stderr[-2_000:]}")
        return done.stdout


@contextmanager
def running_stack(*, workers: int = 1) -> Iterator[Stack]:
    """Run a fresh stack for the length of the block. Raises StackFailed."""
    folder = Path(tempfile.mkdtemp(prefix="tong-load-"))
    stack = Stack(folder / "home", {"TONG_WORKERS": str(workers), "TONG_LOG_LEVEL": "warning"})
    try:
        stack.start()
        try:
            wait_until("the stack is ready", stack.is_ready, START_SECONDS)
            yield stack
        finally:
            end(stack.process, STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
