"""Examples of a member's own view, codes, devices and notices."""

from typing import Any, Final

from gateway.scans.examples import DIGITS, MEMBER, lots

CODES: Final[dict[str, Any]] = {"one": {"count": 1}, "a minute and a half ahead": {"count": 5}}

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
    "lots": lots("points", ("hotel", 5000, "2026-12"), ("mall", 5000, "2027-03")),
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

_AT: Final = "2026-11-22T03:04:05.678Z"

_EVENT_ID: Final = "1795316645678-0"

_HOTEL: Final = {"business_id": "hotel", "name": "通逸酒店"}

_LOBBY: Final = {"outlet_id": "out_hotel_lobby", "name": "大堂前台"}

DEVICE: Final[dict[str, Any]] = {
    "device_id": "dvc_000000a",
    "name": "陳先生的手機",
    "created_at": _AT,
    "revoked_at": None,
    "key_current": True,
}

ENROLLED: Final[dict[str, Any]] = {
    **DEVICE,
    "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "code_prefix": "o1.dev-1.1001.10.",
    "step_seconds": 30,
}

ENROL: Final[dict[str, Any]] = {
    "a phone": {"name": "陳先生的手機"},
    "in place of another": {"name": "New phone", "replaces": "dvc_0000009"},
}

REVOKED: Final[dict[str, Any]] = {**DEVICE, "revoked_at": "2026-11-23T10:00:00.000Z"}

_MOVEMENT: Final[dict[str, Any]] = {
    "event_id": _EVENT_ID,
    "kind": "redeem",
    "reason": None,
    "at": _AT,
    "title": "已使用",
    "explanation": "使用 2 000 積分；帳單 258.00 CNY，折抵 20.00 CNY，實付 238.00 CNY",
    "subject_id": "rdm_016hwa54cwdz9zr9mv",
    "business": _HOTEL,
    "outlet": _LOBBY,
    "code": {"form": "scan", "expires_at": "2026-11-22T03:04:34.000Z"},
    "bill": {
        "reference": "POS-7-20261122-0001",
        "amount_minor": 25800,
        "discount_minor": 2000,
        "payable_minor": 23800,
        "currency": "CNY",
    },
    "legs": [{"kind": "points", "points": 2000, "value_minor": 2000}],
    "changes": [
        {
            "kind": "points",
            "available": -2000,
            "held": 0,
            "lots": [
                {"issuer": "hotel", "issuer_name": "通逸酒店", "amount": 1500, "expires_month": "2026-12"},
                {"issuer": "mall", "issuer_name": "通匯商場", "amount": 500, "expires_month": "2027-03"},
            ],
        }
    ],
    "hold_expires_at": None,
}

ACTIVITY: Final[dict[str, Any]] = {
    "as_of": "2026-11-22T03:05:00.000Z",
    "activity": [
        {
            **_MOVEMENT,
            "status": "partially_refunded",
            "given_back": [{"kind": "points", "amount": 500}],
        }
    ],
    "next_cursor": None,
}

NOTICES: Final = f"""\
id: {_EVENT_ID}
event: notice
data: {{"event_id": "{_EVENT_ID}", "kind": "redeem", "…": "…", "balance": {{"points": 8000, "…": "…"}}}}

: heartbeat

event: end
data: {{"reason": "token_expired"}}
"""
