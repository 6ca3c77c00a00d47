"""The answer of verify, written without the values in between that `RedemptionAnswer` (gateway/scans/schemas.py) has.

Guarantees: the same bytes for the first answer and for every repeat, those of an encoded `RedemptionAnswer`
(tests/unit/gateway/test_scan_answer.py). Benchmark: `make bench`.
"""

from functools import lru_cache
from typing import Any

import orjson

from gateway.scans.schemas import month_text
from redemption.domain.clock import instant
from redemption.domain.contexts import bill_document, leg_document
from redemption.domain.records import LINES_BEFORE_HOLD, LINES_OF_AN_ANSWER
from redemption.domain.records import VERSION as RECORD_VERSION
from redemption.domain.redemptions import UNIT, Scanned


def scan_body(scanned: Scanned) -> bytes:
    """Return the body of verify's answer, made of the lines of the record that never change.

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
    bill_answer = bill_document(bill)
    if bill_answer is not None:
        bill_answer["discount_minor"] = discount = sum([leg["value_minor"] for leg in legs])
        bill_answer["payable_minor"] = bill_answer["amount_minor"] - discount
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
            "bill": bill_answer,
            "balance": {
                "points": int(points),
                "points_held": int(held),
                "stored_value_minor": int(stored_value),
            },
        }
    )


@lru_cache(maxsize=4_096)
def _lot_words(lot_name: str) -> tuple[str, str | None]:
    """Return issuer and month of `<yyyymm or ->.<business>`."""
    expires, _, issuer = lot_name.partition(".")
    return issuer, None if expires == "-" else month_text(int(expires))
