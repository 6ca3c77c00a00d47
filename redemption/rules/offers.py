"""Offers to a member at a place for a bill, and the best basket: the arithmetic behind `POST /v1/prepare`.

Guarantees: pure. Everything offered (a benefit's one use, the points, the stored value, the best basket) is granted by
`price` of pricing.py and covered by the holding it was made from; test_rules_offers_random.py holds the two together.
Each maximum holds on its own, not beside the others; the best basket is one that holds together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.limits import AMOUNT_MINOR_MAX, BENEFIT_USES_MAX
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS
from redemption.rules.best import Candidate, PointsSupply, best_basket
from redemption.rules.definitions import BenefitDefinition, NoDiscount
from redemption.rules.eligibility import (
    Place,
    eligible_of,
    exhaustion_objection,
    not_together,
    points_objection,
    tier_objection,
)
from redemption.rules.pricing import points_share, price, uses_that_fit, value_on


@dataclass(frozen=True, slots=True)
class Holding:
    """A member's holding: `lots` by (asset, lot) with the amount to spend of each, and the uses that caps count."""

    tier: str
    lots: Mapping[tuple[str, str], int]
    used_today: Mapping[str, int]
    used_month: Mapping[str, int]
    used_stay: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Offer:
    """One benefit the member holds. `value_minor`: what one use alone takes off this bill (its face value without a
    bill). `remaining_uses`: what lots and caps leave, whether or not it may be used here and now; `uses_in_all`: what
    the lots hold. `max_uses_here`: the most uses that one basket for this bill may have. `excludes`: the other usable
    benefits, and `POINTS`, that may not stand in one basket with it."""

    benefit_id: str
    usable: bool
    value_minor: int
    remaining_uses: int
    uses_in_all: int
    max_uses_here: int
    refusal: Refusal | None
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offers:
    """All that may be used. Usable benefits first, dearest first, then by id. `best_legs` is empty where nothing can be
    saved and without a bill; `best_exact` is False where the search was cut short (best.py has the limits).
    `proposed_legs` is the basket a till shows first: the best one, without points unless the business preselects them.
    """

    benefits: tuple[Offer, ...]
    points_maximum: int
    points_value_minor: int
    stored_value_maximum_minor: int
    best_legs: tuple[Leg, ...]
    best_value: int
    best_exact: bool
    proposed_legs: tuple[Leg, ...]
    proposed_value: int


def offers(
    place: Place,
    catalogue: Mapping[str, BenefitDefinition],
    ranks: Mapping[str, int],
    holding: Holding,
    bill: Bill | None,
    local: datetime,
) -> Offers:
    """Return everything a till may propose. `ranks`: rank by tier; `local` is now, in the outlet's zone."""
    assets = _by_asset(holding)
    listed = [
        _offer(place, catalogue, ranks, holding, asset.removeprefix(BENEFIT_PREFIX), amount, bill, local)
        for asset, amount in assets.items()
        if asset.startswith(BENEFIT_PREFIX)
    ]
    listed.sort(key=lambda offer: (not offer.usable, -offer.value_minor, offer.benefit_id))
    listed = [_with_exclusions(catalogue, offer, listed) for offer in listed]
    supply = _supply(place, assets.get(POINTS, 0), bill)
    points, points_value = supply.within(_points_room(place, bill))
    stored_value = min(assets.get(place.currency, 0), AMOUNT_MINOR_MAX if bill is None else bill.amount_minor)
    best_legs: tuple[Leg, ...] = ()
    best_value, exact = 0, True
    proposed_legs: tuple[Leg, ...] = ()
    proposed_value = 0
    if bill is not None:
        candidates = _candidates(catalogue, listed, bill)
        best_legs, best_value, exact = best_basket(catalogue, candidates, supply, bill)
        if place.points.preselect == "none" and any(isinstance(leg, PointsLeg) for leg in best_legs):
            without_points = PointsSupply(place.points, 0)
            proposed_legs, proposed_value, _ = best_basket(catalogue, candidates, without_points, bill)
        else:
            proposed_legs, proposed_value = best_legs, best_value
    return Offers(
        tuple(listed),
        points,
        points_value,
        stored_value,
        best_legs,
        best_value,
        exact,
        proposed_legs,
        proposed_value,
    )


def remaining_uses(benefit_id: str, definition: BenefitDefinition, holding: Holding, in_lots: int) -> int:
    """Return the uses that lots and caps leave of a benefit; never negative."""
    left = in_lots
    for cap, used in (
        (definition.per_day, holding.used_today),
        (definition.per_month, holding.used_month),
        (definition.per_stay, holding.used_stay),
    ):
        if cap is not None:
            left = min(left, cap - used.get(benefit_id, 0))
    return max(0, left)


def _by_asset(holding: Holding) -> dict[str, int]:
    assets: dict[str, int] = {}
    for (asset, _), amount in holding.lots.items():
        assets[asset] = assets.get(asset, 0) + amount
    return assets


def _offer(
    place: Place,
    catalogue: Mapping[str, BenefitDefinition],
    ranks: Mapping[str, int],
    holding: Holding,
    benefit_id: str,
    in_lots: int,
    bill: Bill | None,
    local: datetime,
) -> Offer:
    definition = catalogue.get(benefit_id)
    left = in_lots if definition is None else remaining_uses(benefit_id, definition, holding, in_lots)
    priced = price(place, catalogue, (BenefitLeg(benefit_id),), bill, local)
    refusal = priced.verdict if priced.verdict.outcome is not Outcome.APPLIED else None
    if definition is not None:
        too_low = tier_objection(benefit_id, definition, holding.tier, ranks)
        refusal = _first(refusal, exhaustion_objection(benefit_id, left), too_low)
    most = 0 if refusal is not None or definition is None else _most_uses(definition, left, bill)
    return Offer(benefit_id, refusal is None, sum(priced.values), left, in_lots, most, refusal)


def _most_uses(definition: BenefitDefinition, left: int, bill: Bill | None) -> int:
    """Return how many uses one basket may have: a percentage is used once, and no use may take nothing off."""
    most = min(left, BENEFIT_USES_MAX)
    if bill is None or isinstance(definition.discount, NoDiscount):
        return most
    return min(most, uses_that_fit(definition.discount, eligible_of(bill, definition.categories)))


def _with_exclusions(catalogue: Mapping[str, BenefitDefinition], offer: Offer, listed: list[Offer]) -> Offer:
    if not offer.usable:
        return offer
    leg = BenefitLeg(offer.benefit_id)
    excluded = [
        other.benefit_id
        for other in listed
        if other.usable
        and other.benefit_id != offer.benefit_id
        and not_together(catalogue, leg, BenefitLeg(other.benefit_id)) is not None
    ]
    if not_together(catalogue, leg, PointsLeg(1)) is not None:
        excluded.append(POINTS)
    return replace(offer, excludes=tuple(sorted(excluded)))


def _first(*refusals: Refusal | None) -> Refusal | None:
    found = [refusal for refusal in refusals if refusal is not None]
    return min(found, key=lambda refusal: refusal.outcome) if found else None


def _supply(place: Place, balance: int, bill: Bill | None) -> PointsSupply:
    """Return the points that may be used here at all: none where the business's terms refuse them."""
    rules = place.points
    if points_objection(rules, max(balance, 1), 0, bill) is not None:
        balance = 0
    return PointsSupply(rules, balance)


def _points_room(place: Place, bill: Bill | None) -> int:
    if bill is None:
        return AMOUNT_MINOR_MAX
    return min(eligible_of(bill, place.points.categories), points_share(place.points, bill))


def _candidates(catalogue: Mapping[str, BenefitDefinition], listed: list[Offer], bill: Bill) -> list[Candidate]:
    """Return the usable benefits that save money, with as many uses as the member has and the bill has room for."""
    candidates = []
    for offer in listed:
        if not offer.usable or isinstance(catalogue[offer.benefit_id].discount, NoDiscount):
            continue
        definition = catalogue[offer.benefit_id]
        eligible = eligible_of(bill, definition.categories)
        uses = offer.max_uses_here
        candidates.append(Candidate(offer.benefit_id, definition, uses, value_on(definition.discount, uses, eligible)))
    return candidates
