"""Refusals of capture, void, refund, cancel and reversals: the reason that comes first, and no value changes.

`STEPS` stands in the contract's order; a step that asks for too much holds a second reason beside the first.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from redemption.domain.members import member_id
from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import (
    Environment,
    Json,
    benefit,
    open_environment,
    points,
    stored,
)
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until

LONG_AGO = str(int((time.time() - 100 * 86_400) * 1000))


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


@dataclass
class Made:
    """A redemption in some state, and the step that is refused."""

    redemption: Json
    member: Member


async def hold(environment: Environment, seconds: int = 600) -> Made:
    member = await environment.member()
    return Made(await environment.held(member, points(900), stored(300), hold_seconds=seconds), member)


async def after(environment: Environment, step: str, body: Any = None) -> Made:
    """A redemption after one step: `capture` and `void` of a hold, `refund` of what was captured."""
    if step == "refund":
        member = await environment.member()
        made = Made(await environment.taken(member, points(900), stored(300)), member)
    else:
        made = await hold(environment)
    answer = await environment.step(made.redemption, step, body)
    assert answer.status_code == 200, answer.text
    return made


async def expired(environment: Environment) -> Made:
    made = await hold(environment, 1)
    key = made.redemption["created_at"]
    await wait_until("the hold's time has run out", lambda: time.time() > _moment(key) + 1.05)
    await environment.step(made.redemption, "capture")
    return made


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def cancelled(environment: Environment) -> Made:
    made = await hold(environment)
    answer = await environment.call("/v1/cancel", {"redemption_id": made.redemption["redemption_id"]})
    assert answer.status_code == 200, answer.text
    return made


async def long_ago(environment: Environment) -> Made:
    """Captured a hundred days ago, as far as its record says."""
    made = await after(environment, "capture")
    await environment.field_of(made.redemption, "captured_at", LONG_AGO)
    return made


async def partly_refunded_long_ago(environment: Environment) -> Made:
    made = await after(environment, "refund", {"legs": [points(100)]})
    await environment.field_of(made.redemption, "at", LONG_AGO)
    return made


TOO_MUCH = {"legs": [points(901)]}
STEPS: list[tuple[str, int, Callable[[Environment], Awaitable[Made]], str, Any]] = [
    # In the contract's order. A body that asks for too much holds a second reason, and the first must be given.
    ("hold_expired", 410, expired, "capture", None),
    ("hold_expired", 410, expired, "capture", TOO_MUCH),
    ("hold_expired", 410, expired, "void", None),
    ("hold_expired", 410, expired, "refund", TOO_MUCH),
    ("already_captured", 409, lambda environment: after(environment, "capture"), "capture", None),
    ("already_captured", 409, lambda environment: after(environment, "capture"), "capture", TOO_MUCH),
    ("already_captured", 409, lambda environment: after(environment, "capture"), "void", None),
    ("already_captured", 409, lambda environment: after(environment, "refund", {"legs": [points(1)]}), "void", None),
    ("already_captured", 409, long_ago, "capture", TOO_MUCH),
    ("already_voided", 409, lambda environment: after(environment, "void"), "void", None),
    ("already_voided", 409, lambda environment: after(environment, "void"), "capture", TOO_MUCH),
    ("already_voided", 409, lambda environment: after(environment, "void"), "refund", TOO_MUCH),
    ("already_refunded", 409, lambda environment: after(environment, "refund"), "refund", None),
    ("already_refunded", 409, lambda environment: after(environment, "refund"), "refund", TOO_MUCH),
    ("already_refunded", 409, lambda environment: after(environment, "refund"), "capture", TOO_MUCH),
    ("exceeds_hold", 409, hold, "capture", TOO_MUCH),
    ("exceeds_hold", 409, hold, "capture", {"legs": [benefit("eng-plain")]}),
    ("exceeds_hold", 409, hold, "capture", {"legs": [points(500), points(401)]}),
    ("exceeds_redemption", 409, hold, "refund", None),
    (
        "exceeds_redemption",
        409,
        lambda environment: after(environment, "capture", {"legs": [points(1)]}),
        "refund",
        {"legs": [points(2)]},
    ),
    (
        "exceeds_redemption",
        409,
        lambda environment: after(environment, "refund", {"legs": [points(1)]}),
        "refund",
        {"legs": [points(900)]},
    ),
    ("exceeds_redemption", 409, long_ago, "refund", TOO_MUCH),
    ("exceeds_redemption", 409, partly_refunded_long_ago, "refund", {"legs": [points(801)]}),
    ("window_closed", 410, long_ago, "refund", None),
    ("window_closed", 410, partly_refunded_long_ago, "refund", {"legs": [points(800)]}),
    ("cancelled", 409, cancelled, "capture", None),
    ("cancelled", 409, cancelled, "void", None),
    ("cancelled", 409, cancelled, "refund", TOO_MUCH),
]


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[f"{s[0]}-{s[3]}-{n}" for n, s in enumerate(STEPS)])
async def test_a_refused_step_says_why_and_changes_no_value(environment: Environment, number: int) -> None:
    reason, status, state, step, body = STEPS[number]
    made = await state(environment)
    key = fresh_key()
    async with nothing_changes(environment.stack, made.member):
        for _ in range(2):
            answer = await environment.step(made.redemption, step, body, key)
            document = problem_of(answer)
            assert (document["code"], answer.status_code) == (reason, status), answer.text
            assert document["outcome"] == "not_applied"
        assert answer.headers["idempotency-replayed"] == "true"
    if reason in {"exceeds_hold", "exceeds_redemption"} and body:
        assert document["asked"] > document["available"] >= 0


async def test_a_cancel_that_comes_too_late_is_window_closed(environment: Environment) -> None:
    made = await long_ago(environment)
    async with nothing_changes(environment.stack, made.member):
        answer = await environment.call("/v1/cancel", {"redemption_id": made.redemption["redemption_id"]})
    assert (answer.status_code, problem_of(answer)["code"]) == (410, "window_closed")


async def test_a_reversal_that_comes_too_late_or_twice_is_told(environment: Environment) -> None:
    member = await environment.member()
    bill = {"reference": f"R-{fresh_key()}", "amount_minor": 5_000, "currency": "CNY"}
    body = {"code": environment.code(member), "bill": bill}
    told = (await environment.call("/v1/accruals", body, fresh_key())).json()
    async with environment.stack.hot() as hot:
        name = f"{{b{member.bucket}}}:accrual:{told['accrual_id']}"
        at = await hot.hget(name, "at")
        await hot.hset(name, "at", LONG_AGO)
    path = f"/v1/accruals/{told['accrual_id']}/reverse"
    async with nothing_changes(environment.stack, member):
        late = await environment.call(path)
        assert (late.status_code, problem_of(late)["code"]) == (410, "window_closed")
    async with environment.stack.hot() as hot:
        await hot.hset(name, "at", at)
    assert (await environment.call(path)).status_code == 200
    assert problem_of(await environment.call(path))["code"] == "already_refunded"


async def test_a_key_used_for_something_else_is_told_on_every_path(environment: Environment) -> None:
    member = await environment.member()
    key = fresh_key()
    held = await environment.held(member, points(900), key=key)
    bill = {"reference": f"R-{fresh_key()}", "amount_minor": 5_000, "currency": "CNY"}
    purchase = {"member_id": member.member_id, "bill": bill}
    earned = (await environment.call("/v1/accruals", purchase, fresh_key())).json()
    async with nothing_changes(environment.stack, member):
        for path, body in (
            ("/v1/verify", environment.basket(member)),
            ("/v1/accruals", purchase),
            (f"/v1/accruals/{earned['accrual_id']}/reverse", None),
            *((f"/v1/redemptions/{held['redemption_id']}/{step}", None) for step in ("capture", "void", "refund")),
        ):
            answer = await environment.call(path, body, key)
            assert (answer.status_code, problem_of(answer)["code"]) == (422, "idempotency_key_reused"), path


OTHERS: list[tuple[str, str]] = [
    ("GET", "/v1/redemptions/{redemption}"),
    ("POST", "/v1/redemptions/{redemption}/capture"),
    ("POST", "/v1/redemptions/{redemption}/void"),
    ("POST", "/v1/redemptions/{redemption}/refund"),
    ("POST", "/v1/cancel"),
    ("POST", "/v1/accruals/{accrual}/reverse"),
]


@pytest.mark.parametrize(("method", "path"), OTHERS)
async def test_another_businesses_id_is_as_unknown_as_one_that_never_was(
    environment: Environment, method: str, path: str
) -> None:
    member = await environment.member()
    held = await environment.held(member, points(900))
    bill = {"reference": f"R-{fresh_key()}", "amount_minor": 5_000, "currency": "CNY"}
    earned = await environment.call("/v1/accruals", {"member_id": member.member_id, "bill": bill}, fresh_key())
    own = {"redemption": held["redemption_id"], "accrual": earned.json()["accrual_id"]}
    found = []
    async with nothing_changes(environment.stack, member):
        for ids in (own, {name: text[:-6] + "000000" for name, text in own.items()}, dict.fromkeys(own, "nothing")):
            target = path.format(**ids)
            if method == "GET":
                answer = await environment.get(target, terminal=environment.other)
            else:
                body = {"redemption_id": ids["redemption"]} if path == "/v1/cancel" else None
                answer = await environment.call(target, body, fresh_key(), terminal=environment.other)
            assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")
            found.append(answer.content)
    assert len(set(found)) == 1


async def test_a_member_that_is_none_earns_nothing(environment: Environment) -> None:
    bill = {"reference": "R", "amount_minor": 5_000, "currency": "CNY"}
    answer = await environment.call("/v1/accruals", {"member_id": member_id(99_999_999), "bill": bill}, fresh_key())
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")
