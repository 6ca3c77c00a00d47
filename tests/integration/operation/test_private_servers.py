"""The development stack's own Valkey and PostgreSQL, supervised as `tong up` does it."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from gateway.development import postgres_server
from gateway.development.leftovers import working_in
from gateway.development.postgres_account import Passage, needed, postgres_account
from gateway.development.postgres_server import private_postgres
from gateway.development.private_files import SOCKET_PATH_BYTES_MAX, kept_port, write_private
from gateway.development.store_roles import WRITER, make_roles
from gateway.development.valkey_server import PrivateServer, private_valkey
from gateway.processes.supervisor import ChildFailed, Supervisor
from redemption.hot.server_checks import check_hot_store
from redemption.hot.users import GATEWAY
from redemption.ledger.server_checks import check_ledger_store
from tests.support.suite.waiting import wait_until

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="tong-test-home-"))
    yield made
    shutil.rmtree(made)


@asynccontextmanager
async def valkey(folder: Path) -> AsyncIterator[tuple[Supervisor, PrivateServer]]:
    supervisor = Supervisor()
    try:
        server = private_valkey(folder, ENVIRONMENT, 0, supervisor.say)
        await supervisor.start(server.child)
        yield supervisor, server
    finally:
        await supervisor.stop()


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[tuple[Supervisor, PrivateServer]]:
    supervisor = Supervisor()
    passage = Passage(supervisor.say)
    try:
        server = await private_postgres(folder, ENVIRONMENT, 0, supervisor, passage)
        await supervisor.start(server.child)
        yield supervisor, server
    finally:
        await supervisor.stop()
        passage.close()


async def test_valkey_is_as_durable_as_promised_and_keeps_address_and_data(folder: Path) -> None:
    async with valkey(folder / "valkey") as (_, first):
        assert await check_hot_store(first.address, cluster=False) == ()
        async with Redis.from_url(first.address) as client:
            await client.set("kept", "yes")
        assert "password" not in repr(first)
        assert first.address not in repr(first)
    async with valkey(folder / "valkey") as (_, second), Redis.from_url(second.address) as client:
        assert second.address == first.address
        assert await client.get("kept") == b"yes"


async def test_parts_come_to_valkey_by_a_unix_socket_and_by_tcp_where_its_path_is_too_long(
    folder: Path,
) -> None:
    for name, scheme in (("val %key", "unix"), ("v" * SOCKET_PATH_BYTES_MAX, "redis")):
        async with valkey(folder / name) as (_, server):
            assert {urlsplit(address).scheme for address in server.users.values()} == {scheme}
            async with Redis.from_url(server.users[GATEWAY]) as client:
                assert await client.ping()
            unix_socket = folder / name / "valkey.sock"
            assert unix_socket.is_socket() == (scheme == "unix")
            if unix_socket.exists():
                assert stat.S_IMODE(unix_socket.stat().st_mode) == 0o700


async def test_valkeys_secrets_are_readable_by_their_owner_only(folder: Path) -> None:
    async with valkey(folder / "valkey") as (supervisor, server):
        password = (folder / "valkey" / "password").read_text()
        for name in ("password", "valkey.conf"):
            assert stat.S_IMODE((folder / "valkey" / name).stat().st_mode) == 0o600
        command_line = Path(f"/proc/{supervisor.pids()['valkey']}/cmdline").read_text()
        assert password in server.address
        assert password not in command_line


async def test_a_log_cut_by_a_crash_is_loaded_up_to_the_cut_and_that_is_said(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with valkey(folder / "valkey") as (_, server), Redis.from_url(server.address) as client:
        await client.set("acknowledged", "yes")
    (log,) = (folder / "valkey" / "data" / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf")
    async with valkey(folder / "valkey") as (_, server), Redis.from_url(server.address) as client:
        assert await client.get("acknowledged") == b"yes"
        assert await check_hot_store(server.address, cluster=False) == ()
    assert "never acknowledged" in capfd.readouterr().err


async def test_a_valkey_left_by_a_crashed_supervisor_is_ended_before_a_second_one_starts(folder: Path) -> None:
    async with valkey(folder / "valkey") as (crashed, _):
        left = crashed.pids()["valkey"]
        crashed.request_stop()  # it no longer looks after its child
        async with valkey(folder / "valkey") as (second, server):
            assert second.pids()["valkey"] != left
            assert not Path(f"/proc/{left}").exists()
            assert await check_hot_store(server.address, cluster=False) == ()


async def test_postgres_is_as_durable_as_promised_and_keeps_address_and_data(folder: Path) -> None:
    async with postgres(folder / "postgres") as (_, first):
        assert await check_ledger_store(first.address) == ()
        connection = await asyncpg.connect(first.address)
        await connection.execute("CREATE TABLE kept AS SELECT '陳' AS name")
        await connection.close()
    async with postgres(folder / "postgres") as (_, second):
        assert second.address == first.address
        connection = await asyncpg.connect(second.address)
        assert await connection.fetchval("SELECT name FROM kept") == "陳"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(second.address.replace("tong:", "tong:x", 1))
        await connection.close()


async def test_a_killed_postgres_recovers_and_its_orphans_are_waited_for(folder: Path) -> None:
    async with postgres(folder / "postgres") as (supervisor, server):
        connection = await asyncpg.connect(server.address)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        first = supervisor.pids()["postgres"]
        os.kill(first, signal.SIGKILL)
        await wait_until("it is started again", lambda: supervisor.pids()["postgres"] != first, seconds=30)
        assert server.child.ready is not None
        while not await server.child.ready():
            pass  # each question takes a process of its own: no busy loop; the test's time-out bounds it
        connection.terminate()
        connection = await asyncpg.connect(server.address)
        assert await connection.fetchval("SELECT one FROM kept") == 1
        await connection.close()
    assert working_in(folder.resolve() / "postgres" / "cluster" / "data") == []


WRONG_ONCE = """#!/bin/sh
# As on a full disk: the statement fails, and the exit status does not say so.
if [ "$1" = --single ] && [ ! -e {mark} ]; then touch {mark}; cat > /dev/null; exit 0; fi
exec {program} "$@"
"""


async def test_a_cluster_that_was_made_half_way_is_not_taken_and_the_next_start_makes_a_whole_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, wrapper = folder / "mark", folder / "postgres-wrapper"
    folder.chmod(0o777)  # the server's account runs it
    real = postgres_server.postgres_program
    wrapper.write_text(WRONG_ONCE.format(mark=mark, program=real("postgres")))
    wrapper.chmod(0o755)
    monkeypatch.setattr(postgres_server, "postgres_program", lambda name: wrapper if name == "postgres" else real(name))
    with pytest.raises(ChildFailed, match='database "tong" does not exist'):
        async with postgres(folder / "postgres"):
            pass
    assert mark.exists()
    assert list((folder / "postgres" / "cluster").iterdir()) == []
    async with postgres(folder / "postgres") as (_, server):
        assert await check_ledger_store(server.address) == ()


async def test_a_database_that_is_missing_is_made(folder: Path) -> None:
    async with postgres(folder / "postgres") as (_, server):
        owner = await asyncpg.connect(server.address.removesuffix("tong") + "postgres")
        await owner.execute("DROP DATABASE tong")
        await owner.close()
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(server.address)
        for _ in range(2):
            await postgres_server.make_missing_database(server.address)
        assert await check_ledger_store(server.address) == ()


async def test_a_pid_file_whose_number_belongs_to_another_program_does_not_keep_postgres_from_starting(
    folder: Path,
) -> None:
    async with postgres(folder / "postgres"):
        pass
    pid_file = folder / "postgres" / "cluster" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n")
    async with postgres(folder / "postgres") as (_, server):
        assert await check_ledger_store(server.address) == ()


async def test_parts_come_to_postgres_by_a_unix_socket_and_by_tcp_where_its_path_cannot_be_one(
    folder: Path,
) -> None:
    too_long = "p" * (SOCKET_PATH_BYTES_MAX - len(str(folder)) - 10)
    for name, by_socket in (("post %gres", True), ("a,b", False), (too_long, False)):
        async with postgres(folder / name) as (_, server):
            await make_roles(server.address, server.users)
            for address, wanted in ((server.users[WRITER.ledger], by_socket), (server.address, False)):
                connection = await asyncpg.connect(address)
                assert await connection.fetchval("SELECT inet_client_addr() IS NULL") == wanted
                await connection.close()


async def test_a_socket_that_a_killed_postgres_left_does_not_keep_the_next_one_from_starting(folder: Path) -> None:
    async with postgres(folder / "postgres") as (_, server):
        port = urlsplit(server.address).port
    account = postgres_account().uid if needed() else None
    somebody = await asyncio.create_subprocess_exec("sleep", "600", user=account)  # has the number that the lock names
    lock = folder / "postgres" / "sockets" / f".s.PGSQL.{port}.lock"
    lock.write_text(f"{somebody.pid}\n")
    try:
        async with postgres(folder / "postgres") as (_, server):
            assert await check_ledger_store(server.address) == ()
    finally:
        somebody.kill()
        await somebody.wait()


async def test_no_folder_is_opened_to_everybody_for_postgres(folder: Path) -> None:
    async with postgres(folder / "postgres"):
        for path in (folder, folder / "postgres", folder / "postgres" / "cluster"):
            assert path.stat().st_mode & stat.S_IRWXO == 0


def test_a_kept_port_changes_only_when_something_listens_on_it(folder: Path) -> None:
    first = kept_port(folder / "port")
    assert kept_port(folder / "port") == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert kept_port(folder / "port") != first


def test_a_private_file_is_replaced_whole_and_stays_private(folder: Path) -> None:
    write_private(folder / "secret", b"one")
    write_private(folder / "secret", b"two")
    assert (folder / "secret").read_bytes() == b"two"
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret"]
