"""The fast path of a scan through HTTP beside the slow one: the same answers, in order, however a request comes."""

import asyncio
import json

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.ledger.line import line_to, scan
from tests.support.servers.stack import Member, Stack

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
async def member(stack: Stack) -> Member:
    return await stack.member(("hotel", 100_000, 2))


async def test_a_request_in_pieces_is_answered_as_one_that_came_whole(stack: Stack, member: Member) -> None:
    request = scan(stack, member, fresh_key(), amount=7_001)
    body_at = request.index(b"\r\n\r\n") + 4
    async with line_to(stack) as line:
        line.writer.write(request)
        status, headers, first = await line.answer()
        assert (status, headers.get("idempotency-replayed")) == (201, None)
        assert {"date", "ratelimit", "ratelimit-policy", "cache-control"} <= headers.keys()
        for cut in (1, 40, body_at - 2, body_at, body_at + 1, len(request) - 1):
            line.writer.write(request[:cut])
            await line.writer.drain()
            # Until the worker has read the first piece: it answers nothing, so only its silence can be waited for.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.reader.readexactly(1), 0.05)
            line.writer.write(request[cut:])
            status, told, body = await line.answer()
            assert (status, told["idempotency-replayed"], body) == (201, "true", first), f"cut at {cut}"
            assert told.keys() - {"idempotency-replayed"} == headers.keys()


async def test_requests_in_one_write_are_answered_in_their_order(stack: Stack, member: Member) -> None:
    async with line_to(stack) as line:
        amounts = range(7_100, 7_106)
        line.writer.write(b"".join(scan(stack, member, fresh_key(), amount=amount) for amount in amounts))
        for amount in amounts:
            status, _, body = await line.answer()
            assert (status, json.loads(body)["bill"]["amount_minor"]) == (201, amount)


async def test_scans_and_other_calls_take_turns_on_a_connection(stack: Stack, member: Member) -> None:
    async with line_to(stack) as line:
        for amount in range(7_200, 7_203):
            line.writer.write(
                scan(stack, member, fresh_key(), amount=amount) + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
            )
            assert (await line.answer())[0] == 201
            assert (await line.answer())[0] == 200


async def test_five_thousand_requests_in_one_write_are_all_answered(stack: Stack, member: Member) -> None:
    many = 5_000
    async with line_to(stack) as line:
        line.writer.write(HEALTH * many + scan(stack, member, fresh_key(), amount=7_250) + HEALTH)
        for number in range(many):
            assert (await line.answer())[0] == 200, number
        assert (await line.answer())[0] == 201
        assert (await line.answer())[0] == 200


@pytest.mark.parametrize("pieces", [1, 2], ids=["fast path", "slow path"])
async def test_blanks_around_a_headers_value_are_no_part_of_it(
    stack: Stack, tong: TongClient, member: Member, pieces: int
) -> None:
    key = fresh_key()
    plain = scan(stack, member, key, amount=7_260 + pieces)
    head, _, body = plain.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    padded = b"\r\n".join([lines[0], *(line.replace(b": ", b": \t ") + b" \t" for line in lines[1:])])
    async with line_to(stack) as line:
        line.writer.write(padded + b"\r\n\r\n" + (body if pieces == 1 else b""))
        if pieces == 2:
            with pytest.raises(TimeoutError):  # until the head was read alone: only its silence can be waited for
                await asyncio.wait_for(line.reader.readexactly(1), 0.05)
            line.writer.write(body)
        status, _, first = await line.answer()
        assert status == 201, first
        line.writer.write(plain)
        status, headers, again = await line.answer()
        assert (status, headers["idempotency-replayed"], again) == (201, "true", first)


async def test_who_wants_the_connection_closed_finds_it_closed(stack: Stack, member: Member) -> None:
    for amount, version, extra in ((7_300, "1.1", "connection: close\r\n"), (7_301, "1.0", "")):
        async with line_to(stack) as line:
            line.writer.write(scan(stack, member, fresh_key(), amount=amount, version=version, extra=extra))
            status, headers, _ = await line.answer()
            assert (status, headers["connection"]) == (201, "close")
            assert await line.end() == b""


async def test_who_waits_to_be_told_to_go_on_is_told(stack: Stack, member: Member) -> None:
    request = scan(stack, member, fresh_key(), amount=7_400, extra="expect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    async with line_to(stack) as line:
        line.writer.write(head + b"\r\n\r\n")
        assert (await line.answer())[0] == 100
        line.writer.write(body)
        assert (await line.answer())[0] == 201


async def test_a_till_that_hangs_up_loses_only_its_answer(stack: Stack, tong: TongClient, member: Member) -> None:
    faults_before = await tong.faults()
    request = scan(stack, member, fresh_key(), amount=7_500)
    async with line_to(stack) as line:
        line.writer.write(request)
        await line.writer.drain()
    async with line_to(stack) as line:
        line.writer.write(request)
        assert (await line.answer())[0] == 201
    assert await tong.faults() == faults_before
