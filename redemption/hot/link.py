"""One socket of the hot path: packs calls, writes them once per loop turn, gives each reply to its call.

Guarantees: replies go to calls strictly in order; a call that is done early (cancelled, out of time) keeps its place
and its late reply is dropped. When the link ends, each call without a reply ends at once: NotSent when none of its
bytes were handed to the transport, else ReplyLost. A stream that cannot be read, a reply nobody asked for or one
larger than REPLY_BYTES_MAX ends the link.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import hiredis

from redemption.hot.faults import NotSent, ReplyLost, ServerRefused

Reply: TypeAlias = "bytes | int | list[Reply] | None"
Argument: TypeAlias = bytes | str | int

REPLY_BYTES_MAX: Final = 32 * 1024 * 1024  # a reply of the hot path is under 16 KiB
WRITE_HIGH_WATER_BYTES: Final = 1024 * 1024  # above this the server does not keep up: calls are refused
KEEPALIVE_IDLE_SECONDS: Final = 15
KEEPALIVE_INTERVAL_SECONDS: Final = 5
KEEPALIVE_PROBES: Final = 3

_INCOMPLETE: Final = object()


class Link(asyncio.Protocol):
    """One socket from connecting to its end; never used again after that.

    `pending` holds the futures of all calls without a reply, oldest first; the last `len(buffer)` of them have not
    been handed to the transport. A future that is already done is a placeholder.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_broken: "Callable[[Link, str], None]") -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.pending: deque[asyncio.Future[Reply]] = deque()
        self.buffer: list[bytes] = []
        self.paused = False
        self.broken = False
        self.gone: asyncio.Future[None] = loop.create_future()
        self._on_broken = on_broken
        self._reader = hiredis.Reader(replyError=ServerRefused, notEnoughData=_INCOMPLETE)
        self._sent_count = 0
        self._answered_count = 0
        self._writes: deque[tuple[int, float]] = deque()  # (calls sent up to and with this write, its time)
        self._incomplete_bytes = 0

    def send(self, args: tuple[Argument, ...]) -> asyncio.Future[Reply]:
        """Queue one call; it is written with all others of this turn of the loop."""
        packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub: a tuple of length one
        future: asyncio.Future[Reply] = self.loop.create_future()
        if not self.buffer:
            self.loop.call_soon(self.flush)
        self.buffer.append(packed)
        self.pending.append(future)
        return future

    def flush(self) -> None:
        """Hand the buffer to the transport. If that is closing, the buffer stays: those calls were not sent."""
        if not self.buffer or self.broken or self.transport is None or self.transport.is_closing():
            return
        data = b"".join(self.buffer)
        self._sent_count += len(self.buffer)
        self._writes.append((self._sent_count, self.loop.time()))
        self.buffer.clear()
        self.transport.write(data)

    def oldest_seconds(self) -> float:
        """Return how long the oldest call in flight has waited; 0.0 where there is none."""
        return self.loop.time() - self._writes[0][1] if self._writes else 0.0

    def break_off(self, reason: str) -> None:
        """End this link and every call on it, now. Safe to repeat."""
        if self.broken:
            return
        self.broken = True
        if self.transport is not None:
            self.transport.abort()
        sent = len(self.pending) - len(self.buffer)
        for place, future in enumerate(self.pending):
            if not future.done():
                future.set_exception(ReplyLost(reason) if place < sent else NotSent(reason))
        self.pending.clear()
        self.buffer.clear()
        self._writes.clear()
        self._on_broken(self, reason)

    # Methods that asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):  # Linux; elsewhere the system's own times hold
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)

    def data_received(self, data: bytes) -> None:
        if self.broken:
            return
        reader, pending = self._reader, self.pending
        answered = self._answered_count
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE:
                # A call that is still in the buffer cannot have been answered, so the stream is broken.
                if answered == self._sent_count:
                    self.break_off("the server sent a reply without a request")
                    return
                answered += 1
                future = pending.popleft()
                if future.done():
                    continue  # the call was cancelled or ran out of time; this is its late reply
                if type(reply) is ServerRefused:
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except hiredis.ProtocolError:
            self.break_off("the server's replies cannot be read")
            return
        if answered == self._answered_count:
            self._incomplete_bytes += len(data)
            if self._incomplete_bytes > REPLY_BYTES_MAX:
                self.break_off("a reply is larger than allowed")
            return
        self._answered_count = answered
        self._incomplete_bytes = 0
        writes = self._writes
        while writes and writes[0][0] <= answered:
            writes.popleft()

    def eof_received(self) -> None:
        self.break_off("the server closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self.break_off("the connection broke" + (f": {exc}" if exc else ""))
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
