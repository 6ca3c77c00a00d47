"""uvicorn's HTTP protocol with bounds that it lacks: on the size of a request's head, and on the time it may take.

httptools collects headers without a limit, and uvicorn times a connection only between requests; so one client could
fill the memory with a header, or hold sockets for ever by sending nothing or a byte a minute ("slow loris").
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.problems import malformed

HEAD_BYTES_MAX: Final = 16_384
HEAD_SECONDS: Final = 10.0


class HeadTooLarge(Exception):
    """Raised inside the parser, which ends the request."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large or too slow, or no HTTP at all, gets a problem document and the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._reason = "the request is not HTTP/1.1"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        # Headers that are not complete yet are counted as they come: the parser keeps them to itself until then.
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._end_request(f"the head may have {HEAD_BYTES_MAX} bytes")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(
                HEAD_SECONDS, self._end_request, f"the head was not complete after {HEAD_SECONDS:.0f} s"
            )

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
        if size > HEAD_BYTES_MAX:
            self._reason = f"the head may have {HEAD_BYTES_MAX} bytes"
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        body = malformed(self._reason, "head").body(None)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()

    def _end_request(self, reason: str) -> None:
        self._reason = reason
        if not self.transport.is_closing():
            self.send_400_response(reason)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
