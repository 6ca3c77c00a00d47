"""The redemption engine through HTTP, field by field as the interface has it: baskets, holds and their ends, refunds,
cancels, what prepare offers, what purchases earn, and rules that change while tills are at work."""

import os
import signal
import time

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.engine.http import (
    DINNER,
    Environment,
    benefit,
    moment,
    month,
    open_environment,
    points,
    stored,
    unbalanced,
)
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until
from tokens.claims import CODE_LIFETIME_SECONDS


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


async def lots(environment: Environment, member: Member) -> list[tuple[str, int]]:
    return [(lot["issuer"], lot["points"]) for lot in (await environment.tong.me(member))["lots"]]


ALL_LOTS = [("eng-shop", 600), ("eng-other", 1_400), ("hotel", 3_000)]


async def test_a_basket_of_every_instrument_is_taken_in_one_scan_and_told_field_by_field(
    environment: Environment,
) -> None:
    member = await environment.member()
    told = await environment.taken(member, stored(5_000), points(2_000), benefit("eng-percent"))
    assert set(told) == {
        *("redemption_id", "status", "created_at", "hold_expires_at", "member", "legs", "bill", "balance"),
    }
    assert (told["status"], told["hold_expires_at"]) == ("captured", None)
    assert abs(moment(told["created_at"]) - time.time()) < 10
    assert told["member"] == {"member_id": member.member_id, "tier": "gold", "display_name": "測****"}
    money, taken, dinner = told["legs"]
    assert (money["kind"], money["amount_minor"], money["value_minor"]) == ("stored_value", 5_000, 5_000)
    assert money["lots"] == [{"issuer": "eng-shop", "amount_minor": 5_000, "expires_month": None}]
    assert (taken["kind"], taken["points"], taken["value_minor"]) == ("points", 2_000, 2_000)
    assert taken["lots"] == [
        {"issuer": "eng-shop", "points": 600, "expires_month": month(1)},
        {"issuer": "eng-other", "points": 1_400, "expires_month": month(3)},
    ]
    assert (dinner["kind"], dinner["benefit_id"], dinner["uses"]) == ("benefit", "eng-percent", 1)
    assert dinner["value_minor"] == 5_000, "20 % of 258.00 would be 51.60; at most 50.00"
    assert dinner["lots"] == [{"issuer": "eng-shop", "uses": 1, "expires_month": month(2)}]
    bill = told["bill"]
    assert (bill["amount_minor"], bill["discount_minor"], bill["payable_minor"]) == (25_800, 12_000, 13_800)
    assert told["balance"] == {"points": 3_000, "points_held": 0, "stored_value_minor": 45_000}
    me = await environment.tong.me(member)
    assert me["balance"]["stored_value"] == [{"currency": "CNY", "amount_minor": 45_000}]
    assert await lots(environment, member) == [("hotel", 3_000)]
    uses = (await environment.benefits(member))["eng-percent"]
    assert (uses["remaining_uses"], uses["used_today"], uses["used_this_month"]) == (4, 1, 1)
    assert await unbalanced(environment, member) == []


async def test_the_order_of_the_legs_changes_nothing_of_the_values(environment: Environment) -> None:
    legs = [points(1_000), benefit("eng-percent"), benefit("eng-plain", 2), stored(3_000)]
    found = []
    for order in (legs, legs[::-1], [legs[2], legs[0], legs[3], legs[1]]):
        told = await environment.taken(await environment.member(), *order)
        values = {(leg["kind"], leg.get("benefit_id")): leg["value_minor"] for leg in told["legs"]}
        found.append((values, told["bill"]["payable_minor"]))
    assert found[0] == found[1] == found[2]
    assert found[0][1] == 25_800 - 5_000 - 2_000 - 1_000 - 3_000


async def test_a_hold_is_taken_out_of_the_lots_and_says_until_when(environment: Environment) -> None:
    member = await environment.member()
    told = await environment.held(member, points(700), benefit("eng-plain"), stored(800), hold_seconds=120)
    assert told["status"] == "held"
    assert moment(told["hold_expires_at"]) - moment(told["created_at"]) == pytest.approx(120, abs=0.002)
    assert told["balance"] == {"points": 4_300, "points_held": 700, "stored_value_minor": 49_200}
    assert told["bill"]["payable_minor"] == 25_800 - 700 - 1_000 - 800
    me = await environment.tong.me(member)
    assert (me["balance"]["points"], me["balance"]["points_held"]) == (4_300, 700)
    shown = await environment.shown(told)
    assert (shown["status"], shown["hold_expires_at"]) == ("held", told["hold_expires_at"])
    assert [leg["captured_points"] for leg in shown["legs"] if leg["kind"] == "points"] == [0]
    default = await environment.taken(member, points(1), capture=False)
    assert moment(default["hold_expires_at"]) - moment(default["created_at"]) == pytest.approx(900, abs=0.002)


async def test_a_hold_is_captured_whole(environment: Environment) -> None:
    member = await environment.member()
    held = await environment.held(member, points(700), benefit("eng-plain"), stored(800))
    answer = await environment.step(held, "capture")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["hold_expires_at"], told["created_at"]) == ("captured", None, held["created_at"])
    assert told["legs"][0]["captured_points"] == 700
    assert told["legs"][1]["captured_uses"] == 1
    assert told["legs"][2]["captured_amount_minor"] == 800
    assert told["bill"]["payable_minor"] == held["bill"]["payable_minor"]
    assert told["balance"] == {"points": 4_300, "points_held": 0, "stored_value_minor": 49_200}
    assert {**(await environment.shown(held)), "balance": told["balance"]} == told
    assert await unbalanced(environment, member) == []


async def test_a_partial_capture_releases_the_rest_to_its_lots(environment: Environment) -> None:
    member = await environment.member()
    held = await environment.held(member, points(2_100), benefit("eng-day", 2), stored(900))
    body = {"legs": [points(650), benefit("eng-day")], "bill": {**DINNER, "amount_minor": 26_800}}
    answer = await environment.step(held, "capture", body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "captured"
    assert told["legs"][0]["captured_points"] == 650
    assert told["legs"][1]["captured_uses"] == 1
    assert told["legs"][2]["captured_amount_minor"] == 0
    assert told["balance"] == {"points": 4_350, "points_held": 0, "stored_value_minor": 50_000}
    assert await lots(environment, member) == [("eng-other", 1_350), ("hotel", 3_000)], "first to expire stays taken"
    uses = (await environment.benefits(member))["eng-day"]
    assert (uses["remaining_uses"], uses["used_today"]) == (4, 1), "the released use counts towards no cap"
    assert await unbalanced(environment, member) == []


async def test_a_void_gives_everything_back(environment: Environment) -> None:
    member = await environment.member()
    before = await environment.holdings(member)
    held = await environment.held(member, points(2_100), benefit("eng-day", 2), stored(900))
    answer = await environment.step(held, "void")
    assert (answer.status_code, answer.json()["status"]) == (200, "voided"), answer.text
    assert answer.json()["bill"]["payable_minor"] == 25_800
    assert answer.json()["balance"] == {"points": 5_000, "points_held": 0, "stored_value_minor": 50_000}
    assert await environment.holdings(member) == before
    assert (await environment.benefits(member))["eng-day"]["used_today"] == 0
    assert await unbalanced(environment, member) == []


async def test_a_refund_by_leg_goes_back_to_the_lots_it_came_from(environment: Environment) -> None:
    member = await environment.member()
    before = await environment.holdings(member)
    taken = await environment.taken(member, points(2_100), benefit("eng-day", 2), stored(900))
    assert await lots(environment, member) == [("hotel", 2_900)]
    first = (await environment.step(taken, "refund", {"legs": [points(150)]})).json()
    assert first["status"] == "partially_refunded"
    assert (first["legs"][0]["captured_points"], first["legs"][0]["refunded_points"]) == (2_100, 150)
    assert await lots(environment, member) == [("eng-other", 50), ("hotel", 3_000)], (
        "the last to expire comes back first"
    )
    second = (await environment.step(taken, "refund", {"legs": [stored(400), benefit("eng-day")]})).json()
    assert second["legs"][2]["refunded_amount_minor"] == 400
    assert second["balance"] == {"points": 3_050, "points_held": 0, "stored_value_minor": 49_500}
    assert second["bill"]["payable_minor"] == 25_800 - 1_950 - 500 - 500
    uses = (await environment.benefits(member))["eng-day"]
    assert (uses["remaining_uses"], uses["used_today"]) == (4, 1)
    rest = (await environment.step(taken, "refund")).json()
    assert (rest["status"], rest["bill"]["payable_minor"]) == ("refunded", 25_800)
    assert await environment.holdings(member) == before
    assert await lots(environment, member) == ALL_LOTS
    assert await unbalanced(environment, member) == []


@pytest.mark.parametrize("step", ["capture", "void", "refund"])
async def test_a_step_repeated_with_its_key_is_answered_with_the_same_bytes(
    environment: Environment, step: str
) -> None:
    member = await environment.member()
    made = await (environment.taken(member, points(900)) if step == "refund" else environment.held(member, points(900)))
    body = None if step == "void" else {"legs": [points(400)]}
    key = fresh_key()
    first = await environment.step(made, step, body, key)
    assert first.status_code == 200, first.text
    assert "idempotency-replayed" not in first.headers
    if step != "void":
        assert (await environment.step(made, "refund", {"legs": [points(100)]})).status_code == 200
    async with nothing_changes(environment.stack, member):
        again = await environment.step(made, step, body, key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        other = await environment.step(made, step, {} if body else b'{"legs": []}', key)
        assert other.status_code in {422, 400}, other.text


async def test_a_step_refused_under_a_key_stays_refused_under_it(environment: Environment) -> None:
    member = await environment.member()
    held = await environment.held(member, points(900))
    key = fresh_key()
    first = await environment.step(held, "capture", {"legs": [points(901)]}, key)
    assert (first.status_code, first.json()["code"]) == (409, "exceeds_hold")
    async with nothing_changes(environment.stack, member):
        again = await environment.step(held, "capture", {"legs": [points(901)]}, key)
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_the_answer_of_verify_is_repeated_to_the_byte_after_capture_and_refund(environment: Environment) -> None:
    member = await environment.member()
    body, key = environment.basket(member, points(900), stored(300), capture=False, hold_seconds=60), fresh_key()
    first = await environment.call("/v1/verify", body, key)
    assert first.status_code == 201, first.text
    for step, legs in (("capture", [points(500), stored(300)]), ("refund", [points(200)]), ("refund", None)):
        answer = await environment.step(first.json(), step, {"legs": legs} if legs else None)
        assert answer.status_code == 200, answer.text
        async with nothing_changes(environment.stack, member):
            again = await environment.call("/v1/verify", body, key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
    assert (await environment.shown(first.json()))["status"] == "refunded"


async def test_a_hold_nobody_ends_is_expired_by_the_sweeper(environment: Environment) -> None:
    member = await environment.member()
    before = await environment.holdings(member)
    held = await environment.held(member, points(2_100), benefit("eng-day", 2), stored(900), hold_seconds=1)

    async def expired() -> bool:
        return bool((await environment.shown(held))["status"] == "expired")

    await wait_until("the sweeper ends the hold", expired, seconds=8)
    shown = await environment.shown(held)
    assert (shown["hold_expires_at"], shown["bill"]["payable_minor"]) == (None, 25_800)
    assert time.time() - moment(held["hold_expires_at"]) < 5
    assert await environment.holdings(member) == before
    assert (await environment.tong.me(member))["balance"]["points_held"] == 0
    assert (await environment.benefits(member))["eng-day"]["used_today"] == 0
    assert await unbalanced(environment, member) == []


@pytest.mark.parametrize("step", ["capture", "void"])
async def test_a_hold_over_its_time_is_expired_by_the_next_call_when_no_sweeper_runs(
    environment: Environment, step: str
) -> None:
    member = await environment.member()
    sweeper = environment.stack.pid("ledger_writer")
    os.kill(sweeper, signal.SIGSTOP)
    try:
        held = await environment.held(member, points(700), hold_seconds=1)
        end = moment(held["hold_expires_at"])
        await wait_until("the hold's time has run out", lambda: time.time() > end + 0.01)
        assert (await environment.shown(held))["status"] == "held", "control: nobody swept"
        answer = await environment.step(held, step)
        assert (answer.status_code, answer.json()["code"]) == (410, "hold_expired")
        assert (await environment.shown(held))["status"] == "expired"
        assert await lots(environment, member) == ALL_LOTS
    finally:
        os.kill(sweeper, signal.SIGCONT)
    assert await unbalanced(environment, member) == []


async def test_cancel_by_id_reverses_and_repeating_it_is_safe(environment: Environment) -> None:
    member = await environment.member()
    before = await environment.holdings(member)
    for capture in (True, False):
        made = await environment.taken(
            member, points(800), benefit("eng-plain"), stored(100), capture=capture, confirm_duplicate=True
        )
        answer = await environment.call("/v1/cancel", {"redemption_id": made["redemption_id"]})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["effect"], told["redemption"]["status"]) == ("reversed", "reversed")
        assert told["redemption"]["balance"] == {"points": 5_000, "points_held": 0, "stored_value_minor": 50_000}
        assert await environment.holdings(member) == before
        async with nothing_changes(environment.stack, member):
            assert (await environment.call("/v1/cancel", {"redemption_id": made["redemption_id"]})).json() == told
    assert await unbalanced(environment, member) == []


async def test_cancel_by_key_reverses_what_was_applied_and_the_key_is_cancelled_for_ever(
    environment: Environment,
) -> None:
    member = await environment.member()
    body, key = environment.basket(member, points(800)), fresh_key()
    assert (await environment.call("/v1/verify", body, key)).status_code == 201
    for _ in range(2):
        answer = await environment.call("/v1/cancel", {"idempotency_key": key, "code": body["code"]})
        assert (answer.status_code, answer.json()["effect"]) == (200, "reversed"), answer.text
    assert await lots(environment, member) == ALL_LOTS
    late = await environment.call("/v1/verify", body, key)
    assert (late.status_code, late.json()["code"]) == (409, "cancelled")


async def test_cancel_of_a_key_that_never_arrived_refuses_the_late_original(environment: Environment) -> None:
    member = await environment.member()
    body, key = environment.basket(member, points(800)), fresh_key()
    async with nothing_changes(environment.stack, member):
        for _ in range(2):
            answer = await environment.call("/v1/cancel", {"idempotency_key": key, "code": body["code"]})
            assert (answer.status_code, answer.json()) == (200, {"effect": "tombstoned", "redemption": None})
        for late in (body, {**body, "code": environment.code(member)}):
            refused = await environment.call("/v1/verify", late, key)
            assert (refused.status_code, refused.json()["code"]) == (409, "cancelled")
    assert (await environment.call("/v1/verify", body, fresh_key())).status_code == 201, "the code itself is still good"


async def test_cancel_takes_a_code_that_has_expired_meanwhile(environment: Environment) -> None:
    member = await environment.member()
    code = environment.code(member, age_seconds=CODE_LIFETIME_SECONDS * 4)
    answer = await environment.call("/v1/cancel", {"idempotency_key": fresh_key(), "code": code})
    assert (answer.status_code, answer.json()["effect"]) == (200, "tombstoned")


async def test_cancel_after_a_partial_refund_gives_back_only_the_rest(environment: Environment) -> None:
    member = await environment.member()
    taken = await environment.taken(member, points(800), stored(500))
    assert (await environment.step(taken, "refund", {"legs": [points(300)]})).status_code == 200
    answer = await environment.call("/v1/cancel", {"redemption_id": taken["redemption_id"]})
    assert answer.json()["effect"] == "reversed"
    assert await lots(environment, member) == ALL_LOTS
    assert await unbalanced(environment, member) == []
