"""Examples that several operations share: one evening, one member, one bill.

Guarantees: plain values; a test holds each against its schema and sends each body of verify to a gateway that runs.
"""

from typing import Any, Final

from gateway.scans.schemas import REDEMPTION_ID_EXAMPLE

DIGITS: Final = "974229897691788465"

KEY: Final = "till-7-20261122-000123"

REFERENCE: Final = "POS-7-20261122-0001"

CREATED: Final = "2026-11-22T03:04:05.678Z"

BILL: Final[dict[str, Any]] = {
    "reference": REFERENCE,
    "amount_minor": 25800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25800}],
}

EARNING_BILL: Final = {"reference": REFERENCE, "amount_minor": 25800, "currency": "CNY"}

MEMBER: Final = {"member_id": "mem_0000001", "tier": "gold", "display_name": "陳**"}

_LEGS: Final[list[dict[str, Any]]] = [
    {"kind": "points", "points": 2000},
    {"kind": "benefit", "benefit_id": "dining-80"},
    {"kind": "stored_value", "amount_minor": 5000},
]

VERIFY: Final[dict[str, Any]] = {
    "points, a benefit and stored value": {"code": DIGITS, "bill": BILL, "legs": _LEGS},
    "points": {"code": DIGITS, "bill": BILL, "legs": [{"kind": "points", "points": 2000}]},
    "hold for a hotel stay": {
        "code": DIGITS,
        "bill": {"reference": "FOLIO-8801", "amount_minor": 168000, "currency": "CNY", "stay": "STAY-8801"},
        "legs": [{"kind": "points", "points": 2000}],
        "capture": False,
        "hold_seconds": 172800,
    },
    "identity check": {"code": DIGITS},
}

NOTHING: Final[dict[str, Any]] = {"nothing": {}}


def lots(unit: str, *parts: tuple[str, int, str | None]) -> list[dict[str, Any]]:
    return [{"issuer": issuer, unit: amount, "expires_month": month} for issuer, amount, month in parts]


POINTS_LEG: Final[dict[str, Any]] = {
    "kind": "points",
    "points": 2000,
    "value_minor": 2000,
    "lots": lots("points", ("hotel", 1500, "2026-12"), ("mall", 500, "2027-03")),
}

_BENEFIT_LEG: Final[dict[str, Any]] = {
    "kind": "benefit",
    "benefit_id": "dining-80",
    "uses": 1,
    "value_minor": 5000,
    "lots": lots("uses", ("restaurant", 1, "2027-01")),
}

_STORED_VALUE_LEG: Final[dict[str, Any]] = {
    "kind": "stored_value",
    "amount_minor": 5000,
    "value_minor": 5000,
    "lots": lots("amount_minor", ("mall", 5000, None)),
}

REDEMPTION: Final[dict[str, Any]] = {
    "redemption_id": REDEMPTION_ID_EXAMPLE,
    "status": "captured",
    "created_at": CREATED,
    "hold_expires_at": None,
    "member": MEMBER,
    "legs": [POINTS_LEG, _BENEFIT_LEG, _STORED_VALUE_LEG],
    "bill": {**EARNING_BILL, "discount_minor": 12000, "payable_minor": 13800},
    "balance": {"points": 8000, "points_held": 0, "stored_value_minor": 45000},
}
