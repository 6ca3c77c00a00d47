"""Every refusal of the rules: whether a leg may be used here, now, for this bill, and beside which others.

Guarantees: pure. Of several objections the one with the smallest outcome number is returned, of equal ones that of the
leg that comes first; of two legs that may not be used together the later one is named. Each has a sentence that names
the rule and what would help. A rule that speaks of the bill (categories, minimum spend, a percentage, a cap per stay, a
share of the bill) cannot be met without one: it is refused as `bill_below_minimum`, so that no till gets round a rule
by leaving the bill out.

`asked` and `available` of a refusal: points for `points_below_minimum`, else minor units; -1 where they say nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.redemptions import POINTS
from redemption.domain.text import grouped
from redemption.rules.definitions import BenefitDefinition, PercentOff, PointRules
from redemption.rules.schedule import describe, is_open


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a basket is used: the outlet, its business, the currency it bills in and its terms for points."""

    business_id: str
    outlet_id: str
    currency: str
    points: PointRules


def basket_objection(
    place: Place, catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...], bill: Bill | None, local: datetime
) -> Refusal | None:
    """Return the objection to a basket before its values are known; None when there is none."""
    found: Refusal | None = None
    for index, leg in enumerate(legs):
        objection: Refusal | None = None
        if isinstance(leg, PointsLeg):
            objection = points_objection(place.points, leg.points, index, bill)
        elif isinstance(leg, BenefitLeg):
            objection = benefit_objection(place, catalogue.get(leg.benefit_id), leg, index, bill, local)
        if objection is not None and (found is None or objection.outcome < found.outcome):
            found = objection
    if len(legs) > 1:
        return _first_of(found, _stacking_objection(catalogue, legs))
    return found


def _first_of(one: Refusal | None, other: Refusal | None) -> Refusal | None:
    if one is None or other is None:
        return one or other
    assert one.leg is not None
    assert other.leg is not None
    return min(one, other, key=lambda refusal: (refusal.outcome, refusal.leg))


def _stacking_objection(catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...]) -> Refusal | None:
    """Return the objection to the first leg that may not be used beside one before it."""
    apart = (
        (later, reason)
        for earlier, later in combinations(range(len(legs)), 2)
        if (reason := not_together(catalogue, legs[earlier], legs[later])) is not None
    )
    later, reason = min(apart, default=(-1, ""))
    return Refusal(Outcome.NOT_STACKABLE, later, detail=reason) if later >= 0 else None


def eligible_of(bill: Bill, categories: Collection[str] | None) -> int:
    """Return how much of a whole bill, before any leg, a rule for `categories` (None: for all) counts."""
    if categories is None:
        return bill.amount_minor
    return min(bill.amount_minor, sum(line.amount_minor for line in bill.lines if line.category in categories))


def points_objection(rules: PointRules, points: int, index: int, bill: Bill | None) -> Refusal | None:
    """Return the objection of the business's terms to a leg of `points`."""
    if not rules.accepted:
        detail = "This business does not take points; pay this part otherwise"
        return Refusal(Outcome.LEG_NOT_ALLOWED_HERE, index, detail=detail)
    if bill is None:
        if rules.categories is not None or rules.share_percent < 100:
            detail = "Points here depend on the bill; send the bill"
            return Refusal(Outcome.BILL_BELOW_MINIMUM, index, detail=detail)
    elif rules.categories is not None and eligible_of(bill, rules.categories) == 0:
        detail = f"Points here are for {_listed(rules.categories)}; no line of the bill is"
        return Refusal(Outcome.LEG_NOT_ALLOWED_HERE, index, detail=detail)
    if points < rules.minimum_points:
        detail = f"{grouped(points)} points asked, the minimum here is {grouped(rules.minimum_points)}"
        return Refusal(Outcome.POINTS_BELOW_MINIMUM, index, points, rules.minimum_points, detail)
    return None


def benefit_objection(
    place: Place, definition: BenefitDefinition | None, leg: BenefitLeg, index: int, bill: Bill | None, local: datetime
) -> Refusal | None:
    """Return the objection of the benefit's own definition to a leg, the member and the other legs left aside."""
    name = leg.benefit_id
    if definition is None:
        detail = f"There is no benefit {name}; prepare lists the member's benefits"
        return Refusal(Outcome.BENEFIT_UNKNOWN, index, detail=detail)
    return (
        _place_objection(place, definition, name, index)
        or _category_objection(definition, name, index, bill)
        or _moment_objection(definition, name, index, local)
        or _bill_objection(definition, name, index, bill)
        or _uses_objection(definition, leg, index)
    )


def _place_objection(place: Place, definition: BenefitDefinition, name: str, index: int) -> Refusal | None:
    if definition.businesses is not None and place.business_id not in definition.businesses:
        detail = f"{name} is for {_listed(definition.businesses)}, not for {place.business_id}"
    elif definition.outlets is not None and place.outlet_id not in definition.outlets:
        detail = f"{name} is for {_listed(definition.outlets)}, not for {place.outlet_id}"
    else:
        return None
    return Refusal(Outcome.LEG_NOT_ALLOWED_HERE, index, detail=detail)


def _category_objection(definition: BenefitDefinition, name: str, index: int, bill: Bill | None) -> Refusal | None:
    if definition.categories is None or bill is None or eligible_of(bill, definition.categories) > 0:
        return None
    detail = f"{name} is for {_listed(definition.categories)}; no line of the bill is"
    return Refusal(Outcome.LEG_NOT_ALLOWED_HERE, index, detail=detail)


def _moment_objection(definition: BenefitDefinition, name: str, index: int, local: datetime) -> Refusal | None:
    if is_open(definition, local):
        return None
    return Refusal(Outcome.BENEFIT_NOT_NOW, index, detail=f"{name} is for {describe(definition)}")


def _bill_objection(definition: BenefitDefinition, name: str, index: int, bill: Bill | None) -> Refusal | None:
    minimum = definition.minimum_spend_minor
    if bill is None:
        if not needs_bill(definition):
            return None
        detail = f"{name} depends on the bill; send the bill"
        return Refusal(Outcome.BILL_BELOW_MINIMUM, index, 0, minimum, detail)
    if definition.per_stay is not None and bill.stay is None:
        detail = f"{name} is counted per stay; send the number of the stay with the bill"
        return Refusal(Outcome.BILL_BELOW_MINIMUM, index, detail=detail)
    if minimum == 0:
        return None
    spent = eligible_of(bill, definition.categories)
    if spent >= minimum:
        return None
    detail = f"{name} is for at least {grouped(minimum)} minor units; {grouped(minimum - spent)} are missing"
    return Refusal(Outcome.BILL_BELOW_MINIMUM, index, spent, minimum, detail)


def _uses_objection(definition: BenefitDefinition, leg: BenefitLeg, index: int) -> Refusal | None:
    if leg.uses == 1 or not isinstance(definition.discount, PercentOff):
        return None
    return Refusal(Outcome.NOT_STACKABLE, index, detail=f"{leg.benefit_id} is used once per bill; ask for one use")


def needs_bill(definition: BenefitDefinition) -> bool:
    """Return whether a rule of the benefit speaks of the bill."""
    return (
        definition.minimum_spend_minor > 0
        or definition.categories is not None
        or definition.per_stay is not None
        or isinstance(definition.discount, PercentOff)
    )


def points_exceed_bill(points: int, index: int, value: int, room: int, most: int) -> Refusal:
    """Return the refusal of points worth `value` where only `room` minor units, `most` points, may be covered."""
    detail = (
        f"{grouped(points)} points are worth {grouped(value)} minor units, points may cover {grouped(room)} more"
        f" of this bill; use at most {grouped(most)}"
    )
    return Refusal(Outcome.EXCEEDS_BILL, index, value, room, detail)


def benefit_exceeds_bill(name: str, index: int, face_value: int, room: int) -> Refusal:
    """Return the refusal of a benefit of which a use would take nothing off the `room` minor units left for it."""
    detail = f"{name} has {grouped(room)} minor units of this bill left; a use would take nothing off"
    return Refusal(Outcome.EXCEEDS_BILL, index, face_value, room, detail)


def stored_value_exceeds_bill(index: int, value: int, left: int) -> Refusal:
    """Return the refusal of more stored value than is `left` to pay."""
    detail = f"{grouped(value)} minor units asked, {grouped(left)} are left to pay"
    return Refusal(Outcome.EXCEEDS_BILL, index, value, left, detail)


def exhaustion_objection(name: str, left: int) -> Refusal | None:
    """Return the objection to one use of a benefit of which the member has `left`; None when there is one."""
    if left > 0:
        return None
    return Refusal(Outcome.BENEFIT_EXHAUSTED, 0, 1, 0, f"{name} has no use left for now")


def tier_objection(name: str, definition: BenefitDefinition, tier: str, ranks: Mapping[str, int]) -> Refusal | None:
    """Return the objection to a member of `tier`; None when the level is high enough. `ranks`: rank by tier."""
    wanted = definition.minimum_tier
    if wanted is None or (wanted in ranks and ranks.get(tier, -1) >= ranks[wanted]):
        return None
    return Refusal(Outcome.TIER_TOO_LOW, 0, detail=f"{name} is for {wanted} and above, the member is {tier}")


def state_detail(definition: BenefitDefinition | None, name: str, refusal: Refusal) -> str | None:
    """Return the sentence for a benefit that the hot store refused for the member's level or uses; None otherwise."""
    if definition is None:
        return None
    if refusal.outcome is Outcome.TIER_TOO_LOW:
        return f"{name} is for {definition.minimum_tier} and above"
    if refusal.outcome is Outcome.BENEFIT_EXHAUSTED:
        caps = ((definition.per_day, "day"), (definition.per_month, "month"), (definition.per_stay, "stay"))
        most = "".join(f", at most {cap} a {period}" for cap, period in caps if cap is not None)
        asked, left = grouped(refusal.asked), grouped(refusal.available)
        return f"{asked} uses of {name} asked, {left} left{most}"
    return None


def not_together(catalogue: Mapping[str, BenefitDefinition], one: Leg, other: Leg) -> str | None:
    """Return why two legs may not be in one basket; None when they may. An unknown benefit may be beside any leg."""
    if isinstance(one, StoredValueLeg) or isinstance(other, StoredValueLeg):
        return None
    if isinstance(one, PointsLeg):
        return None if isinstance(other, PointsLeg) else _not_with_points(catalogue, other.benefit_id)
    if isinstance(other, PointsLeg):
        return _not_with_points(catalogue, one.benefit_id)
    first, second = one.benefit_id, other.benefit_id
    if first == second:
        return f"{first} is in the basket twice; ask for it once, with the number of uses"
    if first in catalogue and second in catalogue:
        return _benefits_apart(first, catalogue[first], second, catalogue[second])
    return None


def _benefits_apart(first: str, one: BenefitDefinition, second: str, other: BenefitDefinition) -> str | None:
    for name, definition in ((first, one), (second, other)):
        if definition.exclusive:
            return f"{name} is not to be used with other offers; use {first} or {second}"
    if one.stacking_group is not None and one.stacking_group == other.stacking_group:
        return f"only one of {one.stacking_group} may be used; use {first} or {second}"
    if second in one.excludes or first in other.excludes:
        return f"{first} and {second} exclude each other; use one of them"
    return None


def _not_with_points(catalogue: Mapping[str, BenefitDefinition], name: str) -> str | None:
    definition = catalogue.get(name)
    if definition is not None and (definition.exclusive or POINTS in definition.excludes):
        return f"{name} is not to be used with points; use one of them"
    return None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
