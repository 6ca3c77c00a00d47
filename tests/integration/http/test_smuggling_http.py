"""One connection, two readers: nothing of a request is taken for another, and no answer stands in another's place."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.ledger.line import ANSWER_SECONDS, Line, line_to, scan, scan_body, scan_head
from tests.support.servers.stack import Member, Stack

NEXT = b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
async def member(stack: Stack) -> Member:
    return await stack.member(("hotel", 100_000, 2))


@pytest.mark.parametrize(
    ("amount", "broken", "told"),
    [
        (8_001, b"no HTTP at all\r\n\r\n", []),
        (8_002, b"\x00", []),
        (8_003, b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000, []),
        (8_004, b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", []),
        (8_005, b"POST /v1/me/codes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n", [400]),
        (
            8_006,
            SMUGGLED + b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n",
            [200, 400],
        ),
    ],
)
async def test_what_cannot_be_read_gives_no_answer_in_the_place_of_the_scan_before_it(
    stack: Stack, tong: TongClient, member: Member, amount: int, broken: bytes, told: list[int]
) -> None:
    faults_before = await tong.faults()
    async with line_to(stack) as line:
        line.writer.write(scan(stack, member, fresh_key(), amount=amount) + broken)
        assert (await line.answer())[0] == 201
        for status in told:
            assert (await line.answer())[0] == status
        assert await line.end() == b""
    assert await tong.faults() == faults_before


@pytest.mark.parametrize(
    "lengths",
    [
        ("content-length: {length}", "content-length: {length}"),
        ("content-length: {length}", "content-length: 5"),
        ("content-length: {length}, {length}",),
        ("content-length: +{length}",),
        ("content-length : {length}",),
        ("content-length: {length}", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: {length}"),
        ("transfer-encoding: chunked", "transfer-encoding: identity"),
        ("transfer-encoding: identity", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "transfer-encoding: chunked"),
        ("transfer-encoding: identity, chunked",),
        ("transfer-encoding: gzip, chunked",),
        ("transfer-encoding:", "content-length: {length}"),
        ("transfer-encoding: identity", "content-length: {length}"),
        ("transfer-encoding: chunked, identity",),
        ("content-length: {length},{length}",),
        ("content-length: 0x5",),
        ("content-length: -1",),
        ("content-length: 99999999999999999999",),
        ("transfer-encoding: xchunked",),
        ("transfer-encoding : chunked",),
        ("x: a\r\n content-length: 5", "content-length: {length}"),
    ],
)
async def test_a_body_has_one_length(stack: Stack, member: Member, lengths: tuple[str, ...]) -> None:
    body = scan_body(stack, member, 8_400)
    lines = [line.format(length=len(body)) for line in lengths]
    async with line_to(stack) as line:
        line.writer.write(scan_head(stack, f"idempotency-key: {fresh_key()}", *lines) + body)
        status, headers, told = await line.answer()
        assert (status, headers["connection"], json.loads(told)["code"]) == (400, "close", "malformed")
        assert await line.end() == b""


async def test_http_1_0_has_no_chunks(stack: Stack, member: Member) -> None:
    body = scan_body(stack, member, 8_500)
    async with line_to(stack) as line:
        head = scan_head(stack, f"idempotency-key: {fresh_key()}", "transfer-encoding: chunked", version="1.0")
        line.writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + SMUGGLED)
        status, headers, told = await line.answer()
        assert (status, headers["connection"], json.loads(told)["code"]) == (400, "close", "malformed")
        assert await line.end() == b""


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"", 400),
        (b"host: x\r\nhost: x\r\n", 400),
        (b"host: a b\r\n", 400),
        (b"host: a, b\r\n", 400),
        (b"host: http://x/\r\n", 400),
        (b"host: x@y\r\n", 400),
        (b"host: x:y\r\n", 400),
        (b"host: [::1\r\n", 400),
        (b"host: \xc3\xa9\r\n", 400),
        (b"host:\r\n", 200),
        (b"host: x\r\n", 200),
        (b"host: tong.example:8000\r\n", 200),
        (b"host: [::1]:8000 \r\n", 200),
    ],
)
async def test_a_request_names_one_host(stack: Stack, host: bytes, status: int) -> None:
    async with line_to(stack) as line:
        line.writer.write(b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")
        found, headers, told = await line.answer()
        assert found == status, told
        if status == 400:
            document = json.loads(told)
            assert (headers["content-type"], document["code"]) == ("application/problem+json", "malformed")
            assert "host" in document["detail"]
            assert await line.end() == b""
    async with line_to(stack) as line:  # not only the first request of a connection
        line.writer.write(SMUGGLED + b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")
        assert (await line.answer())[0] == 200
        if status == 200:
            assert (await line.answer())[0] == 200
        else:
            assert (await line.end())[:12] in (b"", b"HTTP/1.1 400")


async def test_http_1_0_needs_no_host(stack: Stack) -> None:
    async with line_to(stack) as line:
        line.writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await line.answer())[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\rb: c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\r\n b: c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx\x00: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\nhost: x\n\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\nx: a\r\n\r\n",
    ],
    ids=["NUL in a value", "bare CR", "folded line", "NUL in a name", "bare LF", "bare LF in the head"],
)
async def test_a_head_that_two_readers_could_split_differently_is_refused(stack: Stack, head: bytes) -> None:
    async with line_to(stack) as line:
        line.writer.write(head)
        status, headers, told = await line.answer()
        assert (status, headers["connection"], json.loads(told)["code"]) == (400, "close", "malformed")
        assert await line.end() == b""


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_body_behind_an_upgrade_is_the_body_of_that_request(stack: Stack, member: Member, pieces: int) -> None:
    upgrade = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    good = scan_body(stack, member, 8_100 + pieces)
    for key, body, status in ((fresh_key(), SMUGGLED, 400), (fresh_key(), good, 201)):
        head = scan_head(stack, *upgrade, f"idempotency-key: {key}", f"content-length: {len(body)}")
        async with line_to(stack) as line:
            if pieces == 1:
                line.writer.write(head + body + NEXT)
            else:
                line.writer.write(head)
                with pytest.raises(TimeoutError):  # it waits for the body: only its silence can be waited for
                    await asyncio.wait_for(line.reader.readexactly(1), 0.1)
                line.writer.write(body + NEXT)
            assert (await line.answer())[0] == status
            assert (await line.answer())[0] == 404


async def test_many_upgrades_in_one_write_are_answered_in_their_order(stack: Stack) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    async with line_to(stack) as line:
        line.writer.write(one * 40 + NEXT)
        assert [(await line.answer())[0] for _ in range(41)] == [200] * 40 + [404]


async def test_a_tunnel_is_refused(stack: Stack) -> None:
    async with line_to(stack) as line:
        line.writer.write(b"CONNECT example.com:80 HTTP/1.1\r\nhost: example.com:80\r\n\r\n" + SMUGGLED)
        status, headers, _ = await line.answer()
        assert (status, headers["connection"], await line.end()) == (400, "close", b"")


async def test_a_trailer_speaks_for_nobody(stack: Stack, member: Member) -> None:
    body = scan_body(stack, member, 8_200)
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    trailer = f"idempotency-key: {fresh_key()}\r\n\r\n".encode()
    async with line_to(stack) as line:
        line.writer.write(scan_head(stack, "transfer-encoding: chunked") + chunks + trailer)
        status, _, told = await line.answer()
        assert (status, json.loads(told)["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "endless", [b"0\r\nx: ", b"0\r\n", b"1;x="], ids=["a trailer", "trailers", "a line of a chunk"]
)
async def test_what_comes_endlessly_beside_a_body_is_cut_off(stack: Stack, endless: bytes) -> None:
    piece = b"x: y\r\n" * 1_000 if endless == b"0\r\n" else b"y" * 6_000

    async def talk(line: Line) -> None:
        line.writer.write(scan_head(stack, f"idempotency-key: {fresh_key()}", "transfer-encoding: chunked"))
        line.writer.write(b"2\r\n{}\r\n" + endless)
        while not line.reader.at_eof() and not line.writer.is_closing():
            line.writer.write(piece)
            await line.writer.drain()
            await asyncio.sleep(0)

    told: Sequence[bytes | BaseException] = ()
    # Who still sends while the server closes may find the answer gone with the connection.
    with suppress(ConnectionError):
        async with asyncio.timeout(ANSWER_SECONDS), line_to(stack) as line:
            reading = asyncio.create_task(line.reader.read())
            try:
                await talk(line)
            finally:
                told = await asyncio.gather(reading, return_exceptions=True)
    answer = b"".join(part for part in told if isinstance(part, bytes))
    assert answer == b"" or b"no part of the body" in answer


@pytest.mark.parametrize("name", ["authorization", "content-type", "host", "idempotency-key"])
async def test_a_header_that_says_who_asks_for_what_stands_once(stack: Stack, member: Member, name: str) -> None:
    amount = 8_300 + len(name)
    key = fresh_key()
    async with line_to(stack) as line:
        line.writer.write(scan(stack, member, key, amount=amount, extra=f"{name.title()}: other\r\n"))
        status, headers, told = await line.answer()
        assert (status, json.loads(told)["code"], headers["connection"]) == (400, "malformed", "close")
        assert f"{name} is a duplicate".encode() in told
    async with line_to(stack) as line:
        line.writer.write(scan(stack, member, key, amount=amount))
        status, headers, _ = await line.answer()
        assert (status, headers.get("idempotency-replayed")) == (201, None), "nothing was done the first time"
