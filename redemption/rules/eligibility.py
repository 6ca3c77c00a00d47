"""Whether a leg may be used here, now and for this bill, and beside which others; the values come afterwards.

Guarantees: each function gives its first objection in order of the outcome numbers, with a sentence that names the
rule and what would help. A rule that speaks of the bill (categories, minimum spend, a percentage, a cap per stay, a
share of the bill) cannot be met without one: it is refused as `bill_below_minimum`, so that no till gets round a rule
by leaving the bill out.

`asked` and `available` of a refusal: points for `points_below_minimum`, else minor units; -1 where they say nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.outcomes import Outcome, Refusal
from redemption.rules.definitions import POINTS, BenefitDefinition, PercentOff, PointRules
from redemption.rules.remainder import eligible_of
from redemption.rules.schedule import describe, is_open


@dataclass(frozen=True, slots=True)
class Place:
    """Where a basket is used: the outlet, its business, the currency it bills in and its terms for points."""

    business_id: str
    outlet_id: str
    currency: str
    points: PointRules


def points_objection(rules: PointRules, points: int, index: int, bill: Bill | None) -> Refusal | None:
    """What the business's terms for points have against a leg of `points`."""
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
    """What the benefit's own definition has against a leg, the member and the other legs left aside."""
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


def state_detail(definition: BenefitDefinition | None, name: str, refusal: Refusal) -> str | None:
    """What to say of a benefit that the hot store refused for the member's level or uses; None of anything else."""
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


def needs_bill(definition: BenefitDefinition) -> bool:
    """Whether a rule of the benefit speaks of the bill."""
    return (
        definition.minimum_spend_minor > 0
        or definition.categories is not None
        or definition.per_stay is not None
        or isinstance(definition.discount, PercentOff)
    )


def not_together(catalogue: Mapping[str, BenefitDefinition], one: Leg, other: Leg) -> str | None:
    """Why two legs may not stand in one basket; None when they may. Benefits that are not in the catalogue may."""
    if isinstance(one, StoredValueLeg) or isinstance(other, StoredValueLeg):
        return None
    if isinstance(one, PointsLeg):
        return None if isinstance(other, PointsLeg) else _not_with_points(catalogue, other.benefit_id)
    if isinstance(other, PointsLeg):
        return _not_with_points(catalogue, one.benefit_id)
    first, second = one.benefit_id, other.benefit_id
    if first == second:
        return f"{first} stands in the basket twice; ask for it once, with the number of uses"
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


def grouped(number: int) -> str:
    """A number as people read it: 2 000."""
    return f"{number:,}".replace(",", " ")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
