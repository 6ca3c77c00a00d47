"""JSON answers: schemas encoded as they are described, and the headers that every answer of the API has."""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from starlette.responses import Response
from starlette.types import Scope, Send

from gateway.http.security_headers import SECURITY_HEADERS
from gateway.problems.documents import CONTENT_TYPE as PROBLEM_JSON

JSON: Final = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]
S = TypeVar("S", bound=Struct)
encode: Final = msgspec.json.Encoder().encode


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of that (lower-case) name as text, or None. Scans the list, which is faster than making
    a mapping of it."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def respond(value: Struct, status: int = 200, headers: Headers = ()) -> Response:
    """Return an answer whose body is the JSON of a schema: the one that the operation names."""
    return answer(status, encode(value), headers)


def extended(schema: type[S], value: Struct, **more: Any) -> S:
    """Build a schema of the fields of `value` and of `more`. Raises TypeError where one is missing or unknown."""
    return schema(**(asdict(value) | more))


def answer(status: int, body: bytes, headers: Headers = ()) -> Response:
    """Return a JSON answer of bytes that are encoded already; an error status makes it a problem document."""
    response = Response(body, status, media_type=(JSON if status < 400 else PROBLEM_JSON).decode())
    response.headers["cache-control"] = "no-store"
    response.raw_headers.extend(headers)
    return response


async def send_answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Send a JSON answer as the two ASGI messages; an error status makes it a problem document."""
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
