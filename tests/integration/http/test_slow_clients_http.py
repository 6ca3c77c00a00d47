"""Clients that send nothing, half a request, or a byte now and then ("slow loris") are let go; others are served."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.server.write_bounds import RESET
from tests.support.api.client import TongClient, fresh_key
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until

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
    """Return what the server sends to such a client before it closes the connection."""
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


def memory_of(stack: Stack) -> int:
    """Resident bytes of all workers."""
    total = 0
    for pid in stack.workers:
        (line,) = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS:")]
        total += int(line.split()[1]) * 1024
    return total


def connection_to(stack: Stack) -> socket.socket:
    address = urlsplit(stack.base_url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # what the kernel holds is not the worker's
    connection.connect((address.hostname, address.port))
    return connection


async def test_clients_that_never_read_are_cut_off_and_what_waits_for_them_is_bounded(
    stack: Stack, tong: TongClient
) -> None:
    one = len((await tong.http.get("/openapi.json")).content)
    connections, asked = 100, 40
    request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    faults_before = await tong.faults()
    before = peak = memory_of(stack)
    with ExitStack() as owned:
        poll, left = select.poll(), set[int]()
        for _ in range(connections):
            connection = owned.enter_context(connection_to(stack))
            connection.sendall(request * asked)
            poll.register(connection, select.POLLRDHUP)
            left.add(connection.fileno())

        def all_cut_off() -> bool:
            nonlocal peak
            peak = max(peak, memory_of(stack))
            for descriptor, _ in poll.poll(0):
                left.discard(descriptor)
                poll.unregister(descriptor)
            return not left

        await wait_until("all connections are cut off", all_cut_off, seconds=PATIENCE_SECONDS)
    assert (await tong.http.get("/healthz")).status_code == 200
    assert await tong.faults() == faults_before, "nothing is written to a connection that is cut off"
    # All that they asked for is 40 times that; a worker keeps a part of one answer for each.
    assert peak - before < connections * one, f"{(peak - before) >> 20} MiB more than before"


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"POST /v1/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n\r\n", b"404"),
        (b"GET /v1/me HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n\r\n", b"401"),
        (b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx: ", b"400"),
    ],
    ids=["a body for what is not there", "a body for what reads none", "a head without end"],
)
async def test_who_goes_on_sending_after_the_refusal_is_not_read_on(stack: Stack, begin: bytes, status: bytes) -> None:
    taken, piece = 0, b"a" * 65_536
    async with line_to(stack) as (reader, writer):
        told = asyncio.ensure_future(reader.read())
        writer.write(begin)
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not writer.is_closing():
                    writer.write(piece)
                    await writer.drain()
                    taken += len(piece)
        (read,) = await asyncio.gather(told, return_exceptions=True)
    assert taken < 32 * 1024 * 1024, "what the kernel's buffers hold, and no more"
    # Who only sends may find the answer gone with the connection.
    assert isinstance(read, ConnectionError) or (isinstance(read, bytes) and read.startswith(b"HTTP/1.1 " + status))


async def test_a_refusal_reaches_who_sends_a_large_body_and_then_reads(stack: Stack) -> None:
    async with line_to(stack) as (reader, writer):
        writer.write(b"POST /v1/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.read()).startswith(b"HTTP/1.1 404")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault(stack: Stack, tong: TongClient) -> None:
    before = await tong.faults()
    address = urlsplit(stack.base_url)
    for _ in range(3):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(HEAD.replace(b"/v1/verify", b"/v1/prepare") + b"content-length: 100\r\n\r\n{")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b"", "nobody is there to be answered"
        writer.close()
    assert await tong.faults() == before


async def test_a_client_that_resets_the_connection_with_answers_due_is_no_fault(stack: Stack, tong: TongClient) -> None:
    before = await tong.faults()
    for _ in range(20):
        with connection_to(stack) as connection:
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 40)
            assert connection.recv(1), "the first answer is on its way"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    assert await tong.faults() == before


async def test_a_stream_whose_request_never_ends_is_cut_off_without_a_fault(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 1))
    code = await tong.code(member)
    before = await tong.faults()
    head = f"GET /v1/me/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {member.access_token}\r\n"
    async with line_to(stack) as (reader, writer):
        writer.write(head.encode() + b"content-length: 10000\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        # A notice is due while the connection lingers.
        body = b'{"code":"%s"}' % code.encode()
        assert (await tong.verify(stack.terminals["hotel"], body, fresh_key())).status_code == 201
        await wait_until("the stream is over", lambda: no_stream_open(tong))
    assert await tong.faults() == before


async def no_stream_open(tong: TongClient) -> bool:
    return 'tong_event_streams{kind="member"} 0.0' in (await tong.http.get("/metrics")).text.splitlines()
