"""A private PostgreSQL for tests: the server of the development stack (gateway/development/postgres_server.py), started
and killed by the test itself instead of a supervisor.

Guarantees: its own temporary folder and loopback port, stopped by its own process id. Every test gets a database of its
own, copied from a template to which dbmate has applied redemption/migrations. `durable=True` leaves fsync on.

With fsync off a commit survives the death of every process, not of the machine: enough for SIGKILL tests.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from gateway.development.postgres_account import Passage
from gateway.development.postgres_server import private_postgres as product_server
from gateway.development.valkey_server import PrivateServer
from gateway.processes.child import Account
from gateway.processes.supervisor import Supervisor

MIGRATIONS = Path(__file__).parents[3] / "redemption" / "migrations"
TEMPLATE = "tong_template"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "1h",
}

T = TypeVar("T")
_database_numbers = count(1)


class PrivatePostgres:
    """One server. `start` and `kill` may alternate; the data stays until `remove`."""

    def __init__(self, *, durable: bool = False, parent: Path | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tong-postgres-", dir=parent))
        self._process: subprocess.Popen[bytes] | None = None
        supervisor = Supervisor()
        self._passage = Passage(supervisor.say)

        def made() -> Awaitable[PrivateServer]:
            folder = self._folder / "postgres"
            return product_server(folder, ENVIRONMENT, 0, supervisor, self._passage, durable=durable)

        try:
            self._server = _in_a_loop_of_its_own(made)
        except BaseException:
            self.remove()
            raise
        self._address = urlsplit(self._server.address)
        assert self._address.port is not None
        self.port = self._address.port

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def has_ended(self) -> bool:
        """Whether the process ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def dsn(self, database: str, login: str | None = None) -> str:
        """The owner's address of a database, or that of `login` ("name:password")."""
        login = login or f"{self._address.username}:{self._address.password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def start(self) -> None:
        """Starts the server and waits until it answers. After a kill this waits for the last backend to go."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._launch()
            if self._ready(deadline):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self._log()[-2000:]}")

    def _launch(self) -> None:
        child = self._server.child
        prepare = child.before_start
        assert prepare is not None
        _in_a_loop_of_its_own(lambda: prepare([]))
        flags = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*child.command, *flags],
                env=dict(child.environment),
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as(child.account),
            )

    def _ready(self, deadline: float) -> bool:
        """Whether it came up; False when it ended by itself, as it does while an old backend holds its memory."""
        assert self._server.child.folder is not None
        status = self._server.child.folder / "postmaster.pid"
        assert self._process is not None
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            lines = status.read_text().splitlines() if status.exists() else []
            if len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to the postmaster; its backends notice and end."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Fast shutdown."""
        if self._process is not None:
            self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def remove(self) -> None:
        self.stop()
        self._passage.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def migrate(self, database: str = TEMPLATE) -> None:
        """Makes the database and applies every migration with dbmate."""
        dbmate = Path(sys.executable).parent / "dbmate"
        done = subprocess.run(
            [str(dbmate), "--url", self.dsn(database), "--migrations-dir", str(MIGRATIONS), "--no-dump-schema", "up"],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"dbmate failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    @asynccontextmanager
    async def fresh_database(self) -> AsyncIterator[str]:
        """The DSN of a new migrated database, dropped at the end if the server still runs."""
        name = f"test_{next(_database_numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.dsn(name)
        finally:
            if self.running:
                await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _as(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def _in_a_loop_of_its_own(work: Callable[[], Awaitable[T]]) -> T:
    """Runs the coroutine to its end in another thread: the caller's may have a loop that runs."""

    async def main() -> T:
        return await work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, main()).result()


@contextmanager
def private_postgres(*, durable: bool = False, parent: Path | None = None) -> Iterator[PrivatePostgres]:
    """A running, migrated server, with its data below `parent`; stopped and removed at the end."""
    server = PrivatePostgres(durable=durable, parent=parent)
    try:
        server.start()
        server.migrate()
        yield server
    finally:
        server.remove()
