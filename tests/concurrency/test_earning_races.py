"""Races of earning: ceilings and the mark of a bill hold however many accruals come at once; without the guard they
would not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from redemption.accruals import Purchase
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill
from redemption.domain.outcomes import Refusal
from redemption.rules.policy import EarnCeilings
from tests.support.api.client import TongClient, fresh_key
from tests.support.engine import sides as engine_sides
from tests.support.engine.http import EARN_CEILINGS, Environment, clients_of_each_worker, open_environment
from tests.support.engine.sides import TILL, InProcess, Removal, without
from tests.support.servers.stack import Stack
from tokens.claims import slot_at

CALLS = 60
NOW = 1_795_881_600


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong, businesses=("eng-earn-race",))


async def test_accruals_at_once_over_two_workers_reach_the_ceilings_and_never_pass_them(
    environment: Environment,
) -> None:
    terminal = environment.terminals["eng-earn-race"]
    members = await environment.members(6, "standard", points=[])
    async with clients_of_each_worker(environment.stack) as tills:

        async def earn(number: int) -> tuple[int, int]:
            member = members[number % len(members)]
            bill = {"reference": f"B-{fresh_key()}", "amount_minor": 7_700, "currency": "CNY"}
            body = {"code": environment.code(member), "bill": bill}
            till = tills[number % len(tills)]
            answer = await environment.call("/v1/accruals", body, fresh_key(), terminal=terminal, tong=till)
            if answer.status_code != 201:
                assert answer.json()["code"] == "earning_limit_reached", answer.text
                return number % len(members), 0
            return number % len(members), int(answer.json()["points"])

        answers = await asyncio.gather(*(earn(number) for number in range(CALLS)))
    of_member = [sum(points for who, points in answers if who == number) for number in range(len(members))]
    assert max(of_member) <= EARN_CEILINGS["member_day_points"]
    most = EARN_CEILINGS["terminal_day_points"]
    assert most - 77 < sum(of_member) <= most


async def issued(side: InProcess, subjects: Sequence[int], *, bill: str = "", calls: int = CALLS) -> int:
    """Points of as many accruals at once as there are calls, of 77 each."""

    async def earn(number: int) -> int:
        subject = subjects[number % len(subjects)]
        code = CodeUse(subject, slot_at(NOW), side.claim(subject), NOW, expired=False)
        reference = bill or f"B-{number}"
        purchase = Purchase(TILL, subject, code, fresh_key(), f"f{number}", Bill(reference, 7_700, "CNY"))
        done = await side.accruals.accrue(purchase)
        assert done is not None
        return 0 if isinstance(done, Refusal) else done.points

    return sum(await asyncio.gather(*(earn(number) for number in range(calls))))


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    group = engine_sides.configuration()
    ceilings = EarnCeilings(bill_points=100, member_day_points=400, terminal_day_points=1_000)
    policy = msgspec.structs.replace(group.policy, earn_ceilings=ceilings)
    monkeypatch.setattr(engine_sides, "configuration", lambda: replace(group, policy=policy))


MEMBERS_DAY: Removal = ("accrue", "  within(points, most[3], member_before, EARN_CEILING.MEMBER_DAY_POINTS)\n", "")
TERMINALS_DAY: Removal = (
    "accrue",
    "  within(points, most[4], terminal_before, EARN_CEILING.TERMINAL_DAY_POINTS)\n",
    "",
)
ONE_BILL: Removal = ("accrue", "  consider(OUTCOME.POSSIBLE_DUPLICATE)\n", "")


@pytest.mark.usefixtures("tight")
async def test_control_without_a_ceiling_more_is_issued() -> None:
    async with without() as side:
        assert await issued(side, await side.subjects(1, points=0)) == 5 * 77
        assert await issued(side, await side.subjects(6, points=0)) == (1_000 - 5 * 77) // 77 * 77
    async with without(MEMBERS_DAY) as side:
        assert await issued(side, await side.subjects(1, points=0)) > 400
    async with without(TERMINALS_DAY) as side:
        assert await issued(side, await side.subjects(6, points=0)) > 1_000


async def test_control_without_the_mark_of_a_bill_it_earns_as_often_as_it_comes() -> None:
    async with without() as side:
        assert await issued(side, await side.subjects(3, points=0), bill="ONE") == 77
    async with without(ONE_BILL) as side:
        assert await issued(side, await side.subjects(3, points=0), bill="ONE", calls=6) == 6 * 77
