"""Streams of server-sent events (WHATWG HTML, 9.2): how many may be open, how they are written, how they end.

Guarantees: a stream takes a seat before anything is read for it and gives it back however it ends; a client that does
not read for `SEND_SECONDS` loses its connection, with what was buffered for it; a heartbeat every `HEARTBEAT_SECONDS`.
Endpoints decide what is sent and when a stream ends by itself (gateway/api/members/events.py,
gateway/api/statistics/endpoints.py).
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

from msgspec import Struct
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from gateway.http.responses import encode
from gateway.problems.documents import Problem
from redemption.domain.limits import STREAMS_PER_MEMBER_MAX

HEARTBEAT_SECONDS: Final = 15
SEND_SECONDS: Final = 10.0
RETRY_AFTER_SECONDS: Final = 5
TOO_MANY_MISSED: Final = "too_many_missed"
UNKNOWN_EVENT_ID: Final = "unknown_event_id"
ABORT: Final = "tong.abort"
"""Key of the scope of a stream's request under which gateway/server/protocol.py leaves how to cut its connection."""


class Reason(Struct):
    """Reasons why a stream begins anew or ends."""

    reason: str


class StreamLimiter:
    """Counts the open streams of one kind, in all and for each caller, and refuses more than the bounds."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: dict[object, int] = {}
        self.open = 0

    def take(self, caller: object) -> Callable[[], None]:
        """Take a seat and return a function that gives it back. Raises `rate_limited`, `overloaded`."""
        if self._taken.get(caller, 0) >= self._most_of_one:
            raise Problem(
                "rate_limited",
                f"{self._most_of_one} streams are open for this caller",
                retry_after=RETRY_AFTER_SECONDS,
                scope="streams",
            )
        if self.open >= self._most:
            raise Problem(
                "overloaded", "This worker has its maximum number of streams open", retry_after=RETRY_AFTER_SECONDS
            )
        self._taken[caller] = self._taken.get(caller, 0) + 1
        self.open += 1
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self.open -= 1
                self._taken[caller] -= 1
                if self._taken[caller] == 0:
                    del self._taken[caller]

        return give_back


class MemberSeats(StreamLimiter):
    """The streams of members' pages."""

    def __init__(self, most: int) -> None:
        super().__init__(most, STREAMS_PER_MEMBER_MAX)


class EventStream(EventSourceResponse):
    """A stream over an iterator of whole events as bytes. Calls `done` once when it is over, however it ends."""

    def __init__(self, events: AsyncIterator[bytes], done: Callable[[], None]) -> None:
        super().__init__(
            events,
            headers={"x-content-type-options": "nosniff"},
            ping=HEARTBEAT_SECONDS,
            sep="\n",
            ping_message_factory=lambda: ServerSentEvent(comment="heartbeat", sep="\n"),
            send_timeout=SEND_SECONDS,
        )
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            # Closing would wait for a client that does not read.
            abort: Callable[[], None] | None = scope.get(ABORT)
            if abort is not None:
                abort()
        finally:
            self._done()


def event(name: str, document: Struct, identifier: str | None = None) -> bytes:
    """Write one event whole. Encoded JSON has no line ends."""
    head = f"id: {identifier}\nevent: {name}\ndata: " if identifier is not None else f"event: {name}\ndata: "
    return head.encode() + encode(document) + b"\n\n"


def reset(reason: str) -> bytes:
    """Write the event after which a client reads its state anew, because events are missing."""
    return event("reset", Reason(reason))


def ending(reason: str) -> bytes:
    """Write the last event of a stream that the server ends."""
    return event("end", Reason(reason))
