"""Whole responses as bytes, for requests refused before or beside the application (gateway/server/protocol.py).

Written for speed, measured by `make bench-overload`: a worker that sheds answers most scans from here.
"""

import re
from functools import cache
from typing import Final

from starlette.types import Receive, Scope, Send

from gateway.hot_path.verify import OVERLOADED
from gateway.http.responses import send_answer
from gateway.http.security_headers import SECURITY_LINES
from gateway.problems.documents import CONTENT_TYPE, Problem, language_of, malformed
from gateway.problems.kinds import Language

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,5})\r\n", re.IGNORECASE)
_LANGUAGE: Final = re.compile(rb"\r\naccept-language:[ \t]*([^\r\n]{1,200})\r\n", re.IGNORECASE)
_SPECIAL: Final = re.compile(rb"\r\n(?:connection|expect|transfer-encoding|upgrade):", re.IGNORECASE)


class Refusing:
    """The application of a request that cannot be read to its end and waits for responses before it."""

    def __init__(self, reason: str) -> None:
        self._problem = malformed(reason, "head")

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = (*self._problem.headers, (b"connection", b"close"))
        await send_answer(send, self._problem.kind.status, self._problem.body(None), headers)


def whole_malformed(reason: str) -> bytes:
    """Return the whole response to a request that cannot be read."""
    body = malformed(reason, "head").body(None)
    return (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"%sconnection: close\r\n\r\n%s" % (CONTENT_TYPE, len(body), SECURITY_LINES, body)
    )


@cache
def whole_overloaded(language: Language) -> bytes:
    """Return the whole response to a scan that is not admitted; made once for a language."""
    problem = Problem("overloaded", OVERLOADED)
    body = problem.body(language)
    head = b"".join(b"%s: %s\r\n" % pair for pair in problem.headers)
    return (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"%s%s\r\n%s" % (CONTENT_TYPE, len(body), SECURITY_LINES, head, body)
    )


def overloaded_scan(request: bytes) -> bytes | None:
    """Return the whole response to a scan that is not admitted; None for one that did not come whole and alone, or
    asks for something special of the connection."""
    head, length = request.find(b"\r\n\r\n"), _LENGTH.search(request)
    if _SPECIAL.search(request) or head < 0 or length is None or len(request) != head + 4 + int(length[1]):
        return None
    language = _LANGUAGE.search(request, 0, head)
    return whole_overloaded(language_of(str(language[1], "latin-1") if language else None))
