"""Reading and decoding request bodies: bounded in size and time, and refused with the place of the fault.

Stricter than JSON parsers: a duplicate key in an object is refused (RFC 8259 §4 leaves it open, and a till whose two
`points` disagree must learn of it), numbers must be whole, unknown members are named.
"""

import asyncio
import json
import re
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.types import Message, Receive

from gateway.problems.documents import Problem, malformed
from redemption.domain.errors import RefusedError
from redemption.domain.limits import BODY_BYTES_MAX, REQUEST_BODY_SECONDS

T = TypeVar("T")
Buffer = TypeVar("Buffer", bytes, bytearray)
_encode = msgspec.json.Encoder().encode
_PLACE: Final = re.compile(r"^(?P<reason>.*?) - at `\$\.?(?P<place>.*)`$", re.DOTALL)


class ClientGone(RefusedError):
    """The client disconnected before the request was complete; there is nobody to answer."""


async def read_body(receive: Receive) -> bytes:
    """Read the whole body. Raises `body_too_large`, `malformed` where it is not complete in time, `ClientGone`."""
    message = await receive()  # almost always the whole body, without a timer
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return bounded(body)
    try:
        async with asyncio.timeout(REQUEST_BODY_SECONDS):
            return await _read_rest(message, receive, BODY_BYTES_MAX)
    except TimeoutError:
        raise malformed(f"the body was not complete after {REQUEST_BODY_SECONDS:.0f} s", "body") from None


async def read_upload(receive: Receive, bytes_max: int, seconds: float) -> bytes:
    """Read a whole body that may be larger and slower than one of JSON. Raises as `read_body` does."""
    try:
        async with asyncio.timeout(seconds):
            return await _read_rest(await receive(), receive, bytes_max)
    except TimeoutError:
        raise malformed(f"the body was not complete after {seconds:.0f} s", "body") from None


async def _read_rest(message: Message, receive: Receive, bytes_max: int) -> bytes:
    body = bytearray()
    while True:
        if message["type"] != "http.request":
            raise ClientGone
        body += message.get("body", b"")
        bounded(body, bytes_max)
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()


def bounded(body: Buffer, bytes_max: int = BODY_BYTES_MAX) -> Buffer:
    """Return the body. Raises `body_too_large`."""
    if len(body) > bytes_max:
        raise Problem("body_too_large", f"A body may have {bytes_max} bytes here")
    return body


def require_json(content_type: str | None) -> None:
    """Raise `unsupported_media_type` unless the Content-Type is JSON in UTF-8."""
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != "application/json" or (
        "charset" in parameters.lower() and "utf-8" not in parameters.lower()
    ):
        raise Problem("unsupported_media_type", "Content-Type must be application/json, in UTF-8")


async def read_json(
    request: Request, decoder: msgspec.json.Decoder[T], *, optional: bool = False
) -> tuple[T, bytes, bytes]:
    """Return the value of a JSON body, its canonical encoding and its bytes. `optional`: no body is an empty object.

    Raises as `read_body`, `require_json` and `decode` do.
    """
    body = await read_body(request.receive)
    if body or not optional:
        require_json(request.headers.get("content-type"))
    value, canonical = decode(body or b"{}" if optional else body, decoder)
    return value, canonical, body


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[T, bytes]:
    """Return the value and its canonical encoding (defaults left out), which fingerprints the request.

    Raises `malformed` with place and reason.
    """
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as fault:
        raise _placed(str(fault)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        reason = "nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise malformed(f"not JSON: {reason}", "body") from None
    canonical = _encode(value)
    # The canonical encoding is the shortest of this value, so a body of the same length cannot hold a member twice;
    # only other bodies are decoded once more. Written for speed, measured by `python -m tests.measure_path`.
    if len(canonical) != len(body):
        try:
            refuse_duplicate_members(body)
        except (ValueError, RecursionError):  # in a part that the decoder skips
            raise malformed("not JSON: a part that is not used here cannot be read", "body") from None
    return value, canonical


def refuse_duplicate_members(body: bytes) -> None:
    """Raise `malformed` where an object of this valid JSON text has a duplicate key."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise malformed("is a duplicate key", twice)
        return members

    json.loads(body, object_pairs_hook=unique)


def _placed(message: str) -> Problem:
    found = _PLACE.match(message)
    if found is None:
        return malformed(message, "body")
    return malformed(found["reason"].replace("`", "'"), found["place"] or "body")
