"""The context of a scan: compact in the hot store, split in the ledger, whole for who reads it.

The hot store keeps a scan's context as a JSON array without names, half of the bytes: in the stream entry until it
is trimmed, its middle part (`basket`) in the record. The array is:

    [business, outlet, terminal, rules, key,                        place
     [reference, amount_minor, currency] or null, [leg, …],         basket
     fingerprint, slot, marker, hold_seconds, outlet_offset, stay]  restore; not there where no till acted

A leg is ["p", points, value_minor], ["b", benefit_id, uses, value_minor] or ["s", amount_minor, value_minor].

The ledger keeps of it, as `details`, what has no column of its own: [rules, legs] or
[rules, legs, fingerprint, slot, marker, hold_seconds, outlet_offset, stay]. Of a context that is an object it keeps the
object without the members that are columns. `context_of` puts them together again, as the SQL function
`ledger_context` (migrations/0014_moves.sql) does.

Guarantees: `expanded` of what `place_text`, `basket_text` and `restore_text` wrote is the same JSON, byte for byte, for
the same scan. Parts are JSON without the brackets around them, so that Lua puts them together by commas.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.errors import RefusedError

PLACE_AND_BASKET: Final = 7
WHOLE: Final = 13
_RULES, _BILL, _LEGS = 3, 5, 6
_LEG_LENGTHS: Final = {"p": 3, "b": 4, "s": 3}
_COLUMNS: Final = frozenset(("business", "outlet", "terminal", "key"))
_BILL_MEMBERS: Final = frozenset(("reference", "amount_minor", "currency"))
_LETTERS: Final = {"points": "p", "benefit": "b", "stored_value": "s"}
_MEMBERS: Final = {
    "points": ("points", "value_minor"),
    "benefit": ("benefit_id", "uses", "value_minor"),
    "stored_value": ("amount_minor", "value_minor"),
}


class ContextRefused(RefusedError):
    """A compact context that this version cannot read. The text quotes nothing of it."""


def till_text(business: str, outlet: str, terminal: str, rules: int) -> bytes:
    """Encode the part of a place that all calls of a till share under one configuration."""
    return orjson.dumps([business, outlet, terminal, rules])[1:-1]


def place_text(till: bytes, key: str) -> bytes:
    """Encode where a scan was made, under which rules and key."""
    return b"%b,%b" % (till, orjson.dumps(key))


def basket_text(bill: Bill | None, legs: tuple[Leg, ...], values: tuple[int, ...]) -> bytes:
    """Encode the bill and the legs with the value that each took off the bill; `values` is () for a refused basket."""
    told = None if bill is None else [bill.reference, bill.amount_minor, bill.currency]
    words = [_leg_words(leg, value) for leg, value in zip(legs, values or (0,) * len(legs), strict=True)]
    return orjson.dumps([told, words])[1:-1]


def basket_json(bill: Mapping[str, Any] | None, legs: Sequence[Mapping[str, Any]]) -> bytes:
    """Encode a basket from a bill and legs as the ledger has them."""
    told = None if bill is None else [bill["reference"], bill["amount_minor"], bill["currency"]]
    words = [[_LETTERS[leg["kind"]], *(leg[name] for name in _MEMBERS[leg["kind"]])] for leg in legs]
    return orjson.dumps([told, words])[1:-1]


def restore_text(
    fingerprint: str, slot: int, marker: str, hold_seconds: int, outlet_offset: int, stay: str | None
) -> bytes:
    """Encode what a rebuild of the hot store needs beyond the moves (redemption/ledger/replay.py)."""
    return orjson.dumps([fingerprint, slot, marker, hold_seconds, outlet_offset, stay])[1:-1]


def split(context: Any, text: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a context for the ledger: what becomes columns (business, outlet, terminal, key, bill), and the JSON of the
    rest; `text` is the context's own JSON.

    A member stays in the rest where columns do not say it whole: a bill without an amount, say. An object that orjson
    would write otherwise (with another number, perhaps) is kept letter for letter. Raises `ContextRefused`.
    """
    if isinstance(context, list):
        columns = _columns_of_compact(context)
        bill = columns["bill"]
        if bill is None or bill["amount_minor"] is not None:
            return columns, orjson.dumps([context[_RULES], *context[_LEGS:]])
        context = expanded(context)
    elif not isinstance(context, dict):
        raise ContextRefused("a context is an object or compact")
    elif orjson.dumps(context) != text:
        return context, text
    bill = context.get("bill")
    has_columns = isinstance(bill, dict) and bill.keys() == _BILL_MEMBERS and bill["amount_minor"] is not None
    rest = {
        name: value
        for name, value in context.items()
        if value is None or (name not in _COLUMNS and (name != "bill" or not has_columns))
    }
    return context, orjson.dumps(rest)


def _columns_of_compact(context: list[Any]) -> dict[str, Any]:
    """Return the members of a compact context that become columns; check all of it that `expanded` looks at."""
    try:
        business, outlet, terminal, _, key, bill, legs = context[:PLACE_AND_BASKET]
        well_formed = len(context) in (PLACE_AND_BASKET, WHOLE) and all(
            len(leg) == _LEG_LENGTHS[leg[0]] for leg in legs
        )
        document = bill_document(bill)
    except (TypeError, ValueError, KeyError, IndexError):
        well_formed = False
    if not well_formed:
        raise ContextRefused("a compact context that cannot be read")
    return {"business": business, "outlet": outlet, "terminal": terminal, "key": key, "bill": document}


def whole_context(
    details: str,
    business: str | None,
    outlet: str | None,
    terminal: str | None,
    key: str | None,
    bill: list[Any] | None,
) -> dict[str, Any]:
    """Return the context that was split into these columns and `details`; `bill` is None where it has no amount."""
    rest = orjson.loads(details)
    if isinstance(rest, list):
        rules, *others = rest
        return expanded([business, outlet, terminal, rules, key, bill, *others])
    columns = {"business": business, "outlet": outlet, "terminal": terminal, "key": key, "bill": bill_document(bill)}
    return {name: value for name, value in columns.items() if value is not None} | dict(rest)


def legs_of(row: Any) -> Any:
    """Return the legs of a scan from a row of either form with `details` or the old context's `legs`; None: no legs."""
    if row["details"] is None:
        return row["legs"]
    details = orjson.loads(row["details"])
    return [leg_document(leg) for leg in details[1]] if isinstance(details, list) else details.get("legs")


def context_of(row: Any) -> dict[str, Any]:
    """Return the whole context of a row of `ledger_transaction`, of either form (migrations/0014_moves.sql)."""
    if row["details"] is None:
        return dict(row["context"])
    amount_minor = row["bill_amount_minor"]
    bill = None if amount_minor is None else [row["bill_reference"], amount_minor, row["currency"]]
    return whole_context(row["details"], row["business"], row["outlet"], row["terminal"], row["idempotency_key"], bill)


def _leg_words(leg: Leg, value: int) -> list[str | int]:
    if isinstance(leg, PointsLeg):
        return ["p", leg.points, value]
    if isinstance(leg, BenefitLeg):
        return ["b", leg.benefit_id, leg.uses, value]
    return ["s", leg.amount_minor, value]


def bill_document(bill: list[Any] | None) -> dict[str, Any] | None:
    """Return a bill as the ledger and answers have it."""
    if bill is None:
        return None
    reference, amount_minor, currency = bill
    return {"reference": reference, "amount_minor": amount_minor, "currency": currency}


def leg_document(leg: list[Any]) -> dict[str, Any]:
    """Return a leg as the ledger and answers have it, with the value that it took off the bill. Raises
    `ContextRefused`."""
    match leg:
        case ["p", points, value]:
            return {"kind": "points", "points": points, "value_minor": value}
        case ["b", benefit_id, uses, value]:
            return {"kind": "benefit", "benefit_id": benefit_id, "uses": uses, "value_minor": value}
        case ["s", amount_minor, value]:
            return {"kind": "stored_value", "amount_minor": amount_minor, "value_minor": value}
    raise ContextRefused("a leg of an unknown kind")


def expanded(context: Any) -> dict[str, Any]:
    """Return the whole context as the ledger keeps it. Raises `ContextRefused`."""
    if not isinstance(context, list) or len(context) not in (PLACE_AND_BASKET, WHOLE):
        raise ContextRefused("a compact context has 7 or 13 members")
    business, outlet, terminal, rules, key, bill, legs = context[:PLACE_AND_BASKET]
    try:
        whole: dict[str, Any] = {
            "business": business,
            "outlet": outlet,
            "terminal": terminal,
            "rules": rules,
            "key": key,
            "bill": bill_document(bill),
            "legs": [leg_document(leg) for leg in legs],
        }
    except (TypeError, ValueError, ContextRefused):
        raise ContextRefused("the basket of a compact context cannot be read") from None
    if len(context) == WHOLE:
        fingerprint, slot, marker, hold_seconds, outlet_offset, stay = context[PLACE_AND_BASKET:]
        restore: dict[str, Any] = {"fingerprint": fingerprint, "code": [slot, marker]}
        for name, value in (("hold_seconds", hold_seconds), ("outlet_offset", outlet_offset), ("stay", stay)):
            if value:
                restore[name] = value
        whole["restore"] = restore
    return whole
