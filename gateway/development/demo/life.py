"""The further steps of `tong demo`: what a till does in the life of a redemption, at five businesses of the group."""

import secrets
from typing import Any, Final

from gateway.development.demo.tour import (
    BENEFIT,
    Means,
    Tour,
    bill,
    expect,
    fresh_key,
    money,
    points_leg,
    told,
)

DINNER_POINTS: Final = 2_000
DINNER_STORED_MINOR: Final = 5_000
BACK_POINTS: Final = 500
BACK_STORED_MINOR: Final = 1_000
STAY_MINOR: Final = 160_000
STAY_POINTS: Final = 2_000
STAY_USED: Final = 1_200
EXTRA_POINTS: Final = 300
LOST_POINTS: Final = 500
PURCHASE_MINOR: Final = 30_000
CROSSING_PERCENT: Final = 10
HOLD_SECONDS: Final = 2 * 86_400
EARN_PERCENT: Final = {"standard": 100, "silver": 110, "gold": 125, "diamond": 150}
"""Percentages of the demo group (group.yaml)."""


async def prepares_dinner(tour: Tour) -> list[str]:
    code, total = await tour.code(), bill(category="dining")
    found = await tour.ok("POST", "/v1/prepare", tour.till("restaurant"), {"code": code, "bill": total})
    expect(found["member"]["member_id"] == tour.member["member_id"], "the code is another member's")
    expect(found["balance"]["points"] == tour.means.points, f"prepare tells {found['balance']}")
    offers = {each["benefit_id"]: each for each in found["benefits"]}
    dining = offers.get(BENEFIT, {"usable": False})
    expect(dining["usable"], f"{BENEFIT} cannot be used at the restaurant: {dining}")
    best = found["best"]
    expect(best["legs"] != [], "there is no best basket")
    expect(best["saving_minor"] >= dining["value_minor"], f"the best basket saves less than {BENEFIT}: {best}")
    expect(best["bill"]["discount_minor"] == best["saving_minor"], f"the best basket does not add up: {best}")
    await tour.unmoved()
    tour.prepared = {"code": code, "bill": total, "value_minor": dining["value_minor"]}
    legs = " + ".join(each.get("benefit_id") or f"{each['points']} points" for each in best["legs"])
    refused = ", ".join(f"{name} ({each['reason']['code']})" for name, each in offers.items() if not each["usable"])
    return [
        f"the best basket is {legs}: saves {money(best['saving_minor'])} of {money(total['amount_minor'])}",
        f"{BENEFIT} alone saves {money(dining['value_minor'])}; not here or now: {refused or 'nothing'}",
    ]


async def dines(tour: Tour) -> list[str]:
    prepared = tour.prepared
    legs = [
        points_leg(DINNER_POINTS),
        {"kind": "benefit", "benefit_id": BENEFIT},
        {"kind": "stored_value", "amount_minor": DINNER_STORED_MINOR},
    ]
    dinner = await tour.scan("dinner", "restaurant", code=prepared["code"], bill=prepared["bill"], legs=legs)
    expect(dinner["status"] == "captured", f"the dinner is {dinner['status']}")
    values = {leg["kind"]: leg["value_minor"] for leg in dinner["legs"]}
    expect(values["benefit"] == prepared["value_minor"], f"prepare promised {prepared['value_minor']}: {values}")
    total = dinner["bill"]
    expect(total["discount_minor"] == sum(values.values()), f"the legs are not the discount: {dinner}")
    expect(total["payable_minor"] == total["amount_minor"] - total["discount_minor"], f"not the bill: {total}")
    change = await tour.moved(
        dinner["redemption_id"], ("redeem",), points=-DINNER_POINTS, stored_minor=-DINNER_STORED_MINOR, uses=-1
    )
    _expect_balance(dinner, tour.means)
    return [f"201 captured; to pay {money(total['payable_minor'])} of {money(total['amount_minor'])}; {change}"]


async def refunds_a_part(tour: Tour) -> list[str]:
    legs = [points_leg(BACK_POINTS), {"kind": "stored_value", "amount_minor": BACK_STORED_MINOR}]
    found = await tour.step("dinner", "refund", legs)
    expect(found["status"] == "partially_refunded", f"the dinner is {found['status']}")
    refunded = {leg["kind"]: leg for leg in found["legs"]}
    expect(refunded["points"]["refunded_points"] == BACK_POINTS, f"the points leg is {refunded['points']}")
    change = await tour.moved(
        found["redemption_id"], ("redeem", "refund"), points=BACK_POINTS, stored_minor=BACK_STORED_MINOR
    )
    _expect_balance(found, tour.means)
    return [f"200 {found['status']}; {change}"]


async def refunds_the_rest(tour: Tour) -> list[str]:
    found = await tour.step("dinner", "refund")
    expect(found["status"] == "refunded", f"the dinner is {found['status']}")
    expect(found["bill"]["discount_minor"] == 0, f"something is still off the bill: {found['bill']}")
    change = await tour.moved(
        found["redemption_id"],
        ("redeem", "refund", "refund"),
        points=DINNER_POINTS - BACK_POINTS,
        stored_minor=DINNER_STORED_MINOR - BACK_STORED_MINOR,
        uses=1,
    )
    _expect_balance(found, tour.means)
    return [f"200 {found['status']}; {change}"]


async def holds_for_a_stay(tour: Tour) -> list[str]:
    tour.stay = f"STAY-{secrets.token_hex(4)}"
    held = await tour.scan(
        "stay",
        "hotel",
        bill=bill(STAY_MINOR, stay=tour.stay),
        legs=[points_leg(STAY_POINTS)],
        capture=False,
        hold_seconds=HOLD_SECONDS,
    )
    expect(held["status"] == "held" and held["hold_expires_at"] is not None, f"no hold: {held}")
    change = await tour.moved(held["redemption_id"], ("hold",), points=-STAY_POINTS, held=STAY_POINTS)
    _expect_balance(held, tour.means)
    return [f"201 held until {held['hold_expires_at']}; {change}"]


async def charges_an_extra(tour: Tour) -> list[str]:
    extra = await tour.scan("extra", "hotel", bill=bill(stay=tour.stay), legs=[points_leg(EXTRA_POINTS)])
    expect(extra["status"] == "captured", f"the extra is {extra['status']}")
    change = await tour.moved(extra["redemption_id"], ("redeem",), points=-EXTRA_POINTS)
    _expect_balance(extra, tour.means)
    return [f"201 captured beside the hold, {tour.stay}; {change}"]


async def captures_a_part(tour: Tour) -> list[str]:
    found = await tour.step("stay", "capture", [points_leg(STAY_USED)])
    expect(found["status"] == "captured", f"the stay is {found['status']}")
    expect(found["legs"][0]["captured_points"] == STAY_USED, f"the leg is {found['legs'][0]}")
    expect(found["bill"]["discount_minor"] == STAY_USED, f"the bill is {found['bill']}")
    change = await tour.moved(
        found["redemption_id"], ("hold", "capture"), points=STAY_POINTS - STAY_USED, held=-STAY_POINTS
    )
    _expect_balance(found, tour.means)
    return [f"200 {STAY_USED} of {STAY_POINTS} captured, the rest released; {change}"]


async def loses_an_answer(tour: Tour) -> list[str]:
    await tour.scan("lost", "restaurant", bill=bill(category="dining"), legs=[points_leg(LOST_POINTS)])
    sent = tour.sent["lost"]  # the till does not see this answer; later steps compare with it
    again = await tour.verify(sent.business, sent.body, sent.key)
    expect(again.status == 201, f"the retry answers {told(again)}")
    expect(again.headers["Idempotency-Replayed"] == "true", "the retry has no Idempotency-Replayed: true")
    expect(again.body == sent.answer.body, f"the retry's bytes differ: {again.body!r}")
    change = await tour.moved(sent.redemption_id, ("redeem",), points=-LOST_POINTS)
    return [f"201, Idempotency-Replayed: true, the bytes that were lost; taken once: {change}"]


async def cancels_it(tour: Tour) -> list[str]:
    sent = tour.sent["lost"]
    wanted = {"idempotency_key": sent.key, "code": sent.body["code"]}
    for _ in range(2):  # repeating it is safe
        done = await tour.ok("POST", "/v1/cancel", tour.till(sent.business), wanted)
        expect(done["effect"] == "reversed", f"the cancel answers {done}")
        expect(done["redemption"]["status"] == "reversed", f"the redemption is {done['redemption']['status']}")
    change = await tour.moved(sent.redemption_id, ("redeem", "reverse"), points=LOST_POINTS)
    await _expect_cancelled(tour, sent.business, sent.body, sent.key)
    return [f"200 reversed, by key and code; a late retry of the key is refused `cancelled`; {change}"]


async def cancels_before_it_arrives(tour: Tour) -> list[str]:
    tour.late = (
        fresh_key(),
        {"code": await tour.code(), "bill": bill(category="dining"), "legs": [points_leg(LOST_POINTS)]},
    )
    key, body = tour.late
    wanted = {"idempotency_key": key, "code": body["code"]}
    done = await tour.ok("POST", "/v1/cancel", tour.till("restaurant"), wanted)
    expect(done == {"effect": "tombstoned", "redemption": None}, f"the cancel answers {done}")
    return ["200 tombstoned: nothing had arrived, and nothing will be applied"]


async def sends_it_late(tour: Tour) -> list[str]:
    key, body = tour.late
    hint = await _expect_cancelled(tour, "restaurant", body, key)
    await tour.unmoved()
    return [f"409 cancelled, not applied; the cashier reads: {hint}"]


async def earns_at_the_mall(tour: Tour) -> list[str]:
    purchase = {**bill(), "amount_minor": PURCHASE_MINOR}
    # An accrual by id needs an earlier scan at the same outlet.
    await tour.ok("POST", "/v1/prepare", tour.till("restaurant"), {"code": await tour.code()})
    by_id = {"member_id": tour.member["member_id"], "bill": purchase}
    by_code = {"code": await tour.code(), "bill": purchase}
    for business, body in (("restaurant", by_id), ("mall", by_code)):
        headers = {"Idempotency-Key": fresh_key()}
        earned = await tour.ok("POST", "/v1/accruals", tour.till(business), body, headers)
        tour.accruals.append((business, earned))
        kept = earned["points"] - earned["points_settled"]
        expect(earned["points_settled"] == 0, f"the member owed points: {earned}")
        change = await tour.moved(earned["accrual_id"], ("accrue",), points=kept)
    percent = EARN_PERCENT[earned["member"]["tier"]]
    wanted = PURCHASE_MINOR // 100 * percent * (100 + CROSSING_PERCENT) // 100**2
    expect(earned["crossing_bonus"] is True, f"no crossing bonus after the restaurant: {earned}")
    expect(earned["points"] == wanted, f"{earned['points']} points earned, not {wanted}")
    return [
        f"201 {wanted} points for {money(PURCHASE_MINOR)}: level {percent} %, crossing +{CROSSING_PERCENT} % (the "
        f"purchase before was at the restaurant); {change}"
    ]


async def reverses_it(tour: Tour) -> list[str]:
    before = tour.means
    for business, earned in tour.accruals:
        path = f"/v1/accruals/{earned['accrual_id']}/reverse"
        done = await tour.ok("POST", path, tour.till(business), {}, {"Idempotency-Key": fresh_key()})
        found = (done["status"], done["points_taken_back"], done["points_owed"])
        expect(found == ("reversed", earned["points"], 0), f"the reversal answers {done}")
        await tour.moved(earned["accrual_id"], ("accrue", "reverse"), points=-earned["points"])
    return [f"200 reversed, both purchases, nothing is owed; {before.told_to(tour.means)}"]


async def gives_everything_back(tour: Tour) -> list[str]:
    before = tour.means
    taken = {"QR": 100, "Code 128": 100, "extra": EXTRA_POINTS, "stay": STAY_USED}
    for name, points in taken.items():
        sent = tour.sent[name]
        done = await tour.ok("POST", "/v1/cancel", tour.till(sent.business), {"redemption_id": sent.redemption_id})
        expect(done["effect"] == "reversed", f"the cancel answers {done}")
        kinds = ("hold", "capture", "reverse") if name == "stay" else ("redeem", "reverse")
        await tour.moved(sent.redemption_id, kinds, points=points)
    expect(tour.means == tour.opening, f"the tour ends with {tour.means} and began with {tour.opening}")
    return [f"4 cancels by id; the member has what there was at the beginning; {before.told_to(tour.means)}"]


async def _expect_cancelled(tour: Tour, business: str, body: dict[str, Any], key: str) -> str:
    answer = await tour.verify(business, body, key)
    expect(answer.status == 409, f"the cancelled key answers {told(answer)}")
    problem = answer.json()
    found = (problem["code"], problem["outcome"], problem["retry"])
    expect(found == ("cancelled", "not_applied", "never"), f"the cancelled key answers {told(answer)}")
    return str(problem["operator_hint"])


def _expect_balance(redemption: dict[str, Any], means: Means) -> None:
    balance = redemption["balance"]
    found = (balance["points"], balance["points_held"], balance["stored_value_minor"])
    expect(found == means[:3], f"the till got {balance}, the member {means}")
