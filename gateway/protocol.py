"""uvicorn's HTTP protocol with bounds that it lacks (the size of a request's head, the time it may take), and with a
short way for scans (gateway/scan_cycle.py).

httptools collects headers without a limit, and uvicorn times a connection only between requests; so one client could
fill the memory with a header, or hold sockets for ever by sending nothing or a byte a minute ("slow loris"), also of a
body that nobody reads any more, because the request was answered without it.

While a worker sheds (gateway/admission.py), scans that it will not take are answered here, before the parser has seen
them: a refusal through parser and application costs half of what a scan costs, and three times the load would leave
nothing for the scans that are taken.
"""

import asyncio
import re
from functools import cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.app import Application
from gateway.event_streams import ABORT
from gateway.problem_kinds import Language
from gateway.problems import CONTENT_TYPE, Problem, language_of, malformed
from gateway.scan_cycle import ScanCycle
from gateway.security_headers import SECURITY_LINES
from gateway.verify import OVERLOADED, VERIFY_PATH

STREAMS: Final = b"/events"
"""How the paths of streams end: they may have to be cut (gateway/event_streams.py)."""
HEAD_BYTES_MAX: Final = 16_384
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 10.0
BODY_BYTES_OF_PERIOD: Final = 16_384
"""What of a body has to come in each `BODY_SECONDS`, or all that is missing of it. Endpoints that read a body are
stricter (gateway/body.py); this ends what they do not see."""

_SCAN_URL: Final = VERIFY_PATH.encode()
_SCAN: Final = b"POST %s HTTP/1.1\r\n" % _SCAN_URL
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,5})\r\n", re.IGNORECASE)
_LANGUAGE: Final = re.compile(rb"\r\naccept-language:[ \t]*([^\r\n]{1,200})\r\n", re.IGNORECASE)
_SPECIAL: Final = re.compile(rb"\r\n(?:connection|expect|transfer-encoding|upgrade):", re.IGNORECASE)


class HeadTooLarge(Exception):
    """Raised inside the parser, which ends the request."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large or too slow, or no HTTP at all, gets a problem document and the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._in_body = False
        self._body_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._reason = "the request is not HTTP/1.1"
        assert isinstance(self.config.app, Application)
        self._verify = self.config.app.verify
        self._answers_scans = self.config.app.answer_scan
        self._scan: ScanCycle | None = None  # one whose body is not there yet
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._default_head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_body_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._verify.admission.shedding and self._turned_away(data):
            return
        super().data_received(data)
        if self._scan is not None and not self.transport.is_closing():
            self._take_the_long_way(self._scan)
        if self._in_body:
            self._body_bytes += len(data)
            if self._body_timer is None:
                self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)
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
        self._in_head, self._in_body, self._body_bytes = False, True, 0
        self._stop_timer()
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
        if size > HEAD_BYTES_MAX:
            self._reason = f"the head may have {HEAD_BYTES_MAX} bytes"
            raise HeadTooLarge
        if self.url == _SCAN_URL and self._may_go_the_short_way():
            self.scope["method"], self.scope["query_string"] = "POST", b""
            self.scope["path"], self.scope["raw_path"] = VERIFY_PATH, _SCAN_URL
            self._scan = self.cycle = ScanCycle(  # type: ignore[assignment]  # it has what the protocol asks of a cycle
                self, self._answers_scans, self.scope, keep_alive=self.parser.should_keep_alive()
            )
            return
        super().on_headers_complete()
        if self.url.endswith(STREAMS):
            self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def _may_go_the_short_way(self) -> bool:
        parser, before = self.parser, self.cycle
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and (before is None or before.response_complete)
        )

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_body_timer()
        super().on_message_complete()
        scan = self._scan
        if scan is not None:
            self._scan = None
            task = self.loop.create_task(scan.run())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _take_the_long_way(self, scan: ScanCycle) -> None:
        """The body is still to come: uvicorn's cycle waits for it, within the time and size that a body may have."""
        self._scan = self.cycle = None  # type: ignore[assignment]
        super().on_headers_complete()
        self.cycle.body += scan.body
        self.cycle.message_event.set()

    def default_head(self) -> bytes:
        """The headers that every answer of this server has, as one piece; uvicorn makes a new list each second."""
        headers = self.server_state.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_head = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        return self._default_head

    def send_400_response(self, msg: str) -> None:
        body = malformed(self._reason, "head").body(None)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\n%sconnection: close\r\n\r\n%s" % (len(body), SECURITY_LINES, body)
        )
        self.transport.close()

    def _end_request(self, reason: str) -> None:
        self._reason = reason
        if not self.transport.is_closing():
            self.send_400_response(reason)

    def _look_at_body(self) -> None:
        self._body_timer = None
        if self._body_bytes >= BODY_BYTES_OF_PERIOD:  # a large one that comes along
            self._body_bytes = 0
            self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)
        elif self.cycle is not None and self.cycle.response_started:
            self.transport.close()
        else:
            self._end_request(f"the body was not complete after {BODY_SECONDS:.0f} s")

    def _turned_away(self, data: bytes) -> bool:
        """Answers a scan that is not taken, if it came whole and alone on a connection with nothing in hand; everything
        else takes the parser's and the application's way to the same answer."""
        idle = not self._in_head and (self.cycle is None or self.cycle.response_complete)
        if not idle or not data.startswith(_SCAN) or _SPECIAL.search(data):
            return False
        head, length = data.find(b"\r\n\r\n"), _LENGTH.search(data)
        if head < 0 or length is None or len(data) != head + 4 + int(length[1]) or not self._verify.admission.refuses():
            return False
        self._unset_keepalive_if_required()
        language = _LANGUAGE.search(data, 0, head)
        self.transport.write(_refusal(language_of(str(language[1], "latin-1") if language else None)))
        self._verify.turned_away()
        self.on_response_complete()
        return True

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None


@cache
def _refusal(language: Language) -> bytes:
    """The whole answer to a scan that is not taken."""
    problem = Problem("overloaded", OVERLOADED)
    body = problem.body(language)
    head = b"".join(b"%s: %s\r\n" % pair for pair in problem.headers)
    return (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"%s%s\r\n%s" % (CONTENT_TYPE, len(body), SECURITY_LINES, head, body)
    )
