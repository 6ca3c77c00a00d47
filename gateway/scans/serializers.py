"""Domain values as JSON: one rendering for the answer of verify and its repeats, one for every later view of a
redemption."""

from functools import lru_cache
from typing import Any, Final

import orjson

from redemption.accruals import Reversed
from redemption.domain.clock import instant
from redemption.domain.contexts import bill_document, leg_document
from redemption.domain.records import LINES_BEFORE_HOLD, LINES_OF_AN_ANSWER
from redemption.domain.records import VERSION as RECORD_VERSION
from redemption.domain.redemptions import UNIT, Accrual, Part, Redemption, Scanned
from redemption.memberships import Lot, MemberState

_NOTHING_TAKEN: Final = frozenset({"voided", "expired", "reversed", "refunded"})


def month(yyyymm: int | None) -> str | None:
    """202711 is 2027-11; None never ends."""
    return None if yyyymm is None else f"{yyyymm // 100:04d}-{yyyymm % 100:02d}"


def scan_body(scanned: Scanned) -> bytes:
    """Return the body of verify, the first time and every time after: from the lines of the record that never change.

    Written for speed, without the values in between that later views use; measured by `python -m tests.measure_path`.
    Raises ValueError on a record that this version cannot read.
    """
    lines = scanned.record.decode().split("\n", LINES_OF_AN_ANSWER)
    version, _, at, member_id, tier, name, _, balance, taken, basket = lines[:LINES_BEFORE_HOLD]
    if version != RECORD_VERSION:
        raise ValueError("a redemption record of another version")
    bill, words = orjson.loads(f"[{basket}]")
    legs: list[dict[str, Any]] = [{**leg_document(leg), "lots": []} for leg in words]
    for part in taken.split(";") if taken else ():
        position, _, lot_name, amount = part.split(",")
        leg = legs[int(position)]
        issuer, expires = _lot_words(lot_name)
        leg["lots"].append({"issuer": issuer, UNIT[leg["kind"]]: int(amount), "expires_month": expires})
    told = bill_document(bill)
    if told is not None:
        told["discount_minor"] = discount = sum([leg["value_minor"] for leg in legs])
        told["payable_minor"] = told["amount_minor"] - discount
    hold_until = lines[LINES_BEFORE_HOLD] if len(lines) > LINES_BEFORE_HOLD else ""
    points, held, stored_value = balance.split(",")
    return orjson.dumps(
        {
            "redemption_id": scanned.redemption_id,
            "status": "held" if hold_until else "captured",
            "created_at": instant(int(at)),
            "hold_expires_at": instant(int(hold_until)) if hold_until else None,
            "member": {"member_id": member_id, "tier": tier, "display_name": name},
            "legs": legs,
            "bill": told,
            "balance": {
                "points": int(points),
                "points_held": int(held),
                "stored_value_minor": int(stored_value),
            },
        }
    )


@lru_cache(maxsize=4_096)
def _lot_words(lot_name: str) -> tuple[str, str | None]:
    """Issuer and month of `<yyyymm or ->.<business>`."""
    expires, _, issuer = lot_name.partition(".")
    return issuer, None if expires == "-" else month(int(expires))


def redemption_body(redemption: Redemption) -> bytes:
    """The body of capture, void, refund and of a look-up."""
    return orjson.dumps(redemption_document(redemption))


def redemption_document(redemption: Redemption) -> dict[str, Any]:
    """A redemption as the contract shows it after its scan: beside what verify answered, `captured_…` and `refunded_…`
    of each leg, and its bill tells what is off it now.
    """
    legs = []
    discount = 0
    for index, leg in enumerate(redemption.legs):
        parts = [part for part in redemption.parts if part.leg == index]
        document, value = _leg(leg, parts, redemption)
        legs.append(document)
        discount += value
    bill = redemption.bill
    if bill is not None:
        bill = {**bill, "discount_minor": discount, "payable_minor": bill["amount_minor"] - discount}
    balance = redemption.balance
    hold_until = redemption.hold_until_ms
    return {
        "redemption_id": redemption.redemption_id,
        "status": redemption.status,
        "created_at": instant(redemption.at_ms),
        "hold_expires_at": instant(hold_until) if hold_until is not None and redemption.status == "held" else None,
        "member": {
            "member_id": redemption.member_id,
            "tier": redemption.tier,
            "display_name": redemption.display_name,
        },
        "legs": legs,
        "bill": bill,
        "balance": {
            "points": balance.points,
            "points_held": balance.points_held,
            "stored_value_minor": balance.stored_value_minor,
        },
    }


def _leg(leg: dict[str, Any], parts: list[Part], redemption: Redemption) -> tuple[dict[str, Any], int]:
    """A leg and what it takes off the bill in this view. A part's share of the value is rounded down."""
    unit = UNIT[leg["kind"]]
    document = {**leg, "lots": [_lot_part(part, unit) for part in parts]}
    captured, refunded = sum(part.captured for part in parts), sum(part.refunded for part in parts)
    document[f"captured_{unit}"] = captured
    document[f"refunded_{unit}"] = refunded
    if redemption.status == "held":
        return document, leg["value_minor"]
    if redemption.status in _NOTHING_TAKEN:
        return document, 0
    return document, leg["value_minor"] * (captured - refunded) // leg[unit]


def _lot_part(part: Part, unit: str) -> dict[str, Any]:
    return {"issuer": part.issuer, unit: part.taken, "expires_month": month(part.expires_month)}


def lot(held: Lot) -> dict[str, Any]:
    """A lot of points: whose, how many, and the last month they count in."""
    return {"issuer": held.issuer, "points": held.amount, "expires_month": month(held.expires_month)}


def member_head(member: MemberState) -> dict[str, Any]:
    """Who it is, as a till may see it."""
    return {"member_id": member.member_id, "tier": member.tier, "display_name": member.display_name}


def balance_of(member: MemberState, currency: str) -> dict[str, int]:
    """What a member has to spend."""
    return {
        "points": member.sum_of("points"),
        "points_held": member.points_held,
        "stored_value_minor": member.sum_of(currency),
    }


def accrual_document(accrual: Accrual) -> dict[str, Any]:
    """The answer of `POST /v1/accruals`."""
    return {
        "accrual_id": accrual.accrual_id,
        "status": accrual.status,
        "created_at": instant(accrual.at_ms),
        "member": {
            "member_id": accrual.member_id,
            "tier": accrual.tier,
            "display_name": accrual.display_name,
        },
        "points": accrual.points,
        "points_settled": accrual.settled,
        "crossing_bonus": accrual.crossing,
        "issuer": accrual.business_id,
        "expires_month": month(int(accrual.lot.partition(".")[0])),
        "growth_value": accrual.growth,
        "growth_value_total": accrual.growth_after,
        "bill": accrual.context["bill"],
        "balance": {"points": accrual.balance_points},
    }


def reversed_document(done: Reversed) -> dict[str, Any]:
    """The answer of `POST /v1/accruals/{id}/reverse`."""
    return {
        **accrual_document(done.accrual),
        "status": "reversed",
        "points_taken_back": done.taken_back,
        "points_owed": done.owed,
        "balance": {"points": done.balance_points},
    }
