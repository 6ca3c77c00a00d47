"""Movements as JSON for the member: one shape for live notices and for the history (docs/start/integrate.md)."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.live.notice_texts import explanation_of, title_of
from gateway.problems.kinds import Language
from gateway.scans.serializers import month
from redemption.configuration.display_names import GroupNames, Names
from redemption.devices.store import device_id
from redemption.domain.clock import instant
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS, UNIT
from redemption.ledger.entries import Position
from redemption.live.history import ActivityEntry, Cursor
from redemption.live.movements import Change, CodeUsed, Movement
from redemption.memberships import MemberState
from redemption.rules.definitions import BenefitDefinition
from tokens.claims import expires_at

POSITION_CHARACTERS_MAX: Final = 40
_NUMBER_MAX: Final = 2**62


@dataclass(frozen=True, slots=True)
class LocalizedNames:
    """The group's names in one language; an id stands for itself where there is no name."""

    language: Language
    businesses: Mapping[str, str]
    outlets: Mapping[str, str]
    benefits: Mapping[str, str]

    def business(self, business_id: str | None) -> dict[str, str] | None:
        if business_id is None:
            return None
        return {"business_id": business_id, "name": self.businesses.get(business_id, business_id)}

    def outlet(self, outlet_id: str | None) -> dict[str, str] | None:
        return None if outlet_id is None else {"outlet_id": outlet_id, "name": self.outlets.get(outlet_id, outlet_id)}


def spoken(names: GroupNames, language: Language) -> LocalizedNames:
    """The names as they are said in this language, or in another where it has none."""
    return LocalizedNames(
        language,
        {each.business_id: _said(each.name, language) for each in names.businesses},
        {outlet.outlet_id: _said(outlet.name, language) for each in names.businesses for outlet in each.outlets},
        {benefit_id: _said(name, language) for benefit_id, name in (names.benefits or {}).items()},
    )


def _said(name: Names, language: Language) -> str:
    return name.get(language) or next(iter(name.values()))


def position_text(position: Position) -> str:
    """The id of an event: where the entry stands in its stream."""
    return f"{position.ms}-{position.seq}"


def position_from(text: str) -> Position | None:
    """The position such an id names; None for any other text."""
    ms, dash, seq = text.partition("-")
    if len(text) > POSITION_CHARACTERS_MAX or not dash or not (ms.isascii() and ms.isdecimal()):
        return None
    if not (seq.isascii() and seq.isdecimal()) or int(ms) >= _NUMBER_MAX or int(seq) >= _NUMBER_MAX:
        return None
    return Position(int(ms), int(seq))


def cursor_text(cursor: Cursor) -> str:
    """Opaque to the caller."""
    return base64.urlsafe_b64encode(f"{cursor.at_ms}-{position_text(cursor.position)}".encode()).decode().rstrip("=")


def cursor_from(text: str) -> Cursor | None:
    """The cursor that was given out; None for any other text."""
    if len(text) > 2 * POSITION_CHARACTERS_MAX or not text.isascii():
        return None
    try:
        at, _, rest = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().partition("-")
    except ValueError:
        return None
    position = position_from(rest)
    if position is None or not (at.isascii() and at.isdecimal()) or len(at) > 13:
        return None
    return Cursor(int(at), position)


def notice(movement: Movement, names: LocalizedNames) -> dict[str, Any]:
    """What a live notice and an entry of the history have in common."""
    bill = _bill(movement)
    return {
        "event_id": position_text(movement.position),
        "kind": movement.kind,
        "reason": movement.reason,
        "at": instant(movement.at_ms),
        "title": title_of(movement.kind, movement.reason, names.language),
        "explanation": explanation_of(
            movement.kind, movement.reason, _moved(movement), bill, names.benefits, names.language
        ),
        "subject_id": movement.subject_id,
        "business": names.business(movement.business),
        "outlet": names.outlet(movement.outlet),
        "code": _code(movement.code),
        "bill": bill,
        "legs": [_leg(leg, names, _currency(movement)) for leg in movement.legs],
        "changes": [_change(change, names) for change in movement.changes],
        "hold_expires_at": _hold_end(movement),
    }


def _hold_end(movement: Movement) -> str | None:
    """Return when the hold that a movement places ends by itself; None for every other movement."""
    if movement.kind != "hold" or not movement.hold_seconds:
        return None
    return instant(movement.at_ms + movement.hold_seconds * 1000)


def deed(found: ActivityEntry, names: LocalizedNames) -> dict[str, Any]:
    """An entry of the history."""
    movement = found.movement
    return {
        **notice(movement, names),
        "status": found.status,
        "given_back": [
            {**_asset(asset, names), "amount": amount} for asset, amount in found.given_back.items() if amount
        ],
        "hold_expires_at": _hold_end(movement) if found.status == "held" else None,
    }


def balance(
    member: MemberState,
    names: LocalizedNames,
    touched: Iterable[Change] = (),
    catalogue: Mapping[str, BenefitDefinition] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what is left; of benefits only those that were touched, with the uses that their caps leave for today."""
    stored: dict[str, int] = {}
    for lot in member.lots:
        if lot.asset != POINTS and not lot.asset.startswith(BENEFIT_PREFIX):
            stored[lot.asset] = stored.get(lot.asset, 0) + lot.amount
    benefits = dict.fromkeys(change.asset for change in touched if change.asset.startswith(BENEFIT_PREFIX))
    return {
        "points": member.sum_of(POINTS),
        "points_held": member.points_held,
        "points_owed": member.owed,
        "stored_value": [{"currency": currency, "amount_minor": amount} for currency, amount in sorted(stored.items())],
        "benefits": [_benefit_left(member, asset, names, catalogue) for asset in benefits],
    }


def _benefit_left(
    member: MemberState, asset: str, names: LocalizedNames, catalogue: Mapping[str, BenefitDefinition]
) -> dict[str, Any]:
    benefit_id, left = asset.removeprefix(BENEFIT_PREFIX), member.sum_of(asset)
    definition = catalogue.get(benefit_id)
    left_today = None
    if definition is not None and definition.per_day is not None:
        left_today = min(left, definition.per_day - member.used_today.get(benefit_id, 0))
        if definition.per_month is not None:
            left_today = min(left_today, definition.per_month - member.used_month.get(benefit_id, 0))
        left_today = max(0, left_today)
    return {
        "benefit_id": benefit_id,
        "name": _benefit_name(asset, names),
        "remaining_uses": left,
        "left_today": left_today,
    }


def _moved(movement: Movement) -> dict[str, int]:
    """What the sentence tells of each asset: what was taken or given, whichever way the member sees it."""
    if movement.kind == "capture":
        return {asset: amount for asset, amount in movement.redeemed.items() if amount > 0}
    return {change.asset: abs(change.available) or abs(change.held) for change in movement.changes}


def _bill(movement: Movement) -> dict[str, Any] | None:
    if movement.bill is None:
        return None
    discount: int | None = None
    if movement.kind in ("redeem", "hold", "identify"):
        discount = sum(leg["value_minor"] for leg in movement.legs)
    amount = movement.bill["amount_minor"]
    return {
        "reference": movement.bill.get("reference"),
        "amount_minor": amount,
        "discount_minor": discount,
        "payable_minor": None if discount is None else amount - discount,
        "currency": movement.bill["currency"],
    }


def _code(used: CodeUsed | None) -> dict[str, Any] | None:
    if used is None:
        return None
    if used.device_number is not None:
        return {"form": "offline", "device_id": device_id(used.device_number), "step": used.slot}
    return {"form": "scan", "expires_at": instant(expires_at(used.slot) * 1000)}


def _currency(movement: Movement) -> str | None:
    """The currency of the bill; where there is none, that of the stored value that moved."""
    if movement.bill is not None:
        return str(movement.bill["currency"])
    assets = (change.asset for change in movement.changes)
    return next((asset for asset in assets if asset != POINTS and not asset.startswith(BENEFIT_PREFIX)), None)


def _leg(leg: Mapping[str, Any], names: LocalizedNames, currency: str | None) -> dict[str, Any]:
    document = {"kind": leg["kind"], UNIT[leg["kind"]]: leg[UNIT[leg["kind"]]], "value_minor": leg["value_minor"]}
    if leg["kind"] == "benefit":
        document["benefit_id"] = leg["benefit_id"]
        document["name"] = names.benefits.get(leg["benefit_id"], leg["benefit_id"])
    elif leg["kind"] == "stored_value":
        document["currency"] = currency
    return document


def _change(change: Change, names: LocalizedNames) -> dict[str, Any]:
    return {
        **_asset(change.asset, names),
        "available": change.available,
        "held": change.held,
        "lots": [
            {
                "issuer": lot.issuer,
                "issuer_name": names.businesses.get(lot.issuer, lot.issuer),
                "amount": lot.amount,
                "expires_month": month(lot.expires_month),
            }
            for lot in change.lots
        ],
    }


def _asset(asset: str, names: LocalizedNames) -> dict[str, Any]:
    if asset == POINTS:
        return {"kind": "points"}
    if asset.startswith(BENEFIT_PREFIX):
        return {
            "kind": "benefit",
            "benefit_id": asset.removeprefix(BENEFIT_PREFIX),
            "name": _benefit_name(asset, names),
        }
    return {"kind": "stored_value", "currency": asset}


def _benefit_name(asset: str, names: LocalizedNames) -> str:
    benefit_id = asset.removeprefix(BENEFIT_PREFIX)
    return names.benefits.get(benefit_id, benefit_id)
