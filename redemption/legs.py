"""Legs, bills and places as the hot store writes them: in calls of functions, in records and in the ledger."""

import hashlib
from typing import Any

import orjson

from redemption.configuration.current import Configuration, Terminal
from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS, UNIT, Redemption

NO_TERMS = "0,0,0,*"
"""The terms of an unknown benefit, whose leg is refused anyway."""


def leg_words(leg: Leg, terminal: Terminal, configuration: Configuration) -> str:
    """Return a leg as functions/redeem.lua reads it, with a benefit's caps and levels."""
    if isinstance(leg, PointsLeg):
        return f"points,{leg.points}"
    if isinstance(leg, BenefitLeg):
        return f"benefit,{leg.benefit_id},{leg.uses},{configuration.terms.get(leg.benefit_id, NO_TERMS)}"
    return f"stored_value,{leg.amount_minor},{terminal.business.currency}"


def asset_amount(leg: Leg, currency: str) -> tuple[str, int]:
    """Return the asset of a leg and its amount."""
    if isinstance(leg, PointsLeg):
        return POINTS, leg.points
    if isinstance(leg, BenefitLeg):
        return f"{BENEFIT_PREFIX}{leg.benefit_id}", leg.uses
    return currency, leg.amount_minor


def wants(legs: tuple[Leg, ...] | None, currency: str) -> str:
    """Return the legs of a capture or refund: `points,1500;benefit:breakfast,1;CNY,5000`; empty for all."""
    return ";".join(f"{asset},{amount}" for asset, amount in (asset_amount(leg, currency) for leg in legs or ()))


def basket_digest(currency: str, bill: Bill | None, legs: tuple[Leg, ...]) -> str:
    """Return a digest that two baskets share when the duplicate guard takes them for the same: amount, legs in any
    order."""
    taken = sorted([asset_amount(leg, currency) for leg in legs])
    amount = bill.amount_minor if bill is not None else -1
    return hashlib.blake2b(f"{amount} {taken}".encode(), digest_size=8).hexdigest()


def bill_context(bill: Bill | None) -> dict[str, Any] | None:
    """Return a bill as records and the ledger keep it."""
    if bill is None:
        return None
    return {"reference": bill.reference, "amount_minor": bill.amount_minor, "currency": bill.currency}


def place_context(
    terminal: Terminal, version: int, key: str | None = None, bill: Bill | None = None, business_id: str | None = None
) -> dict[str, Any]:
    """Return where a call was made, under which rules and key: the head of every entry's context.

    `business_id` is the business whose books the call belongs to, where the terminal belongs to another one today: then
    no outlet is named, because the terminal's outlet is one of today's business.
    """
    context: dict[str, Any] = {
        "business": terminal.business.business_id,
        "outlet": terminal.outlet_id,
        "terminal": terminal.terminal_id,
        "rules": version,
    }
    if business_id is not None and business_id != terminal.business.business_id:
        context["business"] = business_id
        del context["outlet"]
    if key:
        context["key"] = key
    if bill is not None:
        context["bill"] = bill_context(bill)
    return context


def step_context(
    terminal: Terminal,
    version: int,
    key: str | None = None,
    bill: Bill | None = None,
    restore: dict[str, Any] | None = None,
    business_id: str | None = None,
) -> bytes:
    """Return the context of a call that is not a scan, as JSON. `restore` is what a rebuild needs beyond the moves."""
    context = place_context(terminal, version, key, bill, business_id)
    if restore is not None:
        context["restore"] = restore
    return orjson.dumps(context)


def captured_value(held: Redemption, legs: tuple[Leg, ...] | None, currency: str) -> int:
    """Return what a capture of these legs (None: all) takes off a bill, in minor units.

    Of each leg of the hold it is the captured share, rounded down, as functions/capture.lua spreads it over the parts.
    """
    wanted: dict[str, int] | None = None
    if legs is not None:
        wanted = {}
        for asset, amount in (asset_amount(leg, currency) for leg in legs):
            wanted[asset] = wanted.get(asset, 0) + amount
    captured: dict[int, int] = {}
    for part in held.parts:
        share = part.taken
        if wanted is not None:
            share = min(wanted.get(part.asset, 0), part.taken)
            wanted[part.asset] = wanted.get(part.asset, 0) - share
        captured[part.leg] = captured.get(part.leg, 0) + share
    return sum(
        leg["value_minor"] * captured.get(index, 0) // leg[UNIT[leg["kind"]]] for index, leg in enumerate(held.legs)
    )
