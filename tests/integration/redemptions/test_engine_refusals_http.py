"""Every refusal of the redemption engine through HTTP: what it names, that it changes no value, and which goes first.

`LEG_REASONS` and `STEP_REASONS` stand in the contract's order. A reason knows how to spoil a basket, so any two can be
put together: the answer must be that of the earlier one.
"""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import (
    DINNER,
    Environment,
    Json,
    benefit,
    open_environment,
    points,
    stored,
)
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


@dataclass
class Scan:
    """A scan that would be taken as it stands: nothing in the basket."""

    member: Member
    terminal: str = "eng-shop"
    legs: list[Json] = field(default_factory=list)


def forbidden_here(scan: Scan) -> None:
    scan.legs.append(benefit("eng-elsewhere"))


def unknown_benefit(scan: Scan) -> None:
    scan.legs.append(benefit("eng-nobody"))


def not_now(scan: Scan) -> None:
    scan.legs.append(benefit("eng-past"))


def used_up(scan: Scan) -> None:
    scan.legs.append(benefit("eng-item", 6))


def too_low(scan: Scan) -> None:
    scan.legs.append(benefit("eng-diamond"))


def small_bill(scan: Scan) -> None:
    scan.legs.append(benefit("eng-big-bill"))


def apart(scan: Scan) -> None:
    scan.legs += [benefit("eng-left"), benefit("eng-right")]


def few_points(scan: Scan) -> None:
    scan.terminal = "eng-strict"
    scan.legs.append(points(9))


def too_many_points(scan: Scan) -> None:
    scan.legs.append(points(5_001))


def too_much_money(scan: Scan) -> None:
    scan.legs.append(stored(50_001))


def more_than_the_bill(scan: Scan) -> None:
    scan.legs.append(stored(25_801))


LEG_REASONS: dict[str, tuple[Callable[[Scan], None], str]] = {
    "leg_not_allowed_here": (forbidden_here, "eng-elsewhere is for eng-other"),
    "benefit_unknown": (unknown_benefit, "prepare lists the member's benefits"),
    "benefit_not_now": (not_now, "from 2020-01-01, until 2020-12-31"),
    "benefit_exhausted": (used_up, "6 uses of eng-item asked, 5 left"),
    "tier_too_low": (too_low, "eng-diamond is for diamond and above"),
    "bill_below_minimum": (small_bill, "at least 900 000 minor units; 874 200 are missing"),
    "not_stackable": (apart, "only one of eng may be used; use eng-left or eng-right"),
    "points_below_minimum": (few_points, "9 points asked, the minimum here is 10"),
    "points_insufficient": (too_many_points, "5 001 points asked, 4 990 available"),
    "stored_value_insufficient": (too_much_money, "50 001 minor units asked, 50 000 available"),
    "exceeds_bill": (more_than_the_bill, "25 801 minor units asked, 25 790 are left to pay"),
}
"""How a basket comes to deserve each reason, and what its detail names."""


async def spoilt(environment: Environment, *reasons: str, reverse: bool = False) -> Scan:
    scan = Scan(await environment.member())
    for reason in reasons:
        LEG_REASONS[reason][0](scan)
    if reverse:
        scan.legs.reverse()
    return scan


async def send(environment: Environment, scan: Scan, **more: Any) -> httpx2.Response:
    return await environment.verify(scan.member, *scan.legs, terminal=environment.terminals[scan.terminal], **more)


@pytest.mark.parametrize("reason", LEG_REASONS)
async def test_a_refusal_names_rule_and_leg_and_changes_no_value(environment: Environment, reason: str) -> None:
    scan = await spoilt(environment, reason)
    scan.legs.insert(0, points(10))
    async with nothing_changes(environment.stack, scan.member):
        answer = await send(environment, scan)
    document = problem_of(answer)
    assert (document["code"], answer.status_code) == (reason, 409)
    assert (document["outcome"], document["retry"]) == ("not_applied", "new_key")
    assert document["leg"] == len(scan.legs) - 1
    assert LEG_REASONS[reason][1] in document["detail"], document["detail"]


@pytest.mark.parametrize("pair", list(itertools.combinations(LEG_REASONS, 2)), ids=" and ".join)
async def test_of_two_reasons_in_one_basket_the_first_of_the_table_is_given(
    environment: Environment, pair: tuple[str, str]
) -> None:
    for reverse in (False, True):
        scan = await spoilt(environment, *pair, reverse=reverse)
        answer = await send(environment, scan)
        assert problem_of(answer)["code"] == pair[0], answer.text


CODE_STATES: dict[str, Callable[[Environment, Scan, str], Awaitable[str | None]]] = {}
"""Reasons before any of the basket: each spoils the scan's code, key or member; the key to use, or None for a new."""


async def _cancelled(environment: Environment, scan: Scan, code: str) -> str | None:
    key = fresh_key()
    body = {"idempotency_key": key, "code": code}
    answer = await environment.call("/v1/cancel", body, terminal=environment.terminals[scan.terminal])
    assert answer.json()["effect"] == "tombstoned", answer.text
    return key


async def _used(environment: Environment, scan: Scan, code: str) -> str | None:
    assert (await environment.call("/v1/verify", {"code": code}, fresh_key())).status_code == 201
    return None


async def _revoked(environment: Environment, scan: Scan, code: str) -> str | None:
    await environment.member_field(scan.member, "codes_valid_from", str(int(time.time()) + 600))
    return None


async def _blocked(environment: Environment, scan: Scan, code: str) -> str | None:
    await environment.member_field(scan.member, "status", "blocked")
    return None


CODE_STATES |= {"cancelled": _cancelled, "code_used": _used, "code_revoked": _revoked, "member_blocked": _blocked}


@pytest.mark.parametrize("reason", LEG_REASONS)
@pytest.mark.parametrize("before", CODE_STATES)
async def test_what_is_wrong_with_key_code_or_member_goes_before_the_basket(
    environment: Environment, before: str, reason: str
) -> None:
    scan = await spoilt(environment, reason)
    body = environment.basket(scan.member, *scan.legs)
    key = await CODE_STATES[before](environment, scan, body["code"])
    answer = await environment.call(
        "/v1/verify", body, key or fresh_key(), terminal=environment.terminals[scan.terminal]
    )
    assert problem_of(answer)["code"] == before


@pytest.mark.parametrize("pair", list(itertools.combinations(CODE_STATES, 2)), ids=" and ".join)
async def test_of_two_states_of_code_and_member_the_first_of_the_table_is_given(
    environment: Environment, pair: tuple[str, str]
) -> None:
    scan = Scan(await environment.member())
    body = environment.basket(scan.member)
    keys = [await CODE_STATES[each](environment, scan, body["code"]) for each in pair]
    answer = await environment.call("/v1/verify", body, next(filter(None, keys), fresh_key()))
    assert problem_of(answer)["code"] == pair[0]


async def test_a_cancelled_key_goes_before_a_code_that_has_expired(environment: Environment) -> None:
    scan = Scan(await environment.member())
    body = {"code": environment.code(scan.member, age_seconds=90)}
    assert problem_of(await environment.call("/v1/verify", body, fresh_key()))["code"] == "code_expired"
    key = await _cancelled(environment, scan, body["code"])
    assert problem_of(await environment.call("/v1/verify", body, key))["code"] == "cancelled"


WITH_DUPLICATE: list[tuple[str, list[Json], Json]] = [
    # What can hold of a basket that was taken a moment ago: the legs, and the bill of the second time.
    ("leg_not_allowed_here", [benefit("eng-percent")], {**DINNER, "lines": []}),
    ("benefit_exhausted", [benefit("eng-once-a-day")], DINNER),
    ("bill_below_minimum", [benefit("eng-dinner")], {**DINNER, "lines": [{"category": "dining", "amount_minor": 9}]}),
    ("points_insufficient", [points(2_501)], DINNER),
    ("stored_value_insufficient", [stored(25_001)], DINNER),
]


@pytest.mark.parametrize(("reason", "legs", "bill"), WITH_DUPLICATE, ids=[each[0] for each in WITH_DUPLICATE])
async def test_a_possible_duplicate_goes_before_the_basket_and_can_be_confirmed(
    environment: Environment, reason: str, legs: list[Json], bill: Json
) -> None:
    member = await environment.member()
    await environment.taken(member, *legs)
    async with nothing_changes(environment.stack, member):
        answer = await environment.verify(member, *legs, bill=bill)
        document = problem_of(answer)
        assert (answer.status_code, document["code"]) == (409, "possible_duplicate")
        assert "confirm_duplicate" in document["detail"]
        confirmed = await environment.verify(member, *legs, bill=bill, confirm_duplicate=True)
        assert problem_of(confirmed)["code"] == reason, "control: the other reason holds as well"


async def test_a_duplicate_is_of_one_member_outlet_amount_and_basket_in_any_order(environment: Environment) -> None:
    member = await environment.member()
    legs = [points(100), stored(200)]
    await environment.taken(member, *legs)
    for same in (legs, legs[::-1]):
        answer = await environment.verify(member, *same, bill={**DINNER, "reference": "another"})
        assert problem_of(answer)["code"] == "possible_duplicate"
    await environment.taken(member, *legs, confirm_duplicate=True)
    await environment.taken(member, *legs, bill={**DINNER, "amount_minor": 25_801})
    await environment.taken(member, points(101), stored(200))
    await environment.taken(member, *legs, terminal=environment.other)
    await environment.taken(await environment.member(), *legs)
    for state in ("member_blocked", "code_revoked"):
        scan = Scan(await environment.member())
        await environment.taken(scan.member, points(1))
        await CODE_STATES[state](environment, scan, "")
        assert problem_of(await environment.verify(scan.member, points(1)))["code"] == state, "goes before a duplicate"


USES: list[tuple[str, list[int], int, int]] = [
    # benefit, uses that are taken, the uses too many, what is left then
    ("eng-item", [3, 2], 1, 0),
    ("eng-day", [1], 2, 1),
    ("eng-month", [2, 1], 1, 0),
    ("eng-stay", [1], 1, 0),
]


@pytest.mark.parametrize(("name", "taken", "more", "left"), USES, ids=[each[0] for each in USES])
async def test_uses_beyond_lots_day_month_or_stay_are_refused_with_what_is_left(
    environment: Environment, name: str, taken: list[int], more: int, left: int
) -> None:
    member = await environment.member()
    bill = {**DINNER, "stay": "room 1207"}
    for uses in taken:
        await environment.taken(member, benefit(name, uses), bill=bill)
    async with nothing_changes(environment.stack, member):
        answer = await environment.verify(member, benefit(name, more), bill=bill, confirm_duplicate=True)
    document = problem_of(answer)
    assert (document["code"], document["asked"], document["available"]) == ("benefit_exhausted", more, left)
    if name == "eng-stay":
        await environment.taken(member, benefit(name), bill={**DINNER, "stay": "room 1208"}, confirm_duplicate=True)
        without = await environment.verify(member, benefit(name), bill=DINNER, confirm_duplicate=True)
        assert problem_of(without)["code"] == "bill_below_minimum", "no stay, no benefit of a stay"


@pytest.mark.parametrize("who", [_revoked, _blocked], ids=["code_revoked", "member_blocked"])
async def test_prepare_and_accruals_refuse_codes_and_members_as_verify_does(
    environment: Environment,
    request: pytest.FixtureRequest,
    who: Callable[[Environment, Scan, str], Awaitable[str | None]],
) -> None:
    reason = request.node.callspec.id
    scan = Scan(await environment.member())
    await who(environment, scan, "")
    codes = {"old": environment.code(scan.member, age_seconds=90), "good": environment.code(scan.member)}
    for path in ("/v1/prepare", "/v1/accruals"):
        async with nothing_changes(environment.stack, scan.member):
            for age, code in codes.items():
                answer = await environment.call(path, {"code": code, "bill": DINNER}, fresh_key())
                assert problem_of(answer)["code"] == ("code_expired" if age == "old" else reason)
            for text, refused in (("6901234567892", "code_malformed"), (codes["good"][:-4] + "AAAA", "code_forged")):
                answer = await environment.call(path, {"code": text, "bill": DINNER}, fresh_key())
                assert problem_of(answer)["code"] == refused
