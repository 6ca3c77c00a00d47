"""The hot connection's life: connecting, credentials, the hook, coming back, closing. Real Valkey."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redemption.hot.connection import Address, HotConnection, NotSent, Reply, ReplyLost, ServerRefused
from tests.support.servers.hot import STALL_SECONDS, ask, connected, outcomes, text
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.servers.proxy import FaultProxy
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[ValkeyServer]:
    async with private_valkey() as running:
        yield running


async def test_a_killed_server_is_found_again_on_its_port() -> None:
    async with private_valkey() as own, connected(own.port) as connection:
        await ask(connection, "SET", "kept", "yes")
        held = [connection.call("DEBUG", "SLEEP", "5"), connection.call("PING")]
        await asyncio.sleep(0)
        own.kill()
        assert {type(result) for result in await outcomes(held)} == {ReplyLost}
        await wait_until("the loss is seen", lambda: not connection.connected)
        with pytest.raises(NotSent, match="no connection"):
            connection.call("PING")
        await asyncio.to_thread(own.start)
        await wait_until("it is connected again", lambda: connection.connected)
        assert await ask(connection, "GET", "kept") == b"yes"


async def test_start_without_a_server_returns_and_connects_once_it_is_there(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy:
        proxy.refusing = True
        async with connected(proxy.port) as connection:
            assert not connection.connected
            with pytest.raises(NotSent):
                await ask(connection, "PING")
            proxy.refusing = False
            await wait_until("it is connected", lambda: connection.connected)


async def test_credentials_are_used_and_their_refusal_is_reported_without_them() -> None:
    async with private_valkey("--requirepass", "right", "--user", *["till", "on", ">pass", "~*", "+@all"]) as own:
        for username, password, word in [
            (None, "wrong-secret", "WRONGPASS"),
            (None, None, "NOAUTH"),
            ("till", "wrong-secret", "WRONGPASS"),
        ]:
            address = Address(port=own.port, username=username, password=password)
            connection = HotConnection(address, in_flight_max=8)
            await connection.start()
            assert word in str(connection.last_fault)
            with pytest.raises(NotSent, match=word) as fault:
                connection.call("PING")
            assert "wrong-secret" not in f"{connection.last_fault}{fault.value}{connection.address!r}"
            await connection.close(0)
        for username, password in ((None, "right"), ("till", "pass")):
            address = Address(port=own.port, username=username, password=password, database=3)
            connection = HotConnection(address, in_flight_max=8, name="till-1")
            await connection.start()
            info = text(await ask(connection, "CLIENT", "INFO"))
            assert b" name=till-1 " in info
            assert b" db=3 " in info
            await connection.close(0)


async def test_a_user_that_may_only_call_functions_connects() -> None:
    async with private_valkey("--user", *["till", "on", ">pass", "~*", "-@all", "+auth", "+fcall"]) as own:
        connection = HotConnection(Address(port=own.port, username="till", password="pass"), in_flight_max=8)
        await connection.start()
        with pytest.raises(ServerRefused, match="ERR Function not found"):
            await ask(connection, "FCALL", "nothing", 0)
        await connection.close(0)


async def test_a_server_still_loading_its_data_is_not_connected_yet() -> None:
    async with private_valkey() as own, connected(own.port, connect_timeout_seconds=5.0) as connection:
        for _ in range(40):
            await asyncio.gather(*(ask(connection, "SET", f"k{n}", n) for n in range(200)))
        own.kill()
        own.options += ("--key-load-delay", "200")  # microseconds for each of the commands above
        starting = asyncio.create_task(asyncio.to_thread(own.start))
        await wait_until("loading is reported", lambda: "LOADING" in str(connection.last_fault))
        assert not connection.connected
        await starting
        await wait_until("it is connected", lambda: connection.connected)


async def test_a_unix_socket_works(tmp_path: Path) -> None:
    path = f"{tmp_path}/v.sock"
    async with private_valkey("--unixsocket", path):
        connection = HotConnection(Address.from_url(f"unix://{path}?db=2"), in_flight_max=8)
        await connection.start()
        assert await ask(connection, "ECHO", "near") == b"near"
        await connection.close(0)


async def test_the_hook_runs_before_anybody_else_and_again_on_each_connection(server: ValkeyServer) -> None:
    may_end = asyncio.Event()
    runs: list[Reply] = []

    async def hook(connection: HotConnection) -> None:
        # wait_for runs it in a task of its own: the permission goes with the context.
        runs.append(await asyncio.wait_for(ask(connection, "ECHO", "from the hook"), 1))
        await may_end.wait()

    connection = HotConnection(
        Address(port=server.port), in_flight_max=8, on_connect=hook, stall_timeout_seconds=STALL_SECONDS
    )
    starting = asyncio.create_task(connection.start())
    await wait_until("the hook runs", lambda: runs)
    assert not connection.connected
    with pytest.raises(NotSent):
        connection.call("PING")
    may_end.set()
    await starting
    assert connection._link is not None
    connection._link.break_off("the test ends it")
    await wait_until("it is connected again", lambda: connection.connected)
    assert runs == [b"from the hook"] * 2
    await connection.close(0)


async def test_a_hook_may_not_reach_another_connection_that_is_not_there(server: ValkeyServer) -> None:
    other = HotConnection(Address(port=server.port), in_flight_max=8)
    told: list[str] = []

    async def hook(_connection: HotConnection) -> None:
        with pytest.raises(NotSent) as fault:
            other.call("PING")
        told.append(str(fault.value))

    async with connected(server.port, on_connect=hook) as connection:
        assert connection.connected
    assert told == ["no connection to the hot store: it was not started"]


async def test_a_failing_hook_keeps_calls_out_and_is_tried_again(server: ValkeyServer) -> None:
    attempts = 0

    async def hook(connection: HotConnection) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise LookupError("the function library is missing")

    async with connected(server.port, on_connect=hook) as connection:
        assert not connection.connected
        with pytest.raises(NotSent, match="the function library is missing"):
            connection.call("PING")
        await wait_until("the third attempt passes", lambda: connection.connected)
        assert attempts == 3


async def test_close_waits_for_replies_in_flight_and_takes_no_new_calls(server: ValkeyServer) -> None:
    async with connected(server.port, stall_timeout_seconds=5.0) as connection:
        futures = [connection.call("DEBUG", "SLEEP", "0.2"), *(connection.call("ECHO", n) for n in range(5))]
        closing = asyncio.create_task(connection.close(5.0))
        await asyncio.sleep(0)
        with pytest.raises(NotSent, match="closing"):
            connection.call("PING")
        await closing
        assert await outcomes(futures) == [b"OK", b"0", b"1", b"2", b"3", b"4"]


async def test_close_gives_up_after_its_time(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port, stall_timeout_seconds=5.0) as connection:
        proxy.black_hole = True
        future = connection.call("PING")
        await asyncio.sleep(0)
        started = time.monotonic()
        await connection.close(0.1)
        assert 0.1 <= time.monotonic() - started < 4.5, "it waited for the stall, not for its own time"
        assert type((await outcomes([future]))[0]) is ReplyLost


def sockets_open() -> int:
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(entry.readlink()).startswith("socket:")
    return found


async def test_close_leaves_no_task_and_no_socket_behind(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy:
        tasks, sockets = asyncio.all_tasks(), sockets_open()
        for state in ("connected", "in the greeting", "away"):
            proxy.heal()
            proxy.black_hole = state == "in the greeting"
            proxy.refusing = state == "away"
            connection = HotConnection(Address(port=proxy.port), in_flight_max=8)
            starting = asyncio.create_task(connection.start())
            await asyncio.sleep(0)
            await wait_until("it is under way", lambda s=state: s == "away" or proxy.open_connections)  # type: ignore[arg-type, misc]
            if state == "connected":
                await starting
                assert connection.connected
            await connection.close(0)
            await asyncio.wait_for(starting, 1)
            await connection.close(0)  # again: nothing to do
            await wait_until("the proxy's ends are closed", lambda: not proxy.open_connections)
            await wait_until("all is gone", lambda: asyncio.all_tasks() <= tasks and sockets_open() == sockets)
