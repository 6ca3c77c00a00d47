"""The record of a redemption as the hot store keeps it: one text, its fields as lines.

The first line is the version of the layout, the next are the fields in this order; the empty ones at the end are left
out. The hot store's functions get version and fields from here (redemption/hot/library.py).

    status         held | captured | partially_refunded | refunded | voided | expired | reversed
    at             unix milliseconds of the scan           member, tier, name, business   of that moment
    balance        points, points held, stored value, with commas between, after the scan
    taken          "<leg>,<asset>,<lot>,<amount>;…" in the order the lots were spent
    basket         bill and legs (redemption/domain/contexts.py)
    hold_until     unix milliseconds, of a hold            uses   where its uses of benefits count
    place          of a hold: the context of its expiry
    captured, refunded   numbers for the parts of `taken`; captured_at, ended, cancelled   unix milliseconds
    bill           as it was captured with, JSON
"""

from collections.abc import Mapping
from typing import Final

VERSION: Final = "2"
RECORD_FIELDS: Final = (
    *("status", "at", "member", "tier", "name", "business", "balance", "taken", "basket"),
    *("hold_until", "uses", "place"),
    *("captured", "refunded", "captured_at", "ended", "cancelled", "bill"),
)

LINES_BEFORE_HOLD: Final = 1 + RECORD_FIELDS.index("hold_until")
LINES_OF_AN_ANSWER: Final = LINES_BEFORE_HOLD + 1
"""The first lines, up to the hold's deadline, are the answer of verify; only their status ever changes."""


def record_text(fields: Mapping[str, str]) -> str:
    """Encode these fields; a missing field is empty."""
    return "\n".join((VERSION, *(fields.get(name, "") for name in RECORD_FIELDS))).rstrip("\n")


def record_fields(text: bytes) -> dict[str, str]:
    """Return the fields that are not empty. Raises ValueError on a record of another version."""
    version, *lines = text.decode().split("\n")
    if version != VERSION or len(lines) > len(RECORD_FIELDS):
        raise ValueError("a redemption record of another version")
    return {name: line for name, line in zip(RECORD_FIELDS, lines, strict=False) if line}
