"""uvicorn's HTTP protocol with bounds that it lacks (the size of a request's head, the time it may take), and with a
short way for scans (gateway/scan_cycle.py).

httptools collects headers without a limit, and uvicorn times a connection only between requests; so one client could
fill the memory with a header, or hold sockets for ever by sending nothing or a byte a minute ("slow loris"), also of a
body that nobody reads any more, because the request was answered without it.

What two readers of one connection (a proxy, this server) could read differently is refused or read in one way only: a
header that must stand once stands once, a trailer is no header, `Upgrade` is passed over and the body behind it is that
request's body (httptools leaves it unread, to be taken for the next request). What cannot be read never gives an answer
in the place of what came whole before it on the connection: that is answered first, then the connection ends.

While a worker sheds (gateway/admission.py), scans that it will not take are answered here, before the parser has seen
them: a refusal through parser and application costs half of what a scan costs, and three times the load would leave
nothing for the scans that are taken.
"""

import asyncio
import re
from functools import cache
from typing import Any, Final

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.answers import send_answer
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

QUIET_BYTES_MAX: Final = 16_384
"""What may come behind a head without a byte of the body in it: lines of chunks, trailers."""
ONCE: Final = frozenset({b"authorization", b"content-type", b"host", b"idempotency-key"})
"""Headers that say who asks for what: of two, one reader may believe the first and another the second."""

_SCAN_URL: Final = VERIFY_PATH.encode()
_SCAN: Final = b"POST %s HTTP/1.1\r\n" % _SCAN_URL
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,5})\r\n", re.IGNORECASE)
_LANGUAGE: Final = re.compile(rb"\r\naccept-language:[ \t]*([^\r\n]{1,200})\r\n", re.IGNORECASE)
_SPECIAL: Final = re.compile(rb"\r\n(?:connection|expect|transfer-encoding|upgrade):", re.IGNORECASE)


class HeadRefused(Exception):
    """Raised inside the parser, which ends the request."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large or too slow, or no HTTP at all, gets a problem document and the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._in_body = False
        self._body_bytes = 0
        self._quiet_bytes = 0
        self._ended = False
        self._closes_at: float | None = None  # the loop's time; None while a request is in hand
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
        self._close_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_body_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended or (self._verify.admission.shedding and self._turned_away(data)):
            return
        self._quiet_bytes += len(data)
        if not self._fed(data):
            return
        if self._scan is not None and not self.transport.is_closing():
            self._take_the_long_way(self._scan)
        if self._in_body:
            if self._quiet_bytes > QUIET_BYTES_MAX:
                self._end_request(f"more than {QUIET_BYTES_MAX} bytes that are no part of the body")
                return
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

    def _fed(self, data: bytes) -> bool:
        """Gives the parser what came; False where it cannot read on."""
        pieces: list[bytes | memoryview] = [data]
        try:
            while pieces:
                piece = pieces.pop()
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    # The same request without the header, by a parser that has not given up; then what is left.
                    pieces += (memoryview(piece)[upgrade.args[0] :], self._head_without_upgrade())
                    self.parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError:
            self._end_request(self._reason)
            return False
        return True

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        version = self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, b"".join(lines))

    def on_message_begin(self) -> None:
        # Here and not at any byte that comes: empty lines before a request keep no connection.
        self._closes_at = None
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer: nothing here asks for one, and as a header it would speak for the request
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._closes_at = None  # set while the head came in, if the request before it was answered then
        self._check_head()
        self._in_head, self._body_bytes, self._quiet_bytes = False, 0, 0
        if self.parser.should_upgrade():  # comes again without it (`_fed`)
            return
        self._begin_request()
        self._in_body = True

    def _check_head(self) -> None:
        """Raises `HeadRefused`."""
        names = []
        size = len(self.url)
        for name, value in self.headers:
            names.append(name)
            size += len(name) + len(value)
        if size > HEAD_BYTES_MAX:
            self._reason = f"the head may have {HEAD_BYTES_MAX} bytes"
            raise HeadRefused
        if len(set(names)) != len(names):
            for name in ONCE:
                if names.count(name) > 1:
                    self._reason = f"the header {name.decode()} stands twice"
                    raise HeadRefused
        if self.parser.should_upgrade() and self.parser.get_method() == b"CONNECT":
            raise HeadRefused

    def _begin_request(self) -> None:
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
            and not self.expect_100_continue
            and (before is None or before.response_complete)
        )

    def on_body(self, body: bytes) -> None:
        self._quiet_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._stop_body_timer()
        super().on_message_complete()
        scan = self._scan
        if scan is not None:
            self._scan = None
            scan.begin(self.loop, self.tasks)

    def _take_the_long_way(self, scan: ScanCycle) -> None:
        """The body is still to come: uvicorn's cycle waits for it, within the time and size that a body may have."""
        self._scan = self.cycle = None  # type: ignore[assignment]
        super().on_headers_complete()
        self.cycle.body += scan.body
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer of an idle connection, which it makes anew with every answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._close_in(self.timeout_keep_alive)

    def _close_in(self, seconds: float) -> None:
        """Closes the connection then, if nothing is asked for until then."""
        self._closes_at = self.loop.time() + seconds
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._closes_at is None:
            return
        left = self._closes_at - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        elif not self.transport.is_closing():
            self.transport.close()

    def default_head(self) -> bytes:
        """The headers that every answer of this server has, as one piece; uvicorn makes a new list each second."""
        headers = self.server_state.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_head = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        return self._default_head

    def _end_request(self, reason: str) -> None:
        """Refuses what is being read, and ends the connection once that is its turn."""
        if self._ended or self.transport.is_closing():
            return
        self._ended = True
        self._stop_timer()
        self._stop_body_timer()
        cycle = self.cycle
        in_hand = cycle is not None and not cycle.response_complete
        if not self._in_body:
            if in_hand:  # whole, and the newest on the connection: its answer is the last
                cycle.keep_alive = False
                return
        elif self.pipeline and self.pipeline[0][0] is cycle:  # others are answered before it
            self.pipeline[0] = (cycle, Refusing(reason))  # type: ignore[assignment]  # uvicorn's own names of the same
            return
        elif cycle.response_complete or (self._scan is None and cycle.response_started):
            self.transport.close()  # it has its answer, or the beginning of one
            return
        else:
            cycle.disconnected = True  # whoever waits for the body need not, and nobody else writes an answer
            cycle.message_event.set()
        self.transport.write(_malformed(reason))
        self.transport.close()

    def _look_at_body(self) -> None:
        self._body_timer = None
        if self._body_bytes >= BODY_BYTES_OF_PERIOD:  # a large one that comes along
            self._body_bytes = 0
            self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)
        else:
            self._end_request(f"the body was not complete after {BODY_SECONDS:.0f} s")

    def _turned_away(self, data: bytes) -> bool:
        """Answers a scan that is not taken, if it came whole and alone on a connection with nothing in hand; everything
        else takes the parser's and the application's way to the same answer."""
        idle = not self._in_head and not self._in_body and (self.cycle is None or self.cycle.response_complete)
        if not idle or not data.startswith(_SCAN) or _SPECIAL.search(data):
            return False
        head, length = data.find(b"\r\n\r\n"), _LENGTH.search(data)
        if head < 0 or length is None or len(data) != head + 4 + int(length[1]) or not self._verify.admission.refuses():
            return False
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


class Refusing:
    """The application of a request that cannot be read to its end, where others are answered before it."""

    def __init__(self, reason: str) -> None:
        self._problem = malformed(reason, "head")

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = (*self._problem.headers, (b"connection", b"close"))
        await send_answer(send, self._problem.kind.status, self._problem.body(None), headers)


def _malformed(reason: str) -> bytes:
    """The whole answer to what cannot be read."""
    body = malformed(reason, "head").body(None)
    return (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"%sconnection: close\r\n\r\n%s" % (CONTENT_TYPE, len(body), SECURITY_LINES, body)
    )


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
