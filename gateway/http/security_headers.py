"""Security headers of every answer of every path.

    x-content-type-options        a browser trusts the Content-Type and guesses no other
    referrer-policy               no address of this site reaches another site
    cross-origin-resource-policy  no page of another site embeds an answer
    cache-control: no-store       unless the answer sets another: no cache keeps what a caller reads

Cross-origin reading (CORS) is closed: no answer carries Access-Control-Allow-Origin but /openapi.json, which is public
and the same for everybody. Pages bring their own Content-Security-Policy (gateway/pages/).
"""

from typing import Final

from starlette.types import Message, Send

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
SECURITY_LINES: Final = b"".join(b"%s: %s\r\n" % pair for pair in SECURITY_HEADERS)
"""The security headers as lines of bytes, for answers written without Starlette."""
_DEFAULTS: Final = (*SECURITY_HEADERS, (b"cache-control", b"no-store"))


def with_security_headers(send: Send) -> Send:
    """Return a `send` that adds the headers an answer has not set itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            said = {bytes(name).lower() for name, _ in headers}
            message = {**message, "headers": [*headers, *(pair for pair in _DEFAULTS if pair[0] not in said)]}
        await send(message)

    return sending
