"""Streams of server-sent events: seats, slow clients, and the listeners behind them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.requests import Request
from starlette.routing import Route

from gateway.hot_path.admission import Admission
from gateway.hot_path.verify import VerifyEndpoint
from gateway.http import event_streams
from gateway.http.event_streams import EventStream, Reason, StreamLimiter, ending, event
from gateway.problems.documents import Problem
from gateway.server.app import Application
from gateway.server.protocol import BoundedProtocol
from redemption.domain.limits import NOTICES_WAITING_MAX
from redemption.ledger.entries import Position
from redemption.live.tail import Listener
from tests.support.suite.waiting import wait_until


@asynccontextmanager
async def serving(stream: Callable[[], EventStream]) -> AsyncIterator[int]:
    """A real server with the gateway's protocol, which answers with this stream; its port."""

    async def endpoint(_request: Request) -> EventStream:
        return stream()

    app = Application(routes=[Route("/v1/me/events", endpoint)])
    app.verify = VerifyEndpoint.__new__(VerifyEndpoint)  # scans are not what is tested here
    app.verify.admission = Admission(time.monotonic)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=BoundedProtocol, ws="none", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            await wait_until("the server listens", lambda: server.started)
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await running


async def last_of(reader: asyncio.StreamReader) -> bytes:
    """The last bytes until the connection is over."""
    tail = b""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            tail = (tail + data)[-16:]
    return tail


async def test_a_client_that_does_not_read_loses_its_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_streams, "SEND_SECONDS", 0.2)
    over = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield event("filler", Reason("x" * 65_536))

    async with serving(lambda: EventStream(endless(), over.set)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(b"GET /v1/me/events HTTP/1.1\r\nhost: a\r\n\r\n")
        async with asyncio.timeout(20):
            await over.wait()
            tail = await last_of(reader)
        writer.close()
        with suppress(ConnectionResetError):  # the server reset it: what is in the kernel's buffers is dropped too
            await writer.wait_closed()
    assert not tail.endswith(b"0\r\n\r\n")  # cut off, not ended
    assert "returned without completing" not in caplog.text


async def test_a_client_that_reads_gets_whole_events_and_its_seat_is_given_back() -> None:
    seats = StreamLimiter(1, 1)

    async def two() -> AsyncIterator[bytes]:
        yield event("notice", Reason("any"), "7-0")
        yield ending("draining")

    async with serving(lambda: EventStream(two(), seats.take("caller"))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/me/events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert b'id: 7-0\nevent: notice\ndata: {"reason":"any"}\n\n' in answer
    assert b'event: end\ndata: {"reason":"draining"}\n\n' in answer
    assert seats.open == 0


def test_seats_are_bounded_for_one_and_for_all_and_given_back_once() -> None:
    seats = StreamLimiter(3, 2)
    first, second = seats.take("a"), seats.take("a")
    with pytest.raises(Problem) as of_one:
        seats.take("a")
    assert of_one.value.kind.code == "rate_limited"
    seats.take("b")
    with pytest.raises(Problem) as of_all:
        seats.take("c")
    assert of_all.value.kind.code == "overloaded"
    first()
    first()
    assert seats.open == 2
    seats.take("c")
    second()
    assert seats.open == 2


async def test_a_listener_that_is_too_slow_is_ended_and_holds_nothing() -> None:
    listener = Listener(0, "mem_0000001", Position(1, 0))
    for number in range(NOTICES_WAITING_MAX):
        listener.put((Position(2, number), {}))
    assert listener.ended is None
    assert len(await listener.take(0.0)) == NOTICES_WAITING_MAX
    for number in range(NOTICES_WAITING_MAX + 1):
        listener.put((Position(3, number), {}))
    assert str(listener.ended) == "slow"
    assert await listener.take(60.0) == []


async def test_a_listener_waits_and_is_woken() -> None:
    listener = Listener(0, "mem_0000001", Position(1, 0))
    assert await listener.take(0.001) == []
    waiting = asyncio.create_task(listener.take(60.0))
    await asyncio.sleep(0)
    listener.put((Position(2, 0), {b"v": b"1"}))
    assert await waiting == [(Position(2, 0), {b"v": b"1"})]
    listener.end("draining")
    assert await listener.take(60.0) == []
