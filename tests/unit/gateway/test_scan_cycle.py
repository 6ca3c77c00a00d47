"""What a scan leaves behind on its connection: no work for the garbage collector, and one timer for all answers."""

import asyncio
import gc
import weakref
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.hot_path.scan_cycle import Answer, ScanCycle
from gateway.server.protocol import BoundedProtocol

KEEP_ALIVE_SECONDS = 30.0


class Wire:
    """What a cycle needs of a connection and of its transport."""

    def __init__(self) -> None:
        self.transport: Any = self
        self.flow: Any = SimpleNamespace(write_paused=False, resume_reading=lambda: None)
        self.written = b""
        self._closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self._closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closed

    def on_response_complete(self) -> None:
        pass

    def default_head(self) -> bytes:
        return b""


async def answered(scope: object, body: bytes) -> Answer:
    await asyncio.sleep(0)
    return 201, b"{}", ()


async def answered_and_freed(spoil: Callable[[ScanCycle], None]) -> bool:
    """Whether a scan is gone once it was answered, without the collector."""
    wire, tasks = Wire(), set[asyncio.Task[None]]()
    cycle = ScanCycle(wire, answered, {"type": "http"}, keep_alive=True)
    spoil(cycle)
    gone = weakref.ref(cycle)
    cycle.begin(asyncio.get_running_loop(), tasks)
    await asyncio.wait(set(tasks))
    assert wire.written.startswith(b"HTTP/1.1 201")
    assert not tasks
    del cycle
    await asyncio.sleep(0)
    return gone() is None


async def test_an_answered_scan_is_freed_without_the_collector() -> None:
    def named_by_itself(cycle: ScanCycle) -> None:
        cycle.message_event = cycle  # type: ignore[assignment]  # as it once was

    gc.disable()
    try:
        assert await answered_and_freed(lambda _: None)
        assert not await answered_and_freed(named_by_itself), "the control: this one waits for the collector"
    finally:
        gc.enable()


class Loop:
    """A loop whose time stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        self.timers.append((self.now + seconds, callback))
        return object()

    def move(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= until]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now = first[0]
            first[1]()
        self.now = until


@pytest.fixture
def line() -> tuple[BoundedProtocol, Loop, Wire]:
    """A protocol as far as its timer of an idle connection needs it."""
    protocol, loop, wire = BoundedProtocol.__new__(BoundedProtocol), Loop(), Wire()
    vars(protocol).update(
        loop=loop,
        transport=wire,
        flow=wire.flow,
        pipeline=deque(),
        server_state=SimpleNamespace(total_requests=0),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_keep_alive_task=None,
        server=None,
        client=None,
        scheme="http",
        root_path="",
        app_state={},
        asgi_version="3.0",
        _head_timer=None,
        _unparsed=b"",
        _host=None,
        parser=SimpleNamespace(should_upgrade=lambda: True, get_method=lambda: b"GET", get_http_version=lambda: "1.0"),
    )
    return protocol, loop, wire


def test_a_connection_is_closed_once_it_was_idle_for_so_long_and_never_with_a_request_in_hand(
    line: tuple[BoundedProtocol, Loop, Wire],
) -> None:
    protocol, loop, wire = line
    protocol._close_in(10.0)
    loop.move(9.0)
    protocol.on_message_begin()
    loop.move(1_000.0)
    assert not wire.is_closing(), "a request was in hand"
    protocol.on_response_complete()
    for _ in range(5):
        loop.move(KEEP_ALIVE_SECONDS - 0.5)
        assert not wire.is_closing()
        protocol.on_message_begin()
        protocol.on_response_complete()
        assert len(loop.timers) == 1
    loop.move(KEEP_ALIVE_SECONDS - 0.5)
    assert not wire.is_closing()
    loop.move(1.0)
    assert wire.is_closing()
    assert loop.timers == []


def test_a_request_whose_head_was_half_there_when_the_one_before_was_answered_is_in_hand(
    line: tuple[BoundedProtocol, Loop, Wire],
) -> None:
    protocol, loop, wire = line
    protocol._close_in(10.0)
    protocol.on_message_begin()
    protocol.on_response_complete()  # of the request before
    protocol.on_headers_complete()
    loop.move(1_000.0)
    assert not wire.is_closing()


def test_a_connection_that_never_asks_anything_is_closed(line: tuple[BoundedProtocol, Loop, Wire]) -> None:
    protocol, loop, wire = line
    protocol._close_in(10.0)
    loop.move(9.9)
    assert not wire.is_closing()
    loop.move(0.2)
    assert wire.is_closing()
