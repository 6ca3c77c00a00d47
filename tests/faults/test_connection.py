"""The hot connection under every fault a network or a server can have; real Valkey, a proxy that misbehaves."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from redemption.hot import connection as connection_module
from redemption.hot import link as link_module
from redemption.hot.connection import (
    HotConnection,
    NotSent,
    Reply,
    ReplyLost,
    ServerRefused,
    TooManyInFlight,
)
from tests.support.engine.echo_load import Tally, echo_load
from tests.support.servers.hot import STALL_SECONDS, ask, connected, outcomes, text
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.servers.proxy import FaultProxy, stop_listening
from tests.support.suite.waiting import wait_until

STORM_STALL_SECONDS = 0.08  # short, for the storms meet many


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load breaks a connection many times a second; the product would wait up to a second between attempts."""
    monkeypatch.setattr(connection_module, "BACKOFF_MAX_SECONDS", 0.03)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[ValkeyServer]:
    async with private_valkey("--busy-reply-threshold", "50") as running:
        yield running


class ForgetfulConnection(HotConnection):
    """The control: a call that is given up leaves no placeholder, as one would write it at first."""

    def call(self, *args: bytes | str | int) -> "asyncio.Future[Reply]":
        future = super().call(*args)
        link = self._link
        assert link is not None

        def forget(done: asyncio.Future[Reply]) -> None:
            if (done.cancelled() or done.exception() is not None) and done in link.pending:
                link.pending.remove(done)

        future.add_done_callback(forget)
        return future


# Replies and their calls


async def storm_through_faults(port: int, seed: int) -> Tally:
    randomness = random.Random(seed)
    async with (
        FaultProxy(port, randomness=randomness) as proxy,
        connected(proxy.port, stall_timeout_seconds=STORM_STALL_SECONDS) as connection,
    ):
        return await echo_load(connection, randomness, callers=40, calls_each=60, proxy=proxy)


@pytest.mark.parametrize("round_number", range(3))
async def test_replies_are_never_crossed_under_faults(server: ValkeyServer, round_number: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}, round {round_number}")  # noqa: T201 - shown when the test fails
    tally = await storm_through_faults(server.port, seed)
    print(tally)  # noqa: T201 - shown when the test fails
    assert tally.crossed == []
    assert tally.total == 40 * 60
    assert tally.answered > 300
    assert min(tally.lost, tally.cancelled, tally.faults) > 5


async def test_replies_are_never_crossed_under_faults_on_uvloop(server: ValkeyServer) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    tally = await asyncio.to_thread(uvloop.run, storm_through_faults(server.port, seed))
    print(tally)  # noqa: T201 - shown when the test fails
    assert tally.crossed == []
    assert tally.answered > 300
    assert min(tally.lost, tally.cancelled, tally.faults) > 5


async def test_control_without_placeholders_replies_are_crossed_and_noticed(server: ValkeyServer) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # its queue runs empty
    try:
        async with connected(server.port, ForgetfulConnection, stall_timeout_seconds=STORM_STALL_SECONDS) as connection:
            tally = await echo_load(connection, random.Random(7), callers=20, calls_each=40)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert tally.crossed


async def test_a_cancelled_call_does_not_disturb_the_next_one(server: ValkeyServer) -> None:
    async with connected(server.port) as connection:
        slow = asyncio.create_task(ask(connection, "DEBUG", "SLEEP", "0.1"))
        given_up = [asyncio.create_task(ask(connection, "ECHO", f"given up {n}")) for n in range(5)]
        await wait_until("all are sent", lambda: connection.in_flight == 6)
        for task in given_up:
            task.cancel()
        assert await ask(connection, "ECHO", "mine") == b"mine"
        assert await slow == b"OK"
        assert all(task.cancelled() for task in given_up)


async def test_a_large_reply_arrives_whole_between_small_ones(server: ValkeyServer) -> None:
    large = random.Random(1).randbytes(8 * 1024 * 1024)
    async with connected(server.port, stall_timeout_seconds=5.0) as connection:
        texts = [b"before", large, b"after"]
        assert await asyncio.gather(*(ask(connection, "ECHO", text) for text in texts)) == texts


async def test_a_reply_above_the_bound_ends_the_connection(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(server.port, stall_timeout_seconds=5.0) as connection:
        monkeypatch.setattr(link_module, "REPLY_BYTES_MAX", 1024 * 1024)
        with pytest.raises(ReplyLost, match="larger than allowed"):
            await ask(connection, "ECHO", bytes(8 * 1024 * 1024))


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [(b"!garbage\r\n", "cannot be read"), (b"+nobody asked\r\n", "without a request")],
    ids=["not RESP", "one reply too many"],
)
async def test_a_reply_stream_that_is_out_of_step_ends_the_connection(garbage: bytes, reason: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The greeting is CLIENT SETNAME and PING, one after the other; then comes what no server says.
        await reader.readuntil(b"tong\r\n")
        writer.write(b"+OK\r\n")
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")
        await reader.readuntil(b"GET\r\n")
        writer.write(b"$1\r\nv\r\n" + garbage)
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(peer, "127.0.0.1", 0)
    try:
        async with connected(listener.sockets[0].getsockname()[1]) as connection:
            assert await ask(connection, "GET", "k") == b"v"
            await wait_until("the connection is given up", lambda: not connection.connected)
            assert reason in str(connection.last_fault)
    finally:
        await stop_listening(listener)


# What is known of a call that got no reply


def is_explained(counter: int, *, acknowledged: int, lost: int) -> bool:
    return acknowledged <= counter <= acknowledged + lost


async def counter_at_rest(server: ValkeyServer, key: str, name: str) -> int:
    """The counter once the server has read to its end every connection of that name."""
    async with connected(server.port) as connection:
        for _ in range(1000):
            if f" name={name} ".encode() not in text(await ask(connection, "CLIENT", "LIST")):
                return int(text(await ask(connection, "GET", key)) or 0)
        raise AssertionError(f"the server still reads from {name}")


async def test_increments_are_explained_by_what_callers_were_told(server: ValkeyServer) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    randomness = random.Random(seed)
    told: dict[str, int] = {"acknowledged": 0, "lost": 0, "not sent": 0}
    async with (
        FaultProxy(server.port, randomness=randomness) as proxy,
        connected(proxy.port, name=f"counting-{seed}", stall_timeout_seconds=STORM_STALL_SECONDS) as connection,
    ):

        async def caller() -> None:
            for _ in range(80):
                try:
                    await ask(connection, "INCR", f"counter:{seed}")
                    told["acknowledged"] += 1
                except ReplyLost:
                    told["lost"] += 1
                except NotSent:
                    told["not sent"] += 1
                    await wait_until("the connection is there", lambda: connection.connected)

        callers = asyncio.gather(*(caller() for _ in range(30)))
        while not callers.done():
            before = sum(told.values())
            await wait_until("more is told", lambda b=before: callers.done() or sum(told.values()) > b + 60)  # type: ignore[arg-type, misc]
            if randomness.random() < 0.3:
                proxy.cut()
            elif randomness.random() < 0.6:
                proxy.reply_bytes_before_cut = randomness.randrange(1, 200)
            else:
                proxy.drop_replies = True
                await wait_until("silence is noticed", lambda: callers.done() or not connection.connected)
                proxy.heal()
        await callers
    counter = await counter_at_rest(server, f"counter:{seed}", f"counting-{seed}")
    print(counter, told)  # noqa: T201 - shown when the test fails
    assert is_explained(counter, acknowledged=told["acknowledged"], lost=told["lost"])
    assert min(told.values()) > 0


async def test_control_lost_replies_told_as_not_sent_do_not_explain_the_counter(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port, name="control") as connection:
        proxy.drop_replies = True
        results = await outcomes([connection.call("INCR", "counter:control") for _ in range(9)])
    assert [type(result) for result in results] == [ReplyLost] * 9
    counter = await counter_at_rest(server, "counter:control", "control")
    assert is_explained(counter, acknowledged=0, lost=9)
    assert not is_explained(counter, acknowledged=0, lost=0)


async def test_only_calls_that_never_left_are_told_as_not_sent(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port, name="leaving") as connection:
        proxy.drop_replies = True
        left_by, key = proxy.bytes_requested + 3, "counter:leaving"
        sent = [connection.call("INCR", key) for _ in range(3)]
        await wait_until("the proxy has them", lambda: proxy.bytes_requested > left_by)
        kept = [connection.call("INCR", key) for _ in range(4)]  # in the buffer until this turn ends
        assert connection._link is not None
        connection._link.break_off("the test ends it")
        results = await outcomes(sent + kept)
        assert [type(result) for result in results] == [ReplyLost] * 3 + [NotSent] * 4
    assert await counter_at_rest(server, key, "leaving") == 3


async def test_a_call_in_the_turn_in_which_the_socket_dies_is_not_sent(server: ValkeyServer) -> None:
    async with connected(server.port, name="dying") as connection:
        assert connection._link is not None
        assert connection._link.transport is not None
        before = connection.call("INCR", "counter:dying")
        connection._link.transport.abort()  # as a failed read does: the loss is told a turn later
        after = connection.call("INCR", "counter:dying")
        assert [type(result) for result in await outcomes([before, after])] == [NotSent] * 2
    assert await counter_at_rest(server, "counter:dying", "dying") == 0


async def test_error_replies_carry_their_code_and_whether_the_server_ran_it(server: ValkeyServer) -> None:
    async with connected(server.port) as connection:
        await ask(connection, "SET", "text", "x")
        for args, code, surely in [
            (("INCR", "text"), "ERR", False),
            (("LPUSH", "text", "x"), "WRONGTYPE", False),
            (("EVALSHA", "0" * 40, 0), "NOSCRIPT", True),
            (("EVAL", "redis.call('SET', 'text', 'y'); return redis.call('LPUSH', 'text', 1)", 0), "WRONGTYPE", False),
        ]:
            with pytest.raises(ServerRefused) as refused:
                await ask(connection, *args)
            assert (refused.value.code, refused.value.surely_not_executed) == (code, surely)
        await ask(connection, "CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(ServerRefused) as refused:
                await ask(connection, "SET", "more", "x")
            assert (refused.value.code, refused.value.surely_not_executed) == ("OOM", True)
        finally:
            await ask(connection, "CONFIG", "SET", "maxmemory", 0)
        assert await ask(connection, "GET", "text") == b"y"


# Silence, slowness, bounds


async def test_a_half_open_socket_is_noticed_and_replaced(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port) as connection:
        proxy.black_hole = True
        started = time.monotonic()
        with pytest.raises(ReplyLost, match="no reply within"):
            await ask(connection, "PING")
        assert STALL_SECONDS <= time.monotonic() - started < 10 * STALL_SECONDS
        assert not connection.connected
        proxy.heal()
        await wait_until("it is connected again", lambda: connection.connected)
        assert await ask(connection, "ECHO", "again") == b"again"


async def test_a_half_open_socket_is_noticed_though_nobody_calls(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port) as connection:
        proxy.black_hole = True
        await wait_until("silence is noticed", lambda: not connection.connected, seconds=4 * STALL_SECONDS)


async def test_an_idle_connection_stays(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port) as connection:
        seen = proxy.bytes_requested
        await wait_until("it was asked for signs of life", lambda: proxy.bytes_requested > seen + 5 * 14)
        assert connection.connected
        assert proxy.connections_made == 1


async def scenario_own_loop_stands_still(port: int) -> Reply:
    async with connected(port) as connection:
        # More than one read of the socket brings in: the first one alone does not show that the server answered.
        future = connection.call("ECHO", bytes(1024 * 1024))
        await wait_until("it is written", lambda: connection._link is not None and not connection._link.buffer)
        time.sleep(3 * STALL_SECONDS)  # noqa: ASYNC251 - the whole process stands still, as under SIGSTOP
        return await future


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
async def test_standing_still_itself_does_not_lose_replies_that_came(server: ValkeyServer, run: Any) -> None:
    assert await asyncio.to_thread(run, scenario_own_loop_stands_still(server.port)) == bytes(1024 * 1024)


async def test_deadlines_are_kept_and_their_late_replies_reach_nobody(server: ValkeyServer) -> None:
    async with connected(server.port, stall_timeout_seconds=5.0) as connection:
        sleeping = connection.call("DEBUG", "SLEEP", "2")
        started = time.monotonic()
        late = await asyncio.gather(
            *(ask(connection, "ECHO", f"late {n}", deadline_seconds=0.05) for n in range(100)), return_exceptions=True
        )
        assert 0.05 <= time.monotonic() - started < 1.8, "they waited for the server, not for their deadline"
        assert {type(result) for result in late} == {ReplyLost}
        texts = [f"in time {n}".encode() for n in range(100)]
        assert await asyncio.gather(*(ask(connection, "ECHO", text) for text in texts)) == texts
        assert await sleeping == b"OK"
        assert connection.in_flight == 0


async def test_a_call_without_time_left_is_not_sent(server: ValkeyServer) -> None:
    async with connected(server.port) as connection:
        with pytest.raises(NotSent):
            await ask(connection, "SET", "no:time", "x", deadline_seconds=0.0)
        assert await ask(connection, "EXISTS", "no:time") == 0


async def test_a_server_busy_with_a_script_refuses_and_recovers(server: ValkeyServer) -> None:
    async with (
        connected(server.port, stall_timeout_seconds=10.0) as running,
        connected(server.port, stall_timeout_seconds=10.0) as connection,
    ):
        endless = running.call("EVAL", "while true do end", 0)
        busy: list[ServerRefused] = []
        while not busy:
            try:
                await ask(connection, "SET", "busy", "x", deadline_seconds=0.2)
            except ReplyLost:
                pass  # the threshold from which on the server says BUSY is not reached
            except ServerRefused as refused:
                busy.append(refused)
        assert (busy[0].code, busy[0].surely_not_executed) == ("BUSY", True)
        assert await ask(connection, "SCRIPT", "KILL") == b"OK"
        with pytest.raises(ServerRefused, match="killed"):
            await endless
        texts = [str(n).encode() for n in range(200)]
        assert await asyncio.gather(*(ask(connection, "ECHO", text) for text in texts)) == texts


async def test_calls_in_flight_are_bounded_and_given_up_ones_count(server: ValkeyServer) -> None:
    async with FaultProxy(server.port) as proxy, connected(proxy.port, in_flight_max=10) as connection:
        proxy.black_hole = True
        held = [connection.call("PING") for _ in range(10)]
        with pytest.raises(TooManyInFlight):
            connection.call("PING")
        for future in held:
            future.cancel()
        assert connection.in_flight == 10
        with pytest.raises(TooManyInFlight):
            connection.call("PING")


async def test_calls_are_refused_while_the_server_does_not_read(server: ValkeyServer) -> None:
    large = bytes(256 * 1024)
    async with connected(server.port, stall_timeout_seconds=10.0) as connection:
        server.freeze()
        sent: list[asyncio.Future[Reply]] = []
        try:
            refusal: TooManyInFlight | None = None
            while refusal is None:
                try:
                    sent.append(connection.call("ECHO", large))
                except TooManyInFlight as fault:
                    refusal = fault
                await asyncio.sleep(0)
            assert "does not read" in str(refusal)
        finally:
            server.resume()
        assert await outcomes(sent) == [large] * len(sent)
        await wait_until("writing goes on", lambda: connection._link is not None and not connection._link.paused)
        assert await ask(connection, "ECHO", "on") == b"on"
