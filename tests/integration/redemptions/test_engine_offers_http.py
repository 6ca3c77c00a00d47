"""What prepare offers, what purchases earn, look-ups by bill, and rules that change while tills are at work."""

import json
import time
from collections.abc import Callable

import httpx2
import pytest

from tests.support.api.client import TongClient, client_of, fresh_key
from tests.support.engine.http import (
    DINNER,
    Environment,
    Json,
    benefit,
    moment,
    month,
    open_environment,
    points,
    unbalanced,
)
from tests.support.engine.untouched import nothing_changes
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


PREPARED: list[tuple[str, Json | None]] = [
    ("eng-shop", DINNER),
    ("eng-shop", {**DINNER, "amount_minor": 1_234, "lines": []}),
    ("eng-few", DINNER),
    ("eng-strict", {**DINNER, "amount_minor": 7, "lines": []}),
    ("eng-other", {**DINNER, "amount_minor": 900_000, "lines": [{"category": "dining", "amount_minor": 19_999}]}),
]


@pytest.mark.parametrize(("business", "bill"), PREPARED)
async def test_what_prepare_calls_the_best_basket_is_granted_by_verify(
    environment: Environment, business: str, bill: Json
) -> None:
    member, terminal = await environment.member(), environment.terminals[business]
    code = environment.code(member)
    async with nothing_changes(environment.stack, member):
        answer = await environment.call("/v1/prepare", {"code": code, "bill": bill}, terminal=terminal)
        again = await environment.call("/v1/prepare", {"code": code, "bill": bill}, terminal=terminal)
    assert answer.status_code == 200, answer.text
    assert again.content == answer.content
    told = answer.json()
    assert set(told) == {"member", "balance", "points", "stored_value", "benefits", "best", "proposed", "basket"}
    assert told["member"] == {"member_id": member.member_id, "tier": "gold", "display_name": "測****"}
    assert told["balance"] == {"points": 5_000, "points_held": 0, "stored_value_minor": 50_000}
    best = told["best"]
    body = {"code": code, "bill": bill, "legs": best["legs"]}
    taken = await environment.call("/v1/verify", body, fresh_key(), terminal=terminal)
    assert taken.status_code == 201, (best, taken.text)
    granted = taken.json()["bill"]
    assert {name: granted[name] for name in best["bill"]} == best["bill"]
    assert granted["discount_minor"] == best["saving_minor"]


async def test_prepare_tells_of_each_benefit_what_it_is_worth_or_why_not(environment: Environment) -> None:
    member = await environment.member()
    terminal = environment.shop
    bill = {**DINNER, "stay": "room 8"}
    told = (await environment.call("/v1/prepare", {"code": environment.code(member), "bill": bill})).json()
    assert told["points"]["maximum"] == 5_000
    assert told["stored_value"] == {"maximum_minor": 25_800}
    found = {entry["benefit_id"]: entry for entry in told["benefits"]}
    assert {name for name in found if not name.startswith("eng-")} == set()
    assert (found["eng-percent"]["usable"], found["eng-percent"]["value_minor"]) == (True, 5_000)
    percent = found["eng-percent"]
    assert (percent["remaining_uses"], percent["remaining_uses_today"], percent["reason"]) == (5, 3, None)
    assert percent["max_uses_here"] == 1, "a percentage is used once"
    assert found["eng-plain"]["max_uses_here"] == 5
    assert "points" in found["eng-alone"]["excludes"]
    assert found["eng-left"]["excludes"] == ["eng-alone", "eng-right"]
    assert found["eng-stay"]["usable"]
    reasons = {name: entry["reason"]["code"] for name, entry in found.items() if entry["reason"]}
    assert reasons == {
        "eng-past": "benefit_not_now",
        "eng-diamond": "tier_too_low",
        "eng-big-bill": "bill_below_minimum",
        "eng-elsewhere": "leg_not_allowed_here",
    }
    for name, reason in reasons.items():
        answer = await environment.verify(member, benefit(name), bill=bill, terminal=terminal)
        assert answer.json()["code"] == reason, "verify says the same"
    for name, entry in found.items():
        if entry["usable"]:
            taken = await environment.taken(await environment.member(), benefit(name), bill=bill)
            assert taken["legs"][0]["value_minor"] == entry["value_minor"], name


async def test_a_purchase_earns_by_category_tier_and_way_and_is_told_field_by_field(environment: Environment) -> None:
    (member,) = await environment.members(1, points=[])
    bill = {
        "reference": "POS-9-1",
        "amount_minor": 10_150,
        "currency": "CNY",
        "lines": [{"category": "groceries", "amount_minor": 4_000}],
    }
    body, key = {"code": environment.code(member), "bill": bill}, fresh_key()
    first = await environment.call("/v1/accruals", body, key)
    assert first.status_code == 201, first.text
    told = first.json()
    assert told["accrual_id"].startswith("acr_")
    assert abs(moment(told["created_at"]) - time.time()) < 10
    assert told["member"] == {"member_id": member.member_id, "tier": "gold", "display_name": "測****"}
    assert (told["status"], told["issuer"], told["crossing_bonus"]) == ("accrued", "eng-shop", False)
    assert told["points"] == (2_000 + 6_150) * 125 // 10_000, "groceries at half, gold at 125 %, rounded down once"
    assert (told["growth_value"], told["growth_value_total"]) == (81, 81)
    assert (told["points_settled"], told["expires_month"]) == (0, month(12))
    assert told["bill"] == {"reference": "POS-9-1", "amount_minor": 10_150, "currency": "CNY"}
    assert told["balance"] == {"points": 101}
    async with nothing_changes(environment.stack, member):
        again = await environment.call("/v1/accruals", body, key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        used = await environment.call("/v1/accruals", body, fresh_key())
        assert (used.status_code, used.json()["code"]) == (409, "code_used")
        scan = await environment.call("/v1/verify", {"code": body["code"]}, fresh_key())
        assert scan.json()["code"] == "code_used"
    await environment.seen(member, environment.other)
    crossed = await environment.call(
        "/v1/accruals",
        {"member_id": member.member_id, "bill": {**bill, "lines": []}},
        fresh_key(),
        terminal=environment.other,
    )
    told = crossed.json()
    assert (told["crossing_bonus"], told["points"]) == (True, 10_150 * 125 * 110 // 2_000_000)
    assert (told["expires_month"], told["growth_value"], told["growth_value_total"]) == (month(3), 50, 131)
    same = await environment.call(
        "/v1/accruals",
        {"member_id": member.member_id, "bill": {**bill, "reference": "POS-9-2"}},
        fresh_key(),
        terminal=environment.other,
    )
    assert same.json()["crossing_bonus"] is False, "the last purchase was here"
    me = await environment.tong.me(member)
    assert me["growth_value"] == same.json()["growth_value_total"]
    assert me["balance"]["points"] == same.json()["balance"]["points"]
    assert await unbalanced(environment, member) == []


@pytest.mark.parametrize(("tier", "earned"), [("standard", 100), ("silver", 110), ("gold", 125), ("diamond", 150)])
async def test_a_higher_level_earns_more(environment: Environment, tier: str, earned: int) -> None:
    (member,) = await environment.members(1, tier, points=[])
    bill = {"reference": f"R-{tier}", "amount_minor": 10_000, "currency": "CNY"}
    await environment.seen(member)
    answer = await environment.call("/v1/accruals", {"member_id": member.member_id, "bill": bill}, fresh_key())
    assert (answer.json()["points"], answer.json()["growth_value"]) == (earned, 100)


async def test_a_reversed_accrual_takes_back_what_is_left_and_the_rest_is_paid_by_the_next(
    environment: Environment,
) -> None:
    (member,) = await environment.members(1, "standard", points=[])
    bill = {"reference": "R-1", "amount_minor": 10_000, "currency": "CNY"}
    await environment.seen(member)

    async def earns() -> Json:
        answer = await environment.call("/v1/accruals", {"member_id": member.member_id, "bill": bill}, fresh_key())
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    earned = await earns()
    await environment.taken(member, points(70))
    path, key = f"/v1/accruals/{earned['accrual_id']}/reverse", fresh_key()
    first = await environment.call(path, key=key)
    assert first.status_code == 200, first.text
    told = first.json()
    assert (told["status"], told["points_taken_back"], told["points_owed"]) == ("reversed", 30, 70)
    assert told["balance"] == {"points": 0}
    assert told["accrual_id"] == earned["accrual_id"]
    me = await environment.tong.me(member)
    assert (me["balance"]["points_owed"], me["growth_value"], me["lots"]) == (70, 0, [])
    async with nothing_changes(environment.stack, member):
        again = await environment.call(path, key=key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        without = await environment.call(path)
        assert (without.status_code, without.json()["code"]) == (409, "already_refunded")
        elsewhere = await environment.call(path, terminal=environment.other)
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "not_found")
    following = await earns()
    assert (following["points"], following["points_settled"], following["balance"]["points"]) == (100, 70, 30)
    assert (await environment.tong.me(member))["balance"]["points_owed"] == 0
    after = (await environment.call(f"/v1/accruals/{following['accrual_id']}/reverse")).json()
    assert (after["points_taken_back"], after["points_owed"]) == (30, 70), "what it had paid is owed again"
    assert await unbalanced(environment, member) == []


async def test_redemptions_of_a_bill_are_listed_to_their_own_business_alone(environment: Environment) -> None:
    member, reference = await environment.member(), f"POS-{fresh_key()}"
    bill = {**DINNER, "reference": reference}
    first = await environment.taken(member, points(100), bill=bill)
    second = await environment.held(member, points(200), bill=bill)
    await environment.taken(member, points(100), bill=bill, terminal=environment.other)
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    found = (await environment.get(f"/v1/redemptions?bill_reference={reference}")).json()["redemptions"]
    assert [(each["redemption_id"], each["status"]) for each in found] == [
        (second["redemption_id"], "held"),
        (first["redemption_id"], "captured"),
    ]
    assert found[0] == {**await environment.shown(second), "outlet_id": environment.shop.outlet}
    elsewhere = await environment.get(
        f"/v1/redemptions?bill_reference={reference}", terminal=environment.terminals["eng-few"]
    )
    assert elsewhere.json() == {"redemptions": [], "next_cursor": None}


CHANGES: list[tuple[str, str, Callable[[httpx2.Response], bool]]] = [
    (
        "a benefit is worth more",
        "UPDATE benefit SET definition = jsonb_set(definition, '{discount,amount_minor}', '450') "
        "WHERE benefit_id = 'eng-changing'",
        lambda answer: answer.status_code == 201 and answer.json()["legs"][0]["value_minor"] == 450,
    ),
    (
        "a benefit is gone",
        "DELETE FROM benefit WHERE benefit_id = 'eng-changing'",
        lambda answer: answer.status_code == 409 and answer.json()["code"] == "benefit_unknown",
    ),
    (
        "a business takes no points",
        "UPDATE business SET rules = jsonb_set(rules, '{points}', '{\"accepted\": false}') "
        "WHERE business_id = 'eng-changing'",
        lambda answer: answer.status_code == 409 and answer.json()["code"] == "leg_not_allowed_here",
    ),
]


async def test_changed_rules_hold_within_a_second_on_every_worker_and_each_decision_names_its_rules(
    environment: Environment,
) -> None:
    (member,) = await environment.members(
        1,
        points=[{"business": "hotel", "points": 100_000, "expires_in_months": 2}],
        benefits=[{"benefit": "eng-changing", "uses": 10_000, "expires_in_months": 2}],
    )
    terminal = environment.terminals["eng-changing"]

    async def scan(http: httpx2.AsyncClient) -> httpx2.Response:
        body = {
            **environment.basket(member, benefit("eng-changing"), points(1), bill=None, confirm_duplicate=True),
        }
        return await environment.call("/v1/verify", body, fresh_key(), terminal=terminal, tong=TongClient(http))

    first = await environment.taken(
        member, benefit("eng-changing"), points(1), bill=None, terminal=terminal, confirm_duplicate=True
    )
    decided = [(first["redemption_id"], 300)]
    for what, change, holds in CHANGES:
        async with client_of(environment.stack) as one, environment.stack.ledger() as ledger:
            await ledger.execute(change)
            changed = time.monotonic()

            async def in_force(one: TongClient = one, holds: Callable[[httpx2.Response], bool] = holds) -> bool:
                return holds(await scan(one.http))

            await wait_until(what, in_force, seconds=1.0)
            assert time.monotonic() - changed < 1.0
        last: dict[int, httpx2.Response] = {}

        async def everywhere(
            http: httpx2.AsyncClient,
            holds: Callable[[httpx2.Response], bool] = holds,
            last: dict[int, httpx2.Response] = last,
        ) -> bool:
            last[0] = await scan(http)
            return holds(last[0])

        await environment.stack.until_every_worker(what, everywhere, seconds=1.0)
        if last[0].status_code == 201:
            decided.append((last[0].json()["redemption_id"], last[0].json()["legs"][0]["value_minor"]))
    code = environment.code(member)
    offers = (await environment.call("/v1/prepare", {"code": code, "bill": DINNER}, terminal=terminal)).json()
    (withdrawn,) = offers["benefits"]
    assert (withdrawn["usable"], withdrawn["reason"]["code"]) == (False, "benefit_unknown"), "held, and withdrawn"
    assert await environment.benefits(member) == {}
    versions = []
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        for identifier, value in decided:
            await until_drained(hot, ledger)
            context = json.loads(
                await ledger.fetchval(
                    "SELECT ledger_context(t) FROM ledger_transaction AS t WHERE subject_id = $1", identifier
                )
            )
            rules = await ledger.fetchval(
                "SELECT definition FROM configuration_history WHERE version = $1", context["rules"]
            )
            assert json.loads(rules)["benefits"]["eng-changing"]["discount"]["amount_minor"] == value
            versions.append(context["rules"])
    assert versions[0] < versions[1]
