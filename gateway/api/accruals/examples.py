"""Examples of accruals."""

from typing import Any, Final

from gateway.api.accruals.schemas import ACCRUAL_ID_EXAMPLE
from gateway.scans.examples import BILL, CREATED, DIGITS, EARNING_BILL, MEMBER

ACCRUE: Final[dict[str, Any]] = {
    "by code": {"code": DIGITS, "bill": BILL},
    "by member id": {"member_id": "mem_0000001", "bill": BILL},
    "the rest of a bill that earned before": {
        "code": DIGITS,
        "bill": {**BILL, "amount_minor": 4200, "lines": []},
        "confirm_duplicate": True,
    },
}

ACCRUED: Final[dict[str, Any]] = {
    "accrual_id": ACCRUAL_ID_EXAMPLE,
    "status": "accrued",
    "created_at": CREATED,
    "member": MEMBER,
    "points": 354,
    "points_settled": 0,
    "crossing_bonus": True,
    "issuer": "mall",
    "expires_month": "2027-11",
    "growth_value": 258,
    "growth_value_total": 258,
    "bill": EARNING_BILL,
    "balance": {"points": 10354},
}

ACCRUAL_REVERSED: Final[dict[str, Any]] = {
    **ACCRUED,
    "status": "reversed",
    "balance": {"points": 10000},
    "points_taken_back": 354,
    "points_owed": 0,
}
