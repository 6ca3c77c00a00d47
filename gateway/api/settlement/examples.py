"""Bodies and answers of settlement as /openapi.json and /docs show them.

They are November of the worked example in docs/reference/settlement.md.
"""

from typing import Any, Final

from gateway.api.settlement.dispute_schemas import DISPUTE_ID_EXAMPLE
from gateway.api.settlement.reconciliation_schemas import RECONCILIATION_ID_EXAMPLE
from gateway.api.settlement.schemas import LINE_ID_EXAMPLE, PERIOD_ID_EXAMPLE

SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_CLOSED: Final = "2026-12-01T02:00:00.000Z"
_BY: Final = "key Ab3dE5gH7jK9"
_PAYMENT: Final = {"payer": "mall", "payee": "hotel", "currency": "CNY", "amount_minor": 588}

DEFINITION: Final[dict[str, Any]] = {
    "issuer": "hotel",
    "acceptor": "*",
    "instrument": "benefit",
    "rule": {"kind": "agreed_price", "price_minor": 6000},
    "valid_from": "2026-01-01",
    "benefit": "breakfast",
    "tax_basis_points": 600,
}
DEFINITIONS: Final[dict[str, Any]] = {
    "breakfast at an agreed price": DEFINITION,
    "points at 95 % of what they take off": {
        "issuer": "*",
        "acceptor": "*",
        "instrument": "points",
        "rule": {"kind": "proportion", "basis_points": 9500},
        "valid_from": "2026-12-01",
    },
}
AGREEMENT: Final[dict[str, Any]] = {
    "agreement_id": "breakfast",
    "version": 1,
    "definition": {
        **DEFINITION,
        "rule": {"kind": "agreed_price", "price_minor": 6000, "per_units": 1},
        "valid_until": None,
        "category": None,
        "cap_minor": None,
        "rounding": "half_up",
    },
    "superseded": False,
    "added_by": _BY,
    "added_at": "2025-12-20T03:04:05.678Z",
}
AGREEMENTS: Final[dict[str, Any]] = {"agreements": [AGREEMENT], "next_cursor": None}
ADDED: Final[dict[str, Any]] = {"agreement_id": "breakfast", "version": 2}

PERIOD: Final[dict[str, Any]] = {
    "period_id": PERIOD_ID_EXAMPLE,
    "month": "2026-11",
    "businesses": ["hotel", "mall"],
    "status": "paid",
    "number": 2,
    "sha256": SHA256,
    "lines": 1,
    "totals": [
        {
            "issuer": "mall",
            "acceptor": "hotel",
            "asset": "points",
            "currency": "CNY",
            "lines": 1,
            "units": 600,
            "face_value_minor": 600,
            "amount_minor": 588,
            "tax_minor": 0,
        }
    ],
    "nets": [_PAYMENT],
    "closed_by": _BY,
    "closed_at": _CLOSED,
    "approved_by": ["hotel", "mall"],
    "payment_reference": "BANK-7",
    "open_disputes": 0,
}
PERIODS: Final[dict[str, Any]] = {"periods": [PERIOD], "next_cursor": None}
MONTH_CLOSED: Final[dict[str, Any]] = {"month": "2026-11", "periods": 4, "lines": 6, "exceptions": 0}
APPROVE: Final[dict[str, Any]] = {"for the hotel": {"business": "hotel"}, "by a key of one business": {}}
PAY: Final[dict[str, Any]] = {"by bank transfer": {"reference": "BANK-7"}}
LINES: Final[dict[str, Any]] = {
    "lines": [
        {
            "line_id": LINE_ID_EXAMPLE,
            "kind": "use",
            "ledger_kind": "capture",
            "redemption_id": "rdm_016hwa54cwdz9zr9mv",
            "issuer": "mall",
            "acceptor": "hotel",
            "asset": "points",
            "units": 600,
            "face_value_minor": 600,
            "amount_minor": 588,
            "tax_minor": 0,
            "currency": "CNY",
            "agreement_id": "points",
            "agreement_version": 1,
            "reference": None,
            "belongs_to": None,
            "outlet": "out_hotel_lobby",
            "bill_reference": "FOLIO-8801",
            "occurred_at": "2026-11-21T03:04:05.678Z",
            "local_day": "2026-11-21",
            "month": "2026-11",
        }
    ],
    "next_cursor": "WyIyMDI2LTExLTIxVDAzOjA0OjA1LjY3OFoiLCJzdGxfMTctMS0xNzYzNzgwNjQ1Njc4LTAtMSJd",
}
EXPORT: Final = f"{LINE_ID_EXAMPLE}\tuse\t17\t1\t1763780645678\t0\tcapture\trdm_016hwa54cwdz9zr9mv\tmall\thotel\t…\n"
NETS: Final[dict[str, Any]] = {
    "month": "2026-11",
    "provisional": False,
    "pairs": [_PAYMENT],
    "businesses": [
        {"business": "hotel", "currency": "CNY", "amount_minor": 588},
        {"business": "mall", "currency": "CNY", "amount_minor": -588},
    ],
    "transfers": [_PAYMENT],
}
EXCEPTIONS: Final[dict[str, Any]] = {
    "exceptions": [
        {
            "line_id": LINE_ID_EXAMPLE,
            "reason": "no_agreement",
            "ledger_kind": "redeem",
            "redemption_id": "rdm_016hwa54cwdz9zr9mv",
            "issuer": "gym",
            "acceptor": "hotel",
            "asset": "benefit:gym-week",
            "units": 1,
            "face_value_minor": None,
            "currency": "CNY",
            "outlet": "out_hotel_lobby",
            "bill_reference": None,
            "occurred_at": "2026-11-21T03:04:05.678Z",
            "local_day": "2026-11-21",
        }
    ],
    "next_cursor": None,
}
DISPUTE: Final[dict[str, Any]] = {"by the hotel": {"business": "hotel", "reason": "agreed were 55.00"}}
RESOLVE: Final[dict[str, Any]] = {
    "both agree on another amount": {"amount_minor": 5500, "note": "both agree"},
    "withdrawn": {"note": "the price was right"},
}
OPENED: Final[dict[str, Any]] = {
    "dispute_id": DISPUTE_ID_EXAMPLE,
    "line_id": LINE_ID_EXAMPLE,
    "businesses": ["hotel", "restaurant"],
    "raised_by": "hotel",
    "reason": "agreed were 55.00",
    "opened_by": _BY,
    "opened_at": "2026-12-06T03:04:05.678Z",
    "correction_id": None,
    "note": None,
    "resolved_by": None,
    "resolved_at": None,
}
RESOLVED: Final[dict[str, Any]] = {
    **OPENED,
    "correction_id": "stc_17-1-1763780645678-0-1-1",
    "note": "both agree",
    "resolved_by": _BY,
    "resolved_at": "2026-12-06T06:04:05.678Z",
}
STATEMENT: Final[dict[str, Any]] = {"statement": "…"}

TILL_LIST: Final[dict[str, Any]] = {
    "a day": {
        "rows": [
            {"reference": "POS-7-20261122-0001", "amount_minor": 2000, "time": "2026-11-22 18:30:05"},
            {"reference": "POS-7-20261122-0002", "amount": "12.50"},
        ]
    }
}
TILL_LIST_CSV: Final = "單號;金額;時間\nPOS-7-20261122-0001;20.00;2026-11-22 18:30:05\n"


def _class(bills: int, rows: int, movements: int, list_minor: int, ledger_minor: int) -> dict[str, int]:
    return {
        "rows": rows,
        "bills": bills,
        "movements": movements,
        "list_minor": list_minor,
        "ledger_minor": ledger_minor,
    }


RECONCILIATION_HEAD: Final[dict[str, Any]] = {
    "reconciliation_id": RECONCILIATION_ID_EXAMPLE,
    "business": "mall",
    "outlet": None,
    "day": "2026-11-22",
    "time_zone": "Asia/Shanghai",
    "provisional": False,
    "currency": "CNY",
    "rows": 2,
    "movements": 1,
    "ignored_columns": [],
    "notes": [],
    "read_as": {"charset": "utf-8", "separator": ",", "decimal_mark": ".", "date_order": None},
    "totals": {
        "different_amount": _class(0, 0, 0, 0, 0),
        "missing_here": _class(1, 1, 0, 1250, 0),
        "missing_there": _class(0, 0, 0, 0, 0),
        "duplicate_in_list": _class(0, 0, 0, 0, 0),
        "other_day": _class(0, 0, 0, 0, 0),
        "cancelled_here": _class(0, 0, 0, 0, 0),
        "matched": _class(1, 1, 1, 2000, 2000),
    },
    "uploaded_by": "terminal trm_mall_1",
    "created_at": "2026-11-22T16:10:00.000Z",
    "expires_at": "2027-02-20T16:10:00.000Z",
}
BILL: Final[dict[str, Any]] = {
    "kind": "missing_here",
    "reference": "POS-7-20261122-0002",
    "outlets": [],
    "list_minor": 1250,
    "ledger_minor": 0,
    "difference_minor": 1250,
    "rows": [
        {
            "row": 2,
            "reference": "POS-7-20261122-0002",
            "amount_minor": 1250,
            "occurred_at": None,
            "redemption_id": None,
            "bill_amount_minor": None,
            "day": None,
        }
    ],
    "movements": [],
    "notes": [],
    "elsewhere": {"redemption_id": "rdm_016hwa54cwdz9zr9mv", "day": "2026-11-21", "outlet": "out_mall_1"},
    "explanation": "The list has this bill, the ledger has not on that day: check its number, or whether it was"
    " redeemed at all; the same bill number was redeemed on 2026-11-21 (outlet out_mall_1, rdm_016hwa54cwdz9zr9mv)",
}
RECONCILIATION: Final[dict[str, Any]] = {**RECONCILIATION_HEAD, "bills": [BILL], "bills_left_out": 0}
RECONCILIATIONS: Final[dict[str, Any]] = {"reconciliations": [RECONCILIATION_HEAD], "next_cursor": None}
BILLS: Final[dict[str, Any]] = {"bills": [BILL], "next_cursor": None}
