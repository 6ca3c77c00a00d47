"""The fast path of a scan through HTTP: `POST /v1/verify` without uvicorn's request cycle and its ASGI messages.

Written for speed, measured by `make bench`: uvicorn's cycle makes an event, two messages with their checks, looks at
eight headers by two patterns each, and writes twice. A scan needs none of it: its body came with its head, its response
is one piece.

Guarantees: taken only where a request came whole (head and body in one piece), asks for nothing special (no
100-continue, no HTTP/1.0) and nothing before it on its connection waits for a response; every other request takes the
slow path, uvicorn's cycle, with its time-outs and limits. Responses leave in the order of requests; keep-alive and
draining are uvicorn's own, because the protocol sees this cycle as it sees its own. One response is one write. Headers
are made here of constants and numbers only.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, Protocol

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

from gateway.http.responses import JSON, Headers
from gateway.http.security_headers import SECURITY_LINES
from gateway.problems.documents import CONTENT_TYPE as PROBLEM_JSON

Answer = tuple[int, bytes, Headers]
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_COMMON: Final = b"cache-control: no-store\r\n%b" % SECURITY_LINES


class AnswersScans(Protocol):
    """Answers a scan, applied or refused; raises nothing."""

    async def __call__(self, scope: Scope, body: bytes) -> Answer: ...


class Connection(Protocol):
    """The part of a connection that a cycle uses."""

    transport: asyncio.Transport
    flow: FlowControl

    def on_response_complete(self) -> None: ...

    def default_head(self) -> bytes: ...


class _Unawaited:
    """Takes the place of an event that nobody waits for. One for all cycles, for speed (`make bench`): a cycle that
    referred to itself would be left to the garbage collector, with everything a scan holds."""

    def set(self) -> None:
        """Do nothing."""


_NOBODY_WAITS: Final = _Unawaited()


class ScanCycle:
    """One scan on a connection. Has the attributes that uvicorn's protocol uses of a cycle: `body`, `message_event`,
    `response_complete`, `keep_alive`, `disconnected`, `more_body`."""

    def __init__(self, connection: Connection, answers: AnswersScans, scope: Any, *, keep_alive: bool) -> None:
        self._connection = connection
        self._answers = answers
        self._scope = scope
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NOBODY_WAITS

    def begin(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> None:
        """Answer in a task of its own, which is in `tasks` while it runs.

        The task removes itself, for speed (`make bench`): a callback for its end would cost a turn of the loop.
        """
        self._task = loop.create_task(self._run(tasks))
        tasks.add(self._task)

    async def _run(self, tasks: set[asyncio.Task[None]]) -> None:
        try:
            await self._answer()
        finally:
            tasks.discard(self._task)

    async def _answer(self) -> None:
        connection = self._connection
        status, body, headers = await self._answers(self._scope, bytes(self.body))
        if connection.flow.write_paused and not self.disconnected:
            await connection.flow.drain()
        if self.disconnected:
            return
        head = [
            _STATUS_LINES[status],
            connection.default_head(),
            b"content-type: %b\r\ncontent-length: %d\r\n" % (JSON if status < 400 else PROBLEM_JSON, len(body)),
            _COMMON,
        ]
        for name, value in headers:
            head += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            head.append(b"connection: close\r\n")
        head += (b"\r\n", body)
        connection.transport.write(b"".join(head))
        self.response_complete = True
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()
