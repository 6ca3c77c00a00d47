"""A worker that sheds: refused early, the same answer on both ways to it, and taken again once the queue is gone.

The worker runs in the test's own process, so that the queue can be made to stand without a slow hot store.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from gateway.server.app import Application, application
from gateway.server.lifespan import running
from gateway.server.protocol import BoundedProtocol
from gateway.server.serve import Worker
from redemption.domain.clock import system_clock
from redemption.domain.limits import VERIFY_STANDING_MAX
from tests.support.api.client import bill, fresh_key, points_leg
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until


class OwnWorker:
    """A worker of this process, on a port of its own, on the stack's stores."""

    def __init__(self, app: Application, port: int) -> None:
        self.app = app
        self.port = port

    def shed(self) -> None:
        """As if so many scans had been waiting for long: what is in hand is what keeps a worker busy."""
        self.app.verify.admission.in_flight += VERIFY_STANDING_MAX
        self.app.verify.admission.shedding = True

    def calm(self) -> None:
        """They are answered."""
        for _ in range(VERIFY_STANDING_MAX):
            self.app.verify.admission.leave()


@pytest.fixture
async def worker(stack: Stack) -> AsyncIterator[OwnWorker]:
    async with running(stack.settings, system_clock) as state:
        app = application(state)
        listener = socket.create_server(("127.0.0.1", 0))
        server = Worker(uvicorn.Config(app, http=BoundedProtocol, ws="none", lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await wait_until("the worker serves", lambda: server.started)
        yield OwnWorker(app, listener.getsockname()[1])
        server.should_exit = True
        await serving


class Line:
    """One connection, so that what is sent at once is answered in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int((await self.reader.readline()).split()[1])
        if status == 100:
            assert await self.reader.readline() == b"\r\n"
            return await self.answer()
        headers = {}
        while (line := (await self.reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name] = value
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))


@asynccontextmanager
async def line_to(worker: OwnWorker) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def raw(stack: Stack, body: bytes, *, key: str, extra: str = "", path: str = "/v1/verify") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: tong\r\nauthorization: Bearer {stack.terminals['spa'].api_key}\r\n"
        f"content-type: application/json\r\nidempotency-key: {key}\r\n{extra}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def scan(stack: Stack, member: Member, amount: int) -> bytes:
    code = stack.code_issuer().issue(member.number, int(time.time()) // 2).code
    return json.dumps({"code": code, "bill": bill(amount), "legs": [points_leg(3)]}).encode()


async def test_a_scan_that_is_refused_early_hears_the_same_and_is_taken_afterwards(
    stack: Stack, worker: OwnWorker
) -> None:
    member = await stack.member(("hotel", 100_000, 2))
    body, key = scan(stack, member, 6_000), fresh_key()
    async with line_to(worker) as line:
        worker.shed()
        requests = (
            raw(stack, body, key=key),
            raw(stack, body, key=key, extra="expect: 100-continue\r\n"),  # by the application
            raw(stack, body, key=key, extra="accept-language: en\r\n"),
            raw(stack, b"{}", key=key, path="/v1/nothing"),
        )
        answers = []
        for request in requests:
            line.writer.write(request)
            answers.append(await line.answer())
        line.writer.write(b"".join(requests))  # and one behind the other
        answers += [await line.answer() for _ in requests]
        assert [status for status, _, _ in answers] == [503, 503, 503, 404] * 2
        assert [body for _, _, body in answers[:4]] == [body for _, _, body in answers[4:]]
        early, late, english, _ = answers[:4]
        assert early[2] == late[2], "the early answer is another one than the application's"
        for name in ("content-type", "retry-after", "cache-control", "x-content-type-options"):
            assert early[1][name] == late[1][name]
        document = json.loads(english[2])
        assert (document["code"], document["outcome"], document["retry"]) == ("overloaded", "not_applied", "same_key")
        assert document["operator_hint"].isascii()
        assert json.loads(early[2])["operator_hint"] != document["operator_hint"]
        worker.calm()
        line.writer.write(raw(stack, body, key=key))
        status, headers, answer = await line.answer()
        assert status == 201, answer
        assert "idempotency-replayed" not in headers
        worker.shed()
        line.writer.write(raw(stack, body, key=key))
        assert (await line.answer())[0] == 503, "a replay waits as well"
        worker.calm()


async def test_what_looks_like_a_scan_in_the_body_of_a_call_answered_early_is_no_scan(
    stack: Stack, worker: OwnWorker
) -> None:
    member = await stack.member(("hotel", 100_000, 2))
    inner = raw(stack, scan(stack, member, 6_000), key=fresh_key())
    head = f"POST /v1/settlement/reconciliations HTTP/1.1\r\nhost: tong\r\ncontent-length: {len(inner)}\r\n\r\n"
    async with line_to(worker) as line:
        worker.shed()
        line.writer.write(head.encode())
        assert (await line.answer())[0] in {400, 401}, "answered before its body came"
        line.writer.write(inner)
        with pytest.raises(TimeoutError):  # read by now, and no answer of its own: only silence can be waited for
            await asyncio.wait_for(line.reader.readexactly(1), 0.2)
        line.writer.write(b"GET /healthz HTTP/1.1\r\nhost: tong\r\n\r\n")
        assert (await line.answer())[0] == 200
        worker.calm()


async def test_a_scan_that_comes_in_pieces_is_refused_once_it_is_whole(stack: Stack, worker: OwnWorker) -> None:
    member = await stack.member(("hotel", 100_000, 2))
    whole = raw(stack, scan(stack, member, 7_000), key=fresh_key())
    worker.shed()
    async with line_to(worker) as line:
        for begin, end in ((0, 40), (40, len(whole) - 20), (len(whole) - 20, len(whole))):
            line.writer.write(whole[begin:end])
            await line.writer.drain()
        pieces = await line.answer()
        line.writer.write(whole)
        at_once = await line.answer()
    worker.calm()
    assert (pieces[0], pieces[2]) == (at_once[0], at_once[2]) == (503, at_once[2])


async def test_a_request_that_may_not_be_answered_early_goes_the_whole_way(stack: Stack, worker: OwnWorker) -> None:
    worker.shed()
    async with line_to(worker) as line:
        wrong = raw(stack, b"{}", key=fresh_key()).replace(b"POST /v1/verify ", b"GET /v1/verify ")
        line.writer.write(wrong)
        assert (await line.answer())[0] == 405
        line.writer.write(raw(stack, b"{", key=fresh_key(), extra="connection: close\r\n"))
        assert (await line.answer())[0] == 400, "a body that cannot be read is told as such"
        assert await line.reader.read() == b""
    worker.calm()
