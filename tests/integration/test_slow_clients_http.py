"""Clients that send nothing, half a request, or a byte now and then ("slow loris") are let go; others are served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.client import TongClient
from tests.support.stack import Stack

PATIENCE_SECONDS = 60.0
"""Far more than the bounds under test (10 s for a head, the same for a body), for a machine that is busy."""
HEAD = b"POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
SLOW = {
    "nothing at all": (b"", b""),
    "an empty line": (b"\r\n", b""),
    "empty lines": (b"\r\n", b"\r\n"),
    "half a head": (HEAD, b""),
    "a head drop by drop": (HEAD + b"x-padding: ", b"a"),
    "a head and no body": (HEAD + b"content-length: 100\r\n\r\n", b""),
    "half a body": (HEAD + b"content-length: 100\r\n\r\n{", b""),
    "a body drop by drop": (HEAD + b"content-length: 10000\r\n\r\n{", b" "),
    "chunks drop by drop": (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
    "a body for what reads none": (b"GET /v1/me HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n", b" "),
    "a body for what is not there": (b"POST /v1/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n", b" "),
}


@asynccontextmanager
async def line_to(stack: Stack) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(stack.base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def let_go(stack: Stack, begin: bytes, drop: bytes) -> bytes:
    """What such a client is told before its connection is closed by the server."""
    async with line_to(stack) as (reader, writer):
        writer.write(begin)
        told = asyncio.ensure_future(reader.read())
        while drop and not told.done():
            writer.write(drop)
            await asyncio.wait({told}, timeout=0.5)
        return await told


async def test_clients_that_send_slowly_or_nothing_are_let_go_while_others_are_served(
    stack: Stack, tong: TongClient
) -> None:
    waits = {how: asyncio.ensure_future(let_go(stack, *what)) for how, what in SLOW.items()}
    member = await stack.member(("hotel", 100, 1))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not all(wait.done() for wait in waits.values()):
            assert await tong.points(member) == 100
            await asyncio.wait(waits.values(), timeout=1.0)
    told = {how: wait.result() for how, wait in waits.items()}
    for silent in ("nothing at all", "an empty line", "empty lines"):
        assert told.pop(silent) == b"", silent
    assert told.pop("a body for what reads none").startswith(b"HTTP/1.1 401")
    assert told.pop("a body for what is not there").startswith(b"HTTP/1.1 404")
    for how, answer in told.items():
        assert answer.startswith(b"HTTP/1.1 400"), how
        assert b"was not complete after" in answer, how


@pytest.mark.parametrize("many", [200])
async def test_many_connections_that_hold_their_head_back_do_not_keep_a_till_waiting(
    stack: Stack, tong: TongClient, many: int
) -> None:
    lines = []
    address = urlsplit(stack.base_url)
    try:
        for _ in range(many):
            lines.append(await asyncio.open_connection(address.hostname, address.port))
            lines[-1][1].write(HEAD)
        member = await stack.member(("hotel", 100, 1))
        assert await tong.points(member) == 100
        answer = await tong.verify(
            stack.terminals["hotel"], b'{"code":"%s"}' % (await tong.code(member)).encode(), "slow-loris"
        )
        assert answer.status_code == 201
    finally:
        for _, writer in lines:
            writer.close()
