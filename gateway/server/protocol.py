"""uvicorn's HTTP protocol with the bounds that it lacks, and with a fast path for scans
(gateway/hot_path/scan_cycle.py).

The bounds are the size of a request's head, the time it may take, and the time a client may take to read an answer.

httptools collects headers without a limit, and uvicorn times a connection only between requests; so one client could
fill the memory with a header, or hold sockets for ever by sending nothing or a byte a minute ("slow loris"), also of a
body that nobody reads any more, because the request was answered without it. A client that does not read would have
its answers kept for ever: one that takes less than `WRITE_BYTES_OF_PERIOD` in `WRITE_SECONDS` is cut off.

Any number of requests may be sent without waiting for answers (pipelining). Those that wait are kept as bytes, not as
parsed requests, and nothing further is read meanwhile.

What two readers of one connection (a proxy, this server) could read differently is refused or read in one way only: a
header that may occur once occurs once, `Host` is there and is a host (RFC 9112, 3.2), `Transfer-Encoding` is `chunked`
and nothing else (RFC 9112, 6.1), blanks around a value are no part of it (RFC 9110, 5.5), a trailer is no header,
`Upgrade` is passed over and the body behind it is that request's body (httptools leaves it unread, to be taken for the
next request). What cannot be read never gives an answer in the place of what came whole before it on the connection:
that is answered first, then the connection ends.

While a worker sheds (gateway/hot_path/admission.py), scans that it will not admit are answered here, before the parser
has seen them: refusals through parser and application would leave no time for the scans that are admitted.

Places written for speed: `make bench` measures the fast path (`_begin_scan`, `_begin_request`) and the timer that all
responses of a connection share (`on_response_complete`, `_close_in`); `make bench-overload` measures `_turned_away`.
"""

import asyncio
from typing import Any, Final, cast

import httptools

from gateway.hot_path.raw_answers import Refusing, overloaded_scan, whole_malformed
from gateway.hot_path.repeated_head import RepeatedHead
from gateway.hot_path.scan_cycle import ScanCycle
from gateway.hot_path.verify import VERIFY_PATH
from gateway.http.event_streams import ABORT
from gateway.server.app import Application
from gateway.server.heads import TOO_LARGE, objection
from gateway.server.write_bounds import WriteBounded
from redemption.domain.errors import RefusedError
from redemption.domain.limits import (
    BODY_BYTES_OF_PERIOD,
    BODY_SECONDS,
    HEAD_BYTES_MAX,
    HEAD_SECONDS,
    PARSED_AT_ONCE_BYTES_MAX,
    QUIET_BYTES_MAX,
    UNREAD_BODY_BYTES_MAX,
)

STREAMS: Final = b"/events"
"""The end of the paths of streams, which may have to be cut (gateway/http/event_streams.py)."""
HEADS_KEPT_MAX: Final = 8

_SCAN_URL: Final = VERIFY_PATH.encode()
_SCAN: Final = b"POST %s HTTP/1.1\r\n" % _SCAN_URL


class HeadRefused(RefusedError):
    """The head is refused inside the parser, which ends the request."""


class BoundedProtocol(WriteBounded):
    """One connection. A head that is too large or too slow, or no HTTP at all, gets a problem document and the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_begins = False
        self._head_bytes = 0
        self._bytes_of_bodies = 0  # bytes in the piece that is parsed
        self._in_body = False
        self._body_bytes = 0
        self._quiet_bytes = 0
        self._ended = False
        self._closes_at: float | None = None  # it is the loop's time, and None while a request is in hand
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._unread_bytes = 0  # bytes of the body of a request that has its answer
        self._unparsed = b""
        self._host: bytes | None = None  # the last valid one
        self._reason = "the request is not HTTP/1.1"
        assert isinstance(self.config.app, Application)
        self._verify = self.config.app.verify
        self._answers_scans = self.config.app.answer_scan
        self._scan: ScanCycle | None = None  # a scan whose body has not come yet
        self._head: RepeatedHead | None = None
        self._heads_kept = 0  # since one was repeated
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._default_head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_body_timer()
        self._unparsed = b""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            if not self.transport.is_closing():
                self._discard(data)
        elif self._verify.admission.shedding and self._turned_away(data):
            return
        elif len(data) <= PARSED_AT_ONCE_BYTES_MAX and not self._unparsed:
            if data.startswith(_SCAN) and self._is_idle():
                self._begin_scan(data)
            else:
                self._parse(data)
        else:
            self._unparsed += data
            self._parse_on()

    def _is_idle(self) -> bool:
        """Return whether a request that comes now is the only one on the connection."""
        before = self.cycle
        return not (self._in_head or self._in_body or self._unparsed) and (before is None or before.response_complete)

    def _begin_scan(self, data: bytes) -> None:
        """Begin a scan, without the parser where it repeats the head of the last one, for speed (`make bench`)."""
        found = self._head.repeated(data) if self._head is not None else None
        if found is None:
            self._parse(data)
            scan: Any = self.cycle
            begun = type(scan) is ScanCycle and scan.keep_alive and not (scan.more_body or scan.response_complete)
            # Behind a proxy the heads of many tills come on one connection: after a few that differ none is kept.
            self._heads_kept += 1
            may_keep = begun and self._heads_kept <= HEADS_KEPT_MAX
            self._head = RepeatedHead.of(data, cast(dict[str, Any], self.scope)) if may_keep else None
            return
        self._heads_kept = 0
        self._closes_at = None
        scope, body = found
        scan = ScanCycle(self, self._answers_scans, scope, keep_alive=True)
        scan.body += body
        self.cycle = scan
        scan.begin(self.loop, self.tasks)

    def _parse_on(self) -> None:
        """Parse what came, piece by piece, until a request has to wait for the answer to one before it."""
        while self._unparsed and not self._ended and not self.transport.is_closing():
            if self.pipeline:
                self._stop_reading()
                return
            piece = self._unparsed[:PARSED_AT_ONCE_BYTES_MAX]
            self._unparsed = self._unparsed[PARSED_AT_ONCE_BYTES_MAX:]
            self._parse(piece)
        self._unparsed = b""
        if not self._ended and not self.transport.is_closing():
            self._flow.is_held = False
            if not self.pipeline:
                self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        self._bytes_of_bodies = 0
        self._quiet_bytes += len(data)
        if not self._fed(data):
            return
        if self._scan is not None and not self.transport.is_closing():
            self._take_slow_path(self._scan)
        if self._in_body:
            if self._quiet_bytes > QUIET_BYTES_MAX:
                self._end_request(f"more than {QUIET_BYTES_MAX} bytes that are no part of the body")
                return
            self._body_bytes += len(data)
            if self.cycle.response_complete:
                self._unread_bytes += len(data)
                if self._unread_bytes > UNREAD_BODY_BYTES_MAX:
                    self._end_request("")
                    return
            if self._body_timer is None:
                self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)
        if not self._in_head or self.transport.is_closing():
            return
        # Headers that are not complete yet are counted as they come: the parser keeps them to itself until then.
        self._head_bytes += self._bytes_of_begun_head(data) if self._head_begins else len(data)
        self._head_begins = False
        if self._head_bytes > HEAD_BYTES_MAX:
            self._end_request(TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(
                HEAD_SECONDS, self._end_request, f"the head was not complete after {HEAD_SECONDS:.0f} s"
            )

    def _bytes_of_begun_head(self, data: bytes) -> int:
        """Return at most how many bytes of the piece belong to the head that begins in it, behind other requests."""
        end = data.rfind(b"\r\n\r\n")  # the end of the head before it, which its body follows
        return len(data) if end < 0 else max(0, len(data) - end - 4 - self._bytes_of_bodies)

    def _fed(self, data: bytes) -> bool:
        """Give the parser what came. Returns False where it cannot read on."""
        pieces: list[bytes | memoryview] = [data]
        try:
            while pieces:
                piece = pieces.pop()
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    # A fresh parser reads the request again without the header; then the rest follows.
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
        # The timer ends here and not at any byte, because empty lines before a request keep no connection.
        self._closes_at = None
        self._in_head, self._head_begins, self._head_bytes = True, True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # it is a trailer: nothing here uses one, and as a header it would speak for the request
            return
        name, value = name.lower(), value.strip(b" \t")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._closes_at = None  # it was set if the request before was answered while the head came in
        self._check_head()
        self._in_head, self._body_bytes, self._quiet_bytes, self._unread_bytes = False, 0, 0, 0
        if self.parser.should_upgrade():  # the request comes again without the header (`_fed`)
            return
        self._begin_request()
        self._in_body = True

    def _check_head(self) -> None:
        """Check a complete head. Raises `HeadRefused`."""
        last = dict(self.headers)
        reason = objection(self.url, self.headers, last, self.parser.get_http_version(), self._host)
        if reason is not None:
            self._reason = reason
            raise HeadRefused
        self._host = last.get(b"host")
        if self.parser.should_upgrade() and self.parser.get_method() == b"CONNECT":
            raise HeadRefused

    def _begin_request(self) -> None:
        if self.url == _SCAN_URL and self._may_take_fast_path():
            self.scope["method"], self.scope["query_string"] = "POST", b""
            self.scope["path"], self.scope["raw_path"] = VERIFY_PATH, _SCAN_URL
            self._scan = self.cycle = ScanCycle(  # type: ignore[assignment]  # it has what the protocol asks of a cycle
                self, self._answers_scans, self.scope, keep_alive=self.parser.should_keep_alive()
            )
            return
        super().on_headers_complete()
        if self.url.endswith(STREAMS):
            self.scope[ABORT] = self._cut_off  # type: ignore[typeddict-unknown-key]

    def _may_take_fast_path(self) -> bool:
        parser, before = self.parser, self.cycle
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and (before is None or before.response_complete)
        )

    def on_body(self, body: bytes) -> None:
        self._quiet_bytes = 0
        self._bytes_of_bodies += len(body)
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

    def _take_slow_path(self, scan: ScanCycle) -> None:
        """Give a scan to uvicorn's cycle, which waits for the rest of its body within the time and size of bodies."""
        self._scan = self.cycle = None  # type: ignore[assignment]
        super().on_headers_complete()
        self.cycle.body += scan.body
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on as uvicorn does, but without a new timer for each response. Written for speed (`make bench`)."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._watch_writing()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._close_in(self.timeout_keep_alive)
        if self._unparsed and not self.pipeline:
            self._parse_on()

    def _close_in(self, seconds: float) -> None:
        """Close the connection in `seconds` unless a request comes. One timer for all responses (`make bench`)."""
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
            if self.transport.get_write_buffer_size():  # closing would wait for a client that does not read
                self._cut_off()
            else:
                self.transport.close()

    def default_head(self) -> bytes:
        """Return the headers of every response as one piece, joined once for each of uvicorn's lists (`make bench`)."""
        headers = self.server_state.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_head = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        return self._default_head

    def _end_request(self, reason: str) -> None:
        """Refuse the request being read, and end the connection once that is its turn."""
        if self._ended or self.transport.is_closing():
            return
        self._ended = True
        self._stop_timer()
        self._stop_body_timer()
        self._stop_reading()
        cycle = self.cycle
        in_hand = cycle is not None and not cycle.response_complete
        if not self._in_body:
            if in_hand:  # the request is whole and the newest on the connection, so its answer is the last
                cycle.keep_alive = False
                return
        elif self.pipeline and self.pipeline[0][0] is cycle:  # other requests are answered before it
            self.pipeline[0] = (cycle, Refusing(reason))  # type: ignore[assignment]  # uvicorn's own names of the same
            return
        elif cycle.response_complete or (self._scan is None and cycle.response_started):
            self._linger()  # the request has its answer, or the beginning of one
            return
        self.transport.write(whole_malformed(reason))
        self._linger()

    def _look_at_body(self) -> None:
        self._body_timer = None
        if self._body_bytes >= BODY_BYTES_OF_PERIOD:  # a large body makes progress
            self._body_bytes = 0
            self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)
        else:
            self._end_request(f"the body was not complete after {BODY_SECONDS:.0f} s")

    def _turned_away(self, data: bytes) -> bool:
        """Refuse a scan that is not admitted, if it came whole and alone on an idle connection.

        Returns False for everything else, which gets the same response through parser and application. Written for
        speed, measured by `make bench-overload`.
        """
        answer = overloaded_scan(data) if data.startswith(_SCAN) and self._is_idle() else None
        if answer is None or not self._verify.admission.refuses():
            return False
        self.transport.write(answer)
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
