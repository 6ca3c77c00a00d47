"""One raw connection to a worker: what is sent is bytes, answers are read in the order in which they come."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from tests.support.api.client import bill, points_leg
from tests.support.servers.stack import Member, Stack

ANSWER_SECONDS = 10.0


class Line:
    """The connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(ANSWER_SECONDS):
            status = int((await self.reader.readline()).split()[1])
            headers = {}
            while line := (await self.reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                headers[name] = value
            return status, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def end(self) -> bytes:
        """What comes until the server ends the connection."""
        return await asyncio.wait_for(self.reader.read(), ANSWER_SECONDS)


@asynccontextmanager
async def line_to(stack: Stack) -> AsyncIterator[Line]:
    address = httpx2.URL(stack.base_url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def scan_body(stack: Stack, member: Member, amount: int) -> bytes:
    """Of a scan at the spa. Each amount is used once: the same basket twice would be asked about."""
    code = stack.code_issuer().issue(member.number, int(time.time()) // 2).code
    return json.dumps({"code": code, "bill": bill(amount), "legs": [points_leg(3)]}).encode()


def scan_head(stack: Stack, *lines: str, version: str = "1.1") -> bytes:
    """The head of a scan at the spa, with these lines in it."""
    told = (f"authorization: Bearer {stack.terminals['spa'].api_key}", "content-type: application/json", *lines)
    return "\r\n".join((f"POST /v1/verify HTTP/{version}", "host: tong", *told, "", "")).encode()


def scan(stack: Stack, member: Member, key: str, *, amount: int, version: str = "1.1", extra: str = "") -> bytes:
    """A whole request."""
    body = scan_body(stack, member, amount)
    more = (extra.removesuffix("\r\n"),) if extra else ()
    return scan_head(stack, f"idempotency-key: {key}", *more, f"content-length: {len(body)}", version=version) + body
