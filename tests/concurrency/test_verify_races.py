"""Races of scans through HTTP over two workers, each with controls.

Half of the connections are to one worker and half to the other. In a control the same check runs against a store whose
guard was taken out, and must find what is wrong: the real function library is loaded without it in its own place.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from redemption.hot.library import assemble
from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.engine.race import Response, covered_only, one_answer, one_use
from tests.support.ledger.oracle import until_drained
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import Member, Stack, Terminal, running_stack

SCANS = 200
SPENDS = 1_000
COVERED = 137
POINTS = 3
CONNECTIONS = 200

GUARDS = {
    "idempotency": ("if texts[2] then\n  local seen", "if false then\n  local seen"),
    "code marker": ("if code_used(texts[3], marker) then consider(OUTCOME.CODE_USED) end", ""),
    "funds": ("flat[i], integer(flat[i + 1])", "flat[i], integer(flat[i + 1]) + 1000000"),
}
"""The text in the library that guards, and what stands there in the control. Without the funds guard a scan believes
that every lot holds a million more than it does."""


@dataclass(frozen=True)
class Crowd:
    """Many tills at once: a client for each worker, with open connections to that worker alone."""

    stack: Stack
    tills: list[TongClient]

    async def scan(self, number: int, terminal: Terminal, body: dict[str, Any], key: str) -> Response:
        """The scan of till `number`; neighbours go to different workers."""
        answer = await self.tills[number % len(self.tills)].verify(terminal, body, key)
        return Response(answer.status_code, "" if answer.status_code == 201 else answer.json()["code"], answer.content)

    @property
    def tong(self) -> TongClient:
        return self.tills[0]


@asynccontextmanager
async def crowd_of(stack: Stack) -> AsyncIterator[Crowd]:
    async with AsyncExitStack() as open_clients:
        tills = []
        for position in range(len(stack.workers)):
            connections = CONNECTIONS // len(stack.workers)
            till = await open_clients.enter_async_context(client_of(stack, connections=connections))
            async with stack.only_worker(position):
                asked = await asyncio.gather(*(till.http.get("/healthz") for _ in range(connections)))
            assert {answer.status_code for answer in asked} == {200}
            tills.append(till)
        yield Crowd(stack, tills)


@pytest.fixture
async def crowd(stack: Stack) -> AsyncIterator[Crowd]:
    async with crowd_of(stack) as found:
        yield found


@pytest.fixture(scope="module")
async def unguarded() -> AsyncIterator[Stack]:
    """A stack for the controls: its store ends in disorder."""
    async with running_stack(workers=2) as running:
        yield running


@asynccontextmanager
async def without(stack: Stack, guard: str) -> AsyncIterator[None]:
    """The stack's function library without one of its guards, for the length of the block."""
    guarding, instead = GUARDS[guard]
    library = assemble().source
    assert library.count(guarding) == 1, f"the guard {guard!r} is written otherwise now: adapt GUARDS"
    async with stack.hot() as hot:
        await hot.execute_command("FUNCTION", "LOAD", "REPLACE", library.replace(guarding, instead))
        try:
            yield
        finally:
            await hot.execute_command("FUNCTION", "LOAD", "REPLACE", library)


async def one_code_under_many_keys(crowd: Crowd, member: Member) -> list[Response]:
    terminals, code = list(crowd.stack.terminals.values()), await crowd.tong.code(member)
    return await asyncio.gather(
        *(
            crowd.scan(
                number,
                terminals[number // 2 % len(terminals)],
                {"code": code, "bill": bill(1_000 + number), "legs": [points_leg(POINTS)]},
                fresh_key(),
            )
            for number in range(SCANS)
        )
    )


async def one_key_many_times(crowd: Crowd, member: Member, key: str) -> list[Response]:
    body = {"code": await crowd.tong.code(member), "bill": bill(), "legs": [points_leg(POINTS)]}
    terminal = crowd.stack.terminals["mall"]
    return await asyncio.gather(*(crowd.scan(number, terminal, body, key) for number in range(SCANS)))


async def codes_of(crowd: Crowd, member: Member, wanted: int) -> list[str]:
    fetched = await asyncio.gather(*(crowd.tong.codes(member, 5) for _ in range(wanted // 5)))
    codes = [entry.code for entries in fetched for entry in entries]
    assert len(set(codes)) == wanted, "every code is another one"
    return codes


async def many_spends(crowd: Crowd, codes: Sequence[str]) -> list[Response]:
    return await asyncio.gather(
        *(
            crowd.scan(
                number,
                crowd.stack.terminals["gym"],
                {"code": code, "bill": bill(1_000 + number), "legs": [points_leg(POINTS)]},
                fresh_key(),
            )
            for number, code in enumerate(codes)
        )
    )


async def covering_member(stack: Stack) -> Member:
    return await stack.member(("hotel", 100, 0), ("mall", 200, 1), ("spa", COVERED * POINTS - 300, 2))


async def drained(stack: Stack, question: str, *values: Any) -> Any:
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
        return await ledger.fetchval(question, *values)


async def test_two_hundred_scans_of_one_code_apply_once(stack: Stack, crowd: Crowd) -> None:
    member = await stack.member(("hotel", 10_000, 1))
    assert one_use(await one_code_under_many_keys(crowd, member)) == []
    assert await crowd.tong.points(member) == 10_000 - POINTS


async def test_two_hundred_repeats_of_one_request_have_one_answer_and_one_record(stack: Stack, crowd: Crowd) -> None:
    member, key = await stack.member(("hotel", 10_000, 1)), fresh_key()
    async with stack.hot() as hot:
        before = (await hot.xinfo_stream(f"{{b{member.bucket}}}:ledger"))["entries-added"]
        assert one_answer(await one_key_many_times(crowd, member, key)) == []
        assert (await hot.xinfo_stream(f"{{b{member.bucket}}}:ledger"))["entries-added"] == before + 1
    assert await crowd.tong.points(member) == 10_000 - POINTS
    count = "SELECT count(*) FROM ledger_transaction WHERE kind = 'redeem' AND member_id = $1"
    assert await drained(stack, count, member.member_id) == 1
    assert await drained(stack, "SELECT count(*) FROM ledger_transaction WHERE idempotency_key = $1", key) == 1


async def test_a_thousand_spends_take_exactly_what_the_balance_covers(stack: Stack, crowd: Crowd) -> None:
    member = await covering_member(stack)
    codes = await codes_of(crowd, member, SPENDS)
    answers = await many_spends(crowd, codes)
    assert covered_only(answers, COVERED, await crowd.tong.points(member)) == []
    balances = Counter(json.loads(answer.body)["balance"]["points"] for answer in answers if answer.status == 201)
    assert balances == Counter(range(0, COVERED * POINTS, POINTS)), "every balance that was told was told once"
    count = "SELECT count(*) FROM ledger_transaction WHERE kind = 'redeem' AND member_id = $1"
    assert await drained(stack, count, member.member_id) == COVERED


async def test_control_without_the_code_marker_one_code_is_used_many_times(unguarded: Stack) -> None:
    member = await unguarded.member(("hotel", 10_000, 1))
    async with without(unguarded, "code marker"), crowd_of(unguarded) as crowd:
        assert one_use(await one_code_under_many_keys(crowd, member)) != []
        assert await crowd.tong.points(member) < 10_000 - POINTS


async def test_control_without_the_idempotency_record_the_answers_differ(unguarded: Stack) -> None:
    member = await unguarded.member(("hotel", 10_000, 1))
    async with without(unguarded, "idempotency"), crowd_of(unguarded) as crowd:
        assert one_answer(await one_key_many_times(crowd, member, fresh_key())) != []


async def test_control_without_the_funds_check_more_is_taken_than_there_is(unguarded: Stack) -> None:
    member = await covering_member(unguarded)
    async with crowd_of(unguarded) as crowd:
        codes = await codes_of(crowd, member, SPENDS)
        async with without(unguarded, "funds"):
            answers = await many_spends(crowd, codes)
    assert sum(answer.status == 201 for answer in answers) > COVERED
    assert covered_only(answers, COVERED, 0) != []


async def test_control_checking_and_taking_in_two_calls_takes_more_than_there_is() -> None:
    async with private_valkey() as server, Redis.from_url(server.url) as hot:
        await hot.hset("lots", "202612.hotel", str(COVERED * POINTS))

        async def spend() -> Response:
            if int(await _awaited(hot.hget("lots", "202612.hotel"))) < POINTS:
                return Response(409, "points_insufficient", b"")
            await _awaited(hot.hincrby("lots", "202612.hotel", -POINTS))
            return Response(201, "", b"")

        gate = asyncio.Semaphore(50)

        async def one() -> Response:
            async with gate:
                return await spend()

        answers = await asyncio.gather(*(one() for _ in range(SPENDS)))
        left = int(await _awaited(hot.hget("lots", "202612.hotel")))
    assert covered_only(answers, COVERED, left) != []
    assert left < 0


async def _awaited(call: Awaitable[Any] | Any) -> Any:
    return await call


def test_the_checks_find_each_way_of_being_wrong() -> None:
    taken, used, late = Response(201, "", b"a"), Response(409, "code_used", b""), Response(503, "unavailable", b"")
    assert one_use([taken, used, used]) == []
    assert one_use([taken, taken, used]) != []
    assert one_use([used, used]) != []
    assert one_use([taken, used, late]) != []
    assert one_answer([taken, taken]) == []
    assert one_answer([taken, Response(201, "", b"b")]) == ["2 different answers"]
    assert covered_only([taken, Response(409, "points_insufficient", b"")], 1, 0) == []
    assert covered_only([taken, taken], 1, 0) != []
    assert covered_only([taken], 1, 5) == ["5 points are left"]
