"""uvicorn's HTTP protocol with bounds that it lacks: on the size of a request's head, and on the time it may take.

httptools collects headers without a limit, and uvicorn times a connection only between requests; so one client could
fill the memory with a header, or hold sockets for ever by sending nothing or a byte a minute ("slow loris").

While a worker sheds (gateway/admission.py), scans that it will not take are answered here, as soon as they were read
and before they are looked at: a refusal through the application costs half of what a scan costs, and three times the
load would leave nothing for the scans that are taken.
"""

import asyncio
from functools import cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.app import VERIFY_PATH, Application
from gateway.problems import CONTENT_TYPE, Language, Problem, language_of, malformed
from gateway.verify import OVERLOADED
from redemption.domain.limits import REQUEST_BODY_SECONDS

HEAD_BYTES_MAX: Final = 16_384
HEAD_SECONDS: Final = 10.0

_VERIFY: Final = VERIFY_PATH.encode()


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
        self._turning_away = False
        self._body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_body_timer()
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
        if self.url == _VERIFY and self._turns_away():
            self._turning_away = True
            self._body_timer = self.loop.call_later(REQUEST_BODY_SECONDS, self.transport.close)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._turning_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._turning_away:
            super().on_message_complete()
            return
        self._turning_away = False
        self._stop_body_timer()
        accepted = next((str(value, "latin-1") for name, value in self.headers if name == b"accept-language"), None)
        self.transport.write(_turned_away(language_of(accepted)))
        self._application.verify.turned_away()
        self.on_response_complete()

    @property
    def _application(self) -> Application:
        app = self.config.app
        assert isinstance(app, Application)
        return app

    def _turns_away(self) -> bool:
        """Whether this request is refused before it is looked at. Only a plain one, on a connection with nothing else
        in hand: the rest takes the application's way to the same answer."""
        admission = self._application.verify.admission
        return (
            admission.shedding
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and admission.refuses()
        )

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

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


@cache
def _turned_away(language: Language) -> bytes:
    """The whole answer to a scan that is not taken."""
    problem = Problem("overloaded", OVERLOADED)
    body = problem.body(language)
    head = b"".join(b"%s: %s\r\n" % pair for pair in problem.headers)
    return (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"x-content-type-options: nosniff\r\n%s\r\n%s" % (CONTENT_TYPE, len(body), head, body)
    )
