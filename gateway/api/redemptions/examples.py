"""Examples of prepare, cancel, steps and lists of redemptions."""

from typing import Any, Final

from gateway.scans.examples import BILL, DIGITS, EARNING_BILL, KEY, MEMBER, POINTS_LEG, REDEMPTION
from gateway.scans.schemas import REDEMPTION_ID_EXAMPLE

PREPARE: Final[dict[str, Any]] = {
    "for a bill": {"code": DIGITS, "bill": BILL},
    "who is it": {"code": DIGITS},
    "the value of these legs": {
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


def _view(status: str, captured: int, refunded: int, off: int, balance: tuple[int, int]) -> dict[str, Any]:
    """Return the points leg of the example with its captures and refunds."""
    return {
        **REDEMPTION,
        "status": status,
        "legs": [{**POINTS_LEG, "captured_points": captured, "refunded_points": refunded}],
        "bill": {**EARNING_BILL, "discount_minor": off, "payable_minor": 25800 - off},
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
