"""Every call of the engine, applied and refused, is answered as /openapi.json says."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.openapi.document import document
from gateway.server.routes import OPERATIONS
from redemption.domain.members import member_id
from tests.support.api.client import TongClient, fresh_key, points_leg
from tests.support.api.openapi import (
    BILL,
    DINNER,
    REDEMPTION,
    Operation,
    Till,
    all_routes,
    check_answer,
    wealthy_member,
)
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return document(all_routes())


@pytest.fixture
def till_of(stack: Stack, tong: TongClient, generated: dict[str, Any]) -> Callable[[str], Till]:
    return lambda business: Till(tong, stack.terminals[business], generated)


async def test_every_reason_why_a_basket_is_refused_is_documented(stack: Stack, till_of: Callable[[str], Till]) -> None:
    member = await wealthy_member(stack)
    refused = [
        ("restaurant", [points_leg(9_000)], "points_insufficient"),
        ("restaurant", [points_leg(100), points_leg(4_901)], "points_insufficient"),
        ("restaurant", [{"kind": "stored_value", "amount_minor": 20_001}], "stored_value_insufficient"),
        ("restaurant", [{"kind": "stored_value", "amount_minor": 25_801}], "stored_value_insufficient"),
        ("restaurant", [{"kind": "benefit", "benefit_id": "spa-30"}], "leg_not_allowed_here"),
        ("restaurant", [{"kind": "benefit", "benefit_id": "no-such"}], "benefit_unknown"),
        ("restaurant", [{"kind": "benefit", "benefit_id": "parking-hours"}], "leg_not_allowed_here"),
        ("hotel", [{"kind": "benefit", "benefit_id": "room-upgrade"}], "benefit_exhausted"),
        ("spa", [{"kind": "benefit", "benefit_id": "spa-30"}, points_leg(5)], "not_stackable"),
    ]
    for business, legs, code in refused:
        problem = await till_of(business).verify(member, status=409, bill=BILL, legs=legs)
        assert problem["code"] == code, problem
    small = {**BILL, "amount_minor": 500, "lines": []}
    too_much = await till_of("hotel").verify(member, status=409, bill=small, legs=[points_leg(501)])
    assert too_much["code"] == "exceeds_bill"
    below = await till_of("spa").verify(
        member, status=409, bill=small, legs=[{"kind": "benefit", "benefit_id": "spa-30"}]
    )
    assert below["code"] == "bill_below_minimum"
    await till_of("hotel").verify(member, bill=BILL, legs=[points_leg(10)])
    again = await till_of("hotel").verify(member, status=409, bill=BILL, legs=[points_leg(10)])
    assert again["code"] == "possible_duplicate"
    await till_of("hotel").verify(member, bill=BILL, legs=[points_leg(10)], confirm_duplicate=True)


async def test_what_may_be_used_is_told_as_documented(
    stack: Stack, tong: TongClient, till_of: Callable[[str], Till]
) -> None:
    till = till_of("restaurant")
    member = await wealthy_member(stack)
    code = await tong.code(member)
    prepared = await till.post("/v1/prepare", {"code": code, "bill": BILL}, status=200)
    assert {each["benefit_id"]: each["usable"] for each in prepared["benefits"]} == {
        "dining-80": True,
        "spa-30": False,
    }
    assert len(prepared["best"]["legs"]) == 2
    await till.post("/v1/prepare", {"code": code}, status=200)
    await till.post("/v1/verify", {"code": code, "bill": BILL, "legs": prepared["best"]["legs"]}, key="p-1", status=201)
    for body, status in (
        ({"code": code, "bill": BILL}, 409),
        ({"code": "hello"}, 409),
        ({"code": stack.aged_code(member, 60).code}, 409),
        ({"code": code, "bill": {**BILL, "currency": "USD"}}, 400),
        (b"x" * 17_000, 413),
        (None, 415),
    ):
        await till.post("/v1/prepare", body, status=status)


async def test_the_life_of_a_redemption_is_answered_as_documented(
    stack: Stack, tong: TongClient, till_of: Callable[[str], Till]
) -> None:
    till = till_of("restaurant")
    member = await wealthy_member(stack)
    dinner = (await till.verify(member, bill=BILL, legs=DINNER))["redemption_id"]
    key = fresh_key()
    for _ in range(2):
        part = await till.step(dinner, "refund", [points_leg(100)], key=key)
        assert part["status"] == "partially_refunded"
    assert (await till.step(dinner, "refund", [points_leg(200)], key=key, status=422))["retry"] == "new_key"
    for _ in range(2):
        too_much = await till.step(dinner, "refund", [points_leg(501)], key="r-2", status=409)
        assert (too_much["asked"], too_much["available"]) == (501, 500)
    assert (await till.step(dinner, "refund"))["status"] == "refunded"
    assert (await till.step(dinner, "refund", status=409))["code"] == "already_refunded"
    assert (await till.step(dinner, "refund", key="no key", status=400))["code"] == "idempotency_key_missing"

    async def hold(**body: Any) -> str:
        held = await till.verify(member, bill=BILL, legs=DINNER, capture=False, confirm_duplicate=True, **body)
        assert held["status"] == "held"
        return str(held["redemption_id"])

    held = await hold()
    assert (await till.get(f"/v1/redemptions/{held}", REDEMPTION)).json()["status"] == "held"
    assert (await till.step(held, "capture", [points_leg(601)], status=409))["code"] == "exceeds_hold"
    assert (await till.step(held, "refund", status=409))["code"] == "exceeds_redemption"
    assert (await till.step(held, "capture", [points_leg(250)]))["bill"]["discount_minor"] == 250
    assert (await till.step(held, "capture", status=409))["code"] == "already_captured"
    with_bill = await till.post(
        f"/v1/redemptions/{await hold()}/capture",
        {"bill": {**BILL, "amount_minor": 30_000}},
        template=f"{REDEMPTION}/capture",
        status=200,
    )
    assert with_bill["bill"]["payable_minor"] == 30_000 - with_bill["bill"]["discount_minor"]
    assert (await till.step(held, "void", status=409))["code"] == "already_captured"
    held = await hold()
    assert (await till.step(held, "void", key=fresh_key()))["status"] == "voided"
    for verb in ("capture", "void", "refund"):
        assert (await till.step(held, verb, status=409))["code"] == "already_voided"
    assert (await till.post("/v1/cancel", {"redemption_id": held}, status=200))["redemption"]["status"] == "voided"
    held = await hold(hold_seconds=1)

    async def expired() -> bool:
        return bool((await till.get(f"/v1/redemptions/{held}", REDEMPTION)).json()["status"] == "expired")

    await wait_until("the hold has expired", expired)
    for verb in ("capture", "void", "refund"):
        assert (await till.step(held, verb, status=410))["code"] == "hold_expired"
    for verb in ("capture", "void", "refund"):
        await till_of("mall").step(held, verb, status=404)
        await till.step(held, verb, [points_leg(0)], status=400)
    listed: Operation = ("GET", "/v1/redemptions")

    async def in_the_ledger() -> bool:
        found = (await till.get(listed[1], listed[1], bill_reference="DOC-1")).json()["redemptions"]
        return dinner in {each["redemption_id"] for each in found}

    await wait_until("it is in the ledger", in_the_ledger)
    nothing: dict[str, Any] = {"redemptions": [], "next_cursor": None}
    assert (await till.get(listed[1], listed[1], bill_reference="none")).json() == nothing
    assert (await till.get(listed[1], listed[1], status="open")).status_code == 400


async def test_a_cancel_is_answered_as_documented(
    stack: Stack, tong: TongClient, till_of: Callable[[str], Till]
) -> None:
    till = till_of("restaurant")
    member = await wealthy_member(stack)
    code, key = await tong.code(member), fresh_key()
    body = {"code": code, "bill": BILL, "legs": DINNER}
    await till.post("/v1/verify", body, key=key, status=201)
    by_key = {"idempotency_key": key, "code": code}
    for _ in range(2):
        cancelled = await till.post("/v1/cancel", by_key, status=200)
        assert (cancelled["effect"], cancelled["redemption"]["status"]) == ("reversed", "reversed")
    redemption_id = cancelled["redemption"]["redemption_id"]
    assert (await till.post("/v1/verify", body, key=key, status=409))["code"] == "cancelled"
    assert (await till.step(redemption_id, "refund", status=409))["code"] == "cancelled"
    await till.post("/v1/cancel", {"redemption_id": redemption_id}, status=200)
    late = {"idempotency_key": fresh_key(), "code": await tong.code(member)}
    assert (await till.post("/v1/cancel", late, status=200)) == {"effect": "tombstoned", "redemption": None}
    for refused, status in (
        ({"redemption_id": "rdm_000000000000000000"}, 404),
        ({}, 400),
        ({**by_key, "idempotency_key": "no key"}, 400),
        ({"idempotency_key": fresh_key(), "code": "hello"}, 409),
    ):
        await till.post("/v1/cancel", refused, status=status)


async def test_earning_is_answered_as_documented(
    stack: Stack, tong: TongClient, till_of: Callable[[str], Till]
) -> None:
    till, path, reverse = till_of("mall"), "/v1/accruals", "/v1/accruals/{accrual_id}/reverse"
    member = await wealthy_member(stack)
    await tong.seen(stack.terminals["restaurant"], member)
    purchase = {"member_id": member.member_id, "bill": {**BILL, "reference": fresh_key()}}
    await till_of("restaurant").post(path, purchase, key="a-1", status=201)
    bill = {**BILL, "reference": fresh_key()}
    body = {"code": await tong.code(member), "bill": bill}
    key = fresh_key()
    for _ in range(2):
        earned = await till.post(path, body, key=key, status=201)
        assert earned["crossing_bonus"] is True
    for refused, status in (
        ({"bill": BILL}, 400),
        ({"code": "hello", "bill": BILL}, 409),
        (body, 409),
        ({"member_id": "mem_zzzzzzz", "bill": BILL}, 400),
        ({"member_id": member_id(99_999_997), "bill": BILL}, 404),
        ({"code": await tong.code(member), "bill": {**BILL, "reference": "HUGE", "amount_minor": 10**12}}, 409),
        ({"code": await tong.code(member), "bill": bill, "confirm_duplicate": True}, 409),
    ):
        await till.post(path, refused, key=fresh_key(), status=status)
    await till.post(path, {**body, "bill": {**bill, "amount_minor": 99_999}}, key=key, status=422)
    await till.post(path, body, status=400)
    undo = f"/v1/accruals/{earned['accrual_id']}/reverse"
    key = fresh_key()
    for _ in range(2):
        undone = await till.post(undo, None, key=key, template=reverse, status=200)
        assert undone["points_taken_back"] == earned["points"]
    assert (await till.post(undo, None, template=reverse, status=409))["code"] == "already_refunded"
    await till_of("hotel").post(undo, None, template=reverse, status=404)


@pytest.mark.parametrize(
    "example", [name for call in OPERATIONS if call.path == "/v1/verify" for name in call.request_examples]
)
async def test_the_bodies_shown_for_verify_are_applied_with_a_live_code(
    stack: Stack, tong: TongClient, generated: dict[str, Any], example: str
) -> None:
    call = next(call for call in OPERATIONS if call.path == "/v1/verify")
    member = await wealthy_member(stack)
    body = {**call.request_examples[example], "code": (await tong.codes(member))[0].digits}
    answer = await tong.verify(stack.terminals["hotel"], body, fresh_key())
    assert answer.status_code == 201, answer.text
    check_answer(generated, ("POST", "/v1/verify"), answer)


async def test_the_bodies_shown_for_the_steps_are_taken_by_what_verify_shows(
    stack: Stack, tong: TongClient, till_of: Callable[[str], Till]
) -> None:
    bodies = {call.path: call.request_examples for call in OPERATIONS if call.request is not None}
    till = till_of("restaurant")
    member = await wealthy_member(stack)
    for verb, capture in (("refund", True), ("capture", False)):
        basket = bodies["/v1/verify"]["points, a benefit and stored value"]
        body = {**basket, "code": await tong.code(member), "capture": capture, "confirm_duplicate": True}
        taken = await till.post("/v1/verify", body, key=fresh_key(), status=201)
        await till.step(taken["redemption_id"], verb, bodies[f"{REDEMPTION}/{verb}"]["a part"]["legs"], key=fresh_key())
    prepare = {**bodies["/v1/prepare"]["for a bill"], "code": await tong.code(member)}
    await till.post("/v1/prepare", prepare, status=200)
    accrue = {**bodies["/v1/accruals"]["by code"], "code": await tong.code(member)}
    await till.post("/v1/accruals", accrue, key=fresh_key(), status=201)
