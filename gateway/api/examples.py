"""Bodies and answers as /openapi.json and /docs show them: one evening, one member, one bill.

Guarantees: plain values; a test holds each against its schema and sends each body of verify to a gateway that runs.
"""

from typing import Any, Final

from gateway.api.members.schemas import ACCRUAL_ID_EXAMPLE
from gateway.api.schemas import REDEMPTION_ID_EXAMPLE

DIGITS: Final = "974229897691788465"
KEY: Final = "till-7-20261122-000123"
REFERENCE: Final = "POS-7-20261122-0001"
_CREATED: Final = "2026-11-22T03:04:05.678Z"

BILL: Final[dict[str, Any]] = {
    "reference": REFERENCE,
    "amount_minor": 25800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25800}],
}
_EARNING_BILL: Final = {"reference": REFERENCE, "amount_minor": 25800, "currency": "CNY"}
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
PREPARE: Final[dict[str, Any]] = {
    "for a bill": {"code": DIGITS, "bill": BILL},
    "who is it": {"code": DIGITS},
    "what these legs come to": {
        "code": DIGITS,
        "bill": BILL,
        "legs": [{"kind": "benefit", "benefit_id": "dining-80"}, {"kind": "points", "points": 2000}],
    },
}
SEARCH: Final[dict[str, Any]] = {"the member's": {"code": DIGITS}, "a page of five": {"code": DIGITS, "limit": 5}}
CANCEL: Final[dict[str, Any]] = {
    "by key and code": {"idempotency_key": KEY, "code": DIGITS},
    "by id": {"redemption_id": REDEMPTION_ID_EXAMPLE},
}
CAPTURE: Final[dict[str, Any]] = {
    "a part": {"legs": [{"kind": "points", "points": 1200}]},
    "the whole hold": {},
}
REFUND: Final[dict[str, Any]] = {
    "a part": {"legs": [{"kind": "points", "points": 500}, {"kind": "stored_value", "amount_minor": 1000}]},
    "all that is left": {},
}
NOTHING: Final[dict[str, Any]] = {"nothing": {}}
ACCRUE: Final[dict[str, Any]] = {
    "by code": {"code": DIGITS, "bill": BILL},
    "by member id": {"member_id": "mem_0000001", "bill": BILL},
    "the rest of a bill that earned before": {
        "code": DIGITS,
        "bill": {**BILL, "amount_minor": 4200, "lines": []},
        "confirm_duplicate": True,
    },
}
CODES: Final[dict[str, Any]] = {"one": {"count": 1}, "a minute and a half ahead": {"count": 5}}


def _lots(unit: str, *parts: tuple[str, int, str | None]) -> list[dict[str, Any]]:
    return [{"issuer": issuer, unit: amount, "expires_month": month} for issuer, amount, month in parts]


_POINTS_LEG: Final[dict[str, Any]] = {
    "kind": "points",
    "points": 2000,
    "value_minor": 2000,
    "lots": _lots("points", ("hotel", 1500, "2026-12"), ("mall", 500, "2027-03")),
}
_BENEFIT_LEG: Final[dict[str, Any]] = {
    "kind": "benefit",
    "benefit_id": "dining-80",
    "uses": 1,
    "value_minor": 5000,
    "lots": _lots("uses", ("restaurant", 1, "2027-01")),
}
_STORED_VALUE_LEG: Final[dict[str, Any]] = {
    "kind": "stored_value",
    "amount_minor": 5000,
    "value_minor": 5000,
    "lots": _lots("amount_minor", ("mall", 5000, None)),
}
REDEMPTION: Final[dict[str, Any]] = {
    "redemption_id": REDEMPTION_ID_EXAMPLE,
    "status": "captured",
    "created_at": _CREATED,
    "hold_expires_at": None,
    "member": MEMBER,
    "legs": [_POINTS_LEG, _BENEFIT_LEG, _STORED_VALUE_LEG],
    "bill": {**_EARNING_BILL, "discount_minor": 12000, "payable_minor": 13800},
    "balance": {"points": 8000, "points_held": 0, "stored_value_minor": 45000},
}


def _view(status: str, captured: int, refunded: int, off: int, balance: tuple[int, int]) -> dict[str, Any]:
    """The points of the example with what became of them."""
    return {
        **REDEMPTION,
        "status": status,
        "legs": [{**_POINTS_LEG, "captured_points": captured, "refunded_points": refunded}],
        "bill": {**_EARNING_BILL, "discount_minor": off, "payable_minor": 25800 - off},
        "balance": {"points": balance[0], "points_held": balance[1], "stored_value_minor": 50000},
    }


LOOKED_UP: Final = _view("captured", 2000, 0, 2000, (8000, 0))
CAPTURED: Final = _view("captured", 1200, 0, 1200, (8800, 0))
VOIDED: Final = _view("voided", 0, 0, 0, (10000, 0))
REFUNDED: Final = _view("partially_refunded", 2000, 500, 1500, (8500, 0))
CANCELLED: Final[dict[str, Any]] = {
    "effect": "reversed",
    "redemption": _view("reversed", 2000, 2000, 0, (10000, 0)),
}
PREPARED: Final[dict[str, Any]] = {
    "member": MEMBER,
    "balance": {"points": 10000, "points_held": 0, "stored_value_minor": 50000},
    "points": {"maximum": 10000, "value_minor": 10000, "minimum": 1, "preselect": "none"},
    "stored_value": {"maximum_minor": 25800},
    "benefits": [
        {
            "benefit_id": "dining-80",
            "name": "餐飲八折",
            "usable": True,
            "value_minor": 5000,
            "remaining_uses": 4,
            "remaining_uses_today": 2,
            "max_uses_here": 1,
            "excludes": [],
            "reason": None,
        },
        {
            "benefit_id": "breakfast",
            "name": "雙人早餐",
            "usable": False,
            "value_minor": 0,
            "remaining_uses": 2,
            "remaining_uses_today": 2,
            "max_uses_here": 0,
            "excludes": [],
            "reason": {
                "code": "benefit_not_now",
                "detail": "breakfast is for 06:00-10:30",
                "operator_hint": "此權益現在不能使用",
            },
        },
    ],
    "best": {
        "legs": [{"kind": "benefit", "benefit_id": "dining-80"}, {"kind": "points", "points": 10000}],
        "saving_minor": 15000,
        "bill": {"amount_minor": 25800, "discount_minor": 15000, "payable_minor": 10800},
    },
    "proposed": {
        "legs": [{"kind": "benefit", "benefit_id": "dining-80"}],
        "saving_minor": 5000,
        "bill": {"amount_minor": 25800, "discount_minor": 5000, "payable_minor": 20800},
    },
    "basket": {
        "values_minor": [5000, 2000],
        "bill": {"amount_minor": 25800, "discount_minor": 7000, "payable_minor": 18800},
        "reason": None,
    },
}
LISTED: Final[dict[str, Any]] = {
    "redemptions": [{**LOOKED_UP, "outlet_id": "out_hotel_lobby"}],
    "next_cursor": None,
}
ACCRUED: Final[dict[str, Any]] = {
    "accrual_id": ACCRUAL_ID_EXAMPLE,
    "status": "accrued",
    "created_at": _CREATED,
    "member": MEMBER,
    "points": 354,
    "points_settled": 0,
    "crossing_bonus": True,
    "issuer": "mall",
    "expires_month": "2027-11",
    "growth_value": 258,
    "growth_value_total": 258,
    "bill": _EARNING_BILL,
    "balance": {"points": 10354},
}
ACCRUAL_REVERSED: Final[dict[str, Any]] = {
    **ACCRUED,
    "status": "reversed",
    "balance": {"points": 10000},
    "points_taken_back": 354,
    "points_owed": 0,
}
ISSUED_CODES: Final[dict[str, Any]] = {
    "codes": [
        {
            "code": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImRldi0xIn0.eyJzdWIiOiIxIiwiZXhwIjoxNzk1MzQ3OTc0LCJq"
            "dGkiOiJ0OGFQaWRkLSJ9.Ka4GNXB4rZVFEHmqsCO-PAl1BWUm4CBem3mTjuhG51U",
            "digits": DIGITS,
            "expires_at": "2026-11-22T03:04:34.000Z",
            "refresh_at": "2026-11-22T03:04:24.000Z",
        }
    ]
}
ME: Final[dict[str, Any]] = {
    **MEMBER,
    "status": "active",
    "growth_value": 258,
    "balance": {
        "points": 10000,
        "points_held": 0,
        "points_owed": 0,
        "stored_value": [{"currency": "CNY", "amount_minor": 50000}],
    },
    "lots": _lots("points", ("hotel", 5000, "2026-12"), ("mall", 5000, "2027-03")),
}
MY_BENEFITS: Final[dict[str, Any]] = {
    "benefits": [
        {
            "benefit_id": "dining-80",
            "name": "餐飲八折",
            "granted_by": "restaurant",
            "discount": {"kind": "percent_off", "percent": 20, "maximum_minor": 5000},
            "remaining_uses": 6,
            "uses_now": 2,
            "not_now": None,
            "used_today": 0,
            "used_this_month": 0,
            "per_day": 2,
            "per_month": None,
            "businesses": None,
            "outlets": None,
            "categories": ["dining"],
            "weekdays": None,
            "hours": [{"from": "17:00", "to": "22:00"}],
            "first_day": None,
            "last_day": None,
            "minimum_spend_minor": 0,
            "minimum_tier": None,
            "lots": [{"uses": 6, "expires_month": "2027-01"}],
        }
    ]
}
READY: Final[dict[str, Any]] = {
    "status": "ready",
    "configuration_version": 66,
    "configuration_stale": False,
    "frozen_buckets": [],
    "weaknesses": [],
}
