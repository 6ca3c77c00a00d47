"""Plain ASGI answers: the two messages of a response and the headers every API answer has."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope, Send

from gateway.http.security_headers import SECURITY_HEADERS
from gateway.problems.documents import CONTENT_TYPE as PROBLEM_JSON

JSON: Final = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name as text, or None: a loop over a dozen pairs beats a mapping."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def answer(status: int, body: bytes, headers: Headers = ()) -> Response:
    """The same answer for an endpoint that returns a Response."""
    response = Response(body, status, media_type=(JSON if status < 400 else PROBLEM_JSON).decode())
    response.headers["cache-control"] = "no-store"
    response.raw_headers.extend(headers)
    return response


async def send_answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """A whole JSON answer; an error status makes it a problem document."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", JSON if status < 400 else PROBLEM_JSON),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
                *SECURITY_HEADERS,
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
