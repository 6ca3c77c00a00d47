"""Domain values as the JSON of contract.md. One rendering for a first answer, its repeats and every look-up."""

from datetime import UTC, datetime
from typing import Any

import orjson

from redemption.domain.redemptions import LotPart, Redemption


def instant(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-11-22T03:04:05.678Z."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def month(yyyymm: int) -> str:
    """202711 is 2027-11."""
    return f"{yyyymm // 100:04d}-{yyyymm % 100:02d}"


def lot(part: LotPart) -> dict[str, Any]:
    """A part of a lot: whose points, how many, and the last month they count in."""
    return {"issuer": part.issuer, "points": part.points, "expires_month": month(part.expires_month)}


def redemption_body(redemption: Redemption) -> bytes:
    """The body of `POST /v1/verify` and `GET /v1/redemptions/{id}`."""
    context = redemption.context
    legs = [
        {**leg, "lots": [lot(part) for part in redemption.taken.get(index, ())]}
        for index, leg in enumerate(context["legs"])
    ]
    bill = context["bill"]
    if bill is not None:
        discount = sum(leg["value_minor"] for leg in legs)
        bill = {**bill, "discount_minor": discount, "payable_minor": bill["amount_minor"] - discount}
    balance = redemption.balance
    return orjson.dumps(
        {
            "redemption_id": redemption.redemption_id,
            "status": redemption.status,
            "created_at": instant(redemption.at_ms),
            "hold_expires_at": None,
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
    )
