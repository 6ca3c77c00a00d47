"""Earning over HTTP: its ceilings, one bill earns once, and a member is named by id only after a scan at this outlet.

The attacks that once printed points are repeated as they were made.
"""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from redemption.domain.limits import GUESSES_PER_TERMINAL, SEEN_SECONDS
from redemption.domain.members import member_id
from redemption.rules.policy import EarnCeilings
from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import EARN_CEILINGS, Environment, Json, open_environment
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack, Terminal

DEFAULT = EarnCeilings()
ATTACKS, CONNECTIONS = 1_600, 16


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


def purchase(amount_minor: int, reference: str | None = None) -> Json:
    return {"reference": reference or f"B-{fresh_key()}", "amount_minor": amount_minor, "currency": "CNY"}


async def earn(
    environment: Environment,
    who: Json,
    bill: Json,
    terminal: Terminal | None = None,
    key: str | None = None,
    **more: Any,
) -> httpx2.Response:
    return await environment.call("/v1/accruals", {**who, "bill": bill, **more}, key or fresh_key(), terminal=terminal)


def over(answer: httpx2.Response) -> tuple[int, int]:
    """Return the points asked for and the points that the ceiling still allows."""
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (409, "earning_limit_reached"), answer.text
    assert (document["outcome"], document["retry"]) == ("not_applied", "new_key")
    return document["asked"], document["available"]


async def all_at_once(calls: int, call: Any) -> list[httpx2.Response]:
    seats = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int) -> httpx2.Response:
        async with seats:
            answer: httpx2.Response = await call(number)
            return answer

    return await asyncio.gather(*(one(number) for number in range(calls)))


async def test_one_thousand_six_hundred_accruals_of_an_invented_bill_issue_nothing(environment: Environment) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    await environment.seen(member)
    who = {"member_id": member.member_id}
    async with nothing_changes(environment.stack, member):
        answers = await all_at_once(ATTACKS, lambda _: earn(environment, who, purchase(100_000_000)))
        assert {over(answer) for answer in answers} == {(100_000_000, DEFAULT.bill_minor)}
        assert over(await earn(environment, who, purchase(10**12))) == (10**12, DEFAULT.bill_minor)
        points = DEFAULT.bill_points + 1
        assert over(await earn(environment, who, purchase(points * 100))) == (points, DEFAULT.bill_points)
    assert (await environment.tong.me(member))["balance"]["points"] == 0


async def test_small_invented_bills_end_at_the_members_day_and_at_the_terminals(environment: Environment) -> None:
    """`eng-earn` states ceilings of its own; a refused key stays refused, and a repeat says the same."""
    terminal = environment.terminals["eng-earn"]
    most_of_bill, most_of_member, most_of_terminal = (
        EARN_CEILINGS[name] for name in ("bill_points", "member_day_points", "terminal_day_points")
    )
    members = await environment.members(4, "standard", points=[])
    issued = 0
    for member in members:
        await environment.seen(member, terminal)
        who, mine, room = {"member_id": member.member_id}, 0, most_of_terminal - issued
        answers = await all_at_once(
            12, lambda _, who=who: earn(environment, who, purchase(most_of_bill * 100), terminal)
        )
        applied = [answer.json()["points"] for answer in answers if answer.status_code == 201]
        mine = sum(applied)
        assert mine == min(most_of_member, room), "the ceilings are reached and never passed"
        issued += mine
        key, more = fresh_key(), purchase(most_of_bill * 100)
        refused = await earn(environment, who, more, terminal, key)
        assert over(refused) == (most_of_bill, 0)
        again = await earn(environment, who, more, terminal, key)
        assert (over(again), again.headers["idempotency-replayed"]) == ((most_of_bill, 0), "true")
    assert issued == most_of_terminal
    (other,) = await environment.members(1, "standard", points=[])
    await environment.seen(other, terminal)
    assert over(await earn(environment, {"member_id": other.member_id}, purchase(100), terminal)) == (1, 0)


async def test_a_reversal_on_the_same_day_gives_the_room_back(environment: Environment) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    who, bill = {"member_id": member.member_id}, purchase(DEFAULT.bill_points * 100)
    await environment.seen(member, environment.other)
    terminal = environment.shop
    await environment.seen(member)
    first = await earn(environment, who, bill)
    second = await earn(environment, who, purchase(DEFAULT.bill_points * 100))
    assert (first.status_code, second.status_code) == (201, 201), first.text
    assert over(await earn(environment, who, purchase(100), terminal)) == (1, 0)
    reversal = f"/v1/accruals/{first.json()['accrual_id']}/reverse"
    assert (await environment.call(reversal)).status_code == 200
    assert (await earn(environment, who, purchase(100), terminal)).status_code == 201
    assert (await earn(environment, who, purchase(DEFAULT.bill_points * 100 - 100))).status_code == 201
    assert over(await earn(environment, who, purchase(100), terminal)) == (1, 0)


async def test_a_bill_earns_once_and_another_part_of_it_when_that_is_confirmed(environment: Environment) -> None:
    first, second = await environment.members(2, "standard", points=[])
    bill = purchase(5_000)

    async def again(member: Member, amount: int = 5_000, *, confirm: bool = False) -> httpx2.Response:
        body = {"code": environment.code(member)}
        return await earn(environment, body, {**bill, "amount_minor": amount}, confirm_duplicate=confirm)

    def duplicate(answer: httpx2.Response) -> str:
        document = problem_of(answer)
        assert (answer.status_code, document["code"]) == (409, "possible_duplicate"), answer.text
        return str(document["detail"])

    earned = await again(first)
    assert earned.status_code == 201, earned.text
    async with nothing_changes(environment.stack, first, second):
        for member in (first, second):
            assert "earned already" in duplicate(await again(member))
            duplicate(await again(member, 4_000))
            duplicate(await again(member, confirm=True))
    assert (await again(second, 4_000, confirm=True)).status_code == 201, "the other part of a bill paid by two"
    duplicate(await again(second, 4_000, confirm=True))
    duplicate(await again(first, confirm=True))
    elsewhere = await earn(environment, {"code": environment.code(first)}, bill, environment.other)
    assert elsewhere.status_code == 201, "another outlet has bills of its own"
    assert (await environment.call(f"/v1/accruals/{earned.json()['accrual_id']}/reverse")).status_code == 200
    duplicate(await again(first))
    assert (await again(first, confirm=True)).status_code == 201, "that amount was taken back"


async def test_members_that_this_outlet_did_not_scan_are_not_found_and_each_try_is_a_guess(
    environment: Environment,
) -> None:
    terminal = environment.terminals["eng-guess-ids"]
    known, scanned = await environment.members(2, "standard", points=[])
    await environment.seen(known, environment.other)
    await environment.seen(scanned, terminal)
    ids = [known.member_id, *(member_id(number) for number in range(90_000_000, 90_000_000 + GUESSES_PER_TERMINAL - 1))]
    async with nothing_changes(environment.stack, known):
        answers = [await earn(environment, {"member_id": each}, purchase(1), terminal) for each in ids]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1, "a member scanned elsewhere is like nobody"
        for each in (member_id(90_000_500), known.member_id, scanned.member_id):
            limited = await earn(environment, {"member_id": each}, purchase(1), terminal)
            assert problem_of(limited)["code"] == "rate_limited"
            assert int(limited.headers["retry-after"]) >= 1
    by_code = await earn(environment, {"code": environment.code(known)}, purchase(100), terminal)
    assert by_code.status_code == 201, "a code is no guess"


async def test_a_refused_key_stays_refused_when_the_member_is_scanned_afterwards(environment: Environment) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    key, who, bill = fresh_key(), {"member_id": member.member_id}, purchase(100)
    assert (await earn(environment, who, bill, key=key)).status_code == 404
    await environment.seen(member)
    assert (await earn(environment, who, bill, key=key)).status_code == 404
    assert (await earn(environment, who, bill)).status_code == 201


@pytest.mark.parametrize("how", ["verify", "prepare", "accrual"])
async def test_a_scan_lets_its_outlet_name_the_member_for_fifteen_minutes(environment: Environment, how: str) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    if how == "verify":
        assert (await environment.verify(member, bill=None)).status_code == 201
    elif how == "prepare":
        await environment.seen(member)
    else:
        assert (await earn(environment, {"code": environment.code(member)}, purchase(100))).status_code == 201
    who = {"member_id": member.member_id}
    assert (await earn(environment, who, purchase(100))).status_code == 201
    assert (await earn(environment, who, purchase(100), environment.other)).status_code == 404
    key, bill = fresh_key(), purchase(200)
    assert (await earn(environment, who, bill, key=key)).status_code == 201
    async with environment.stack.hot() as hot:
        name = f"{{b{member.bucket}}}:recent:{member.member_id}:{environment.shop.outlet}"
        assert SEEN_SECONDS - 60 < await hot.ttl(name) <= SEEN_SECONDS
        await hot.delete(name)
    assert (await earn(environment, who, purchase(100))).status_code == 404
    again = await earn(environment, who, bill, key=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true"), "a repeat is no guess"


async def test_a_code_that_is_refused_marks_no_scan(environment: Environment) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    for code in (environment.code(member, age_seconds=90),):
        assert problem_of(await environment.call("/v1/prepare", {"code": code}))["code"] == "code_expired"
    await environment.member_field(member, "status", "blocked")
    assert (
        problem_of(await environment.call("/v1/prepare", {"code": environment.code(member)}))["code"]
        == "member_blocked"
    )
    await environment.member_field(member, "status", "active")
    assert (await earn(environment, {"member_id": member.member_id}, purchase(100))).status_code == 404


async def test_a_refund_of_a_part_without_a_key_is_refused_and_gives_nothing_back(environment: Environment) -> None:
    member = await environment.member()
    taken = await environment.taken(member, {"kind": "points", "points": 30})
    path = f"/v1/redemptions/{taken['redemption_id']}/refund"
    part = {"legs": [{"kind": "points", "points": 10}]}
    async with nothing_changes(environment.stack, member):
        for _ in range(3):
            answer = await environment.call(path, part)
            assert (answer.status_code, problem_of(answer)["code"]) == (400, "idempotency_key_missing")
    key = fresh_key()
    answers = [await environment.call(path, part, key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    shown = await environment.shown(taken)
    assert shown["legs"][0]["refunded_points"] == 10
    assert Counter(answer.headers.get("idempotency-replayed") for answer in answers) == {None: 1, "true": 2}
