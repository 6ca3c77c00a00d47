"""uvicorn's HTTP protocol with a bound on the time that a client may take to read its answers.

Guarantees: a client that takes less than `WRITE_BYTES_OF_PERIOD` in `WRITE_SECONDS` while more waits for it is reset,
and what the process and the kernel keep for it is dropped. Nothing is read from a connection that is held. What is
refused in the middle is answered before the connection is cut.

Does not guarantee that a client reads what the kernel's own buffers have taken.
"""

import asyncio
import socket
import struct
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from redemption.domain.limits import LINGER_BYTES_MAX, LINGER_SECONDS, WRITE_BYTES_OF_PERIOD, WRITE_SECONDS

RESET: Final = struct.pack("ii", 1, 0)
"""A `struct linger` of no time: closing resets (socket(7))."""


class HeldFlow(FlowControl):
    """uvicorn's flow control that reads nothing more while the protocol has more than it can use."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class WriteBounded(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._write_timer: asyncio.TimerHandle | None = None
        self._unwritten_bytes = 0  # the count when the timer was set
        self._linger_timer: asyncio.TimerHandle | None = None
        self._discarded_bytes = 0  # bytes that came while the connection lingers
        self._running: RequestResponseCycle | None = None  # `cycle` is the newest and may wait behind it

    @property
    def _flow(self) -> HeldFlow:
        assert isinstance(self.flow, HeldFlow)
        return self.flow

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = HeldFlow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_write_timer()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._abandon_requests()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        if not self.pipeline:
            self._running = self.cycle  # a scan on the fast path begins without `_start_asgi_task`
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _abandon_requests(self) -> None:
        """Let nothing more be written: the transport raises where it is closed, which would count as a fault."""
        self.pipeline.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write_timer()

    def _watch_writing(self) -> None:
        """Look later whether the client took enough of what waits to be sent."""
        if self._write_timer is None:
            self._unwritten_bytes = self.transport.get_write_buffer_size()
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self._look_at_writing)

    def _look_at_writing(self) -> None:
        self._write_timer = None
        left = self.transport.get_write_buffer_size()
        if left and self._unwritten_bytes - left < min(WRITE_BYTES_OF_PERIOD, self._unwritten_bytes):
            self._cut_off()
        elif left:
            self._watch_writing()

    def _cut_off(self) -> None:
        """Reset the connection: the kernel would otherwise keep its buffers for a client that does not read."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._abandon_requests()
        self.transport.abort()

    def _linger(self) -> None:
        """Send what is left and the end, and cut the connection a little later.

        Closing it with bytes of the client unread would reset it, and the answer might be lost on the way (RFC 9112,
        9.6). So what a client that writes first and reads then still sends is read and thrown away meanwhile.
        """
        self._abandon_requests()
        self.transport.write_eof()
        self._flow.is_held = False
        self.flow.resume_reading()
        self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, data: bytes) -> None:
        """Throw away what comes behind the last request; read nothing more where the connection does not linger."""
        self._discarded_bytes += len(data)
        if self._linger_timer is None or self._discarded_bytes > LINGER_BYTES_MAX:
            self._stop_reading()

    def _stop_reading(self) -> None:
        self._flow.is_held = True
        self.flow.pause_reading()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
