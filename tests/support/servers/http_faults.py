"""An HTTP proxy as tills meet them: answers by itself, loses an answer or cuts one, for the first requests of a path.

Every fault is decided for one request, in the order given; then everything passes. Unlike FaultProxy (TCP) it reads
whole requests, so it can answer in the gateway's place.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

from tests.support.servers.proxy import LoopbackProxy

Fault = Literal[
    "html_502",
    "html_502_after",
    "html_200",
    "html_404",
    "redirect",
    "drop",
    "drop_after",
    "cut_after",
    "wait_429",
    "html_429",
    "date_503",
    "problem_of_another",
    "not_utf_8",
]
"""`…_after`: the gateway was asked first, and its answer is not passed on."""

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
BY_ITSELF: dict[str, tuple[str, bytes, bytes]] = {
    "html_502": ("502 Bad Gateway", b"text/html", HTML),
    "html_502_after": ("502 Bad Gateway", b"text/html", HTML),
    "html_200": ("200 OK", b"text/html; charset=utf-8", b"<html>Sign in to the guest network</html>"),
    "html_404": ("404 Not Found", b"text/html", HTML),
    "redirect": ("302 Found\r\nLocation: http://127.0.0.1:1/sign-in", b"text/html", HTML),
    "wait_429": (
        "429 Too Many Requests\r\nRetry-After: 1",
        b"application/problem+json",
        b'{"type":"about:blank","title":"Too many requests","status":429,"code":"rate_limited","outcome":"not_applied",'
        b'"retry":"same_key","detail":"too many","operator_hint":"wait"}',
    ),
    "html_429": ("429 Too Many Requests\r\nRetry-After: 1", b"text/html", HTML),
    "date_503": ("503 Service Unavailable\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT", b"text/html", HTML),
    "problem_of_another": ("403 Forbidden", b"application/problem+json", b'{"title":"Blocked","status":403}'),
    "not_utf_8": ("200 OK", b"application/json", b"\xff\xfe[1"),
}


class HttpFaults(LoopbackProxy):
    """Has one of `faults` for each of the first requests of `path`; every other request passes."""

    def __init__(self, target_port: int, path: str, faults: Sequence[Fault]) -> None:
        super().__init__(target_port)
        self.asked: list[tuple[str, str, bytes]] = []
        """Path, Idempotency-Key and body of every request, in the order they came."""
        self._path = path
        self._faults = list(faults)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on a connection; `Connection: close` keeps clients from sending another."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        path = lines[0].split()[1]
        self.asked.append((path, fields.get("idempotency-key", ""), body))
        fault = self._faults.pop(0) if path == self._path and self._faults else None
        if fault is None or fault.endswith("_after"):
            answer = await self._forward(head, body)
            if fault is None:
                writer.write(answer)
            elif fault == "cut_after":
                writer.write(answer[: len(answer) - 40])
        if fault in BY_ITSELF:
            status, kind, content = BY_ITSELF[fault]
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n".encode())
            writer.write(b"Content-Type: " + kind + b"\r\n\r\n" + content)
        await writer.drain()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        """The gateway's whole answer."""
        upstream, up = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            lines = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection:")]
            up.write(b"\r\n".join([*lines, b"Connection: close", b"", body]))
            await up.drain()
            return await upstream.read()
        finally:
            up.close()
