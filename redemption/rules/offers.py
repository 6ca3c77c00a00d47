"""What a member may use at a place for a bill, and the best basket: the arithmetic behind `POST /v1/prepare`.

Guarantees: pure. Whatever is offered (a benefit's one use, the points, the stored value, the best basket) is granted by
`price` of basket.py and covered by the holding it was made from; test_rules_offers_random.py holds the two together.
Each maximum holds on its own, not beside the others; the best basket is one that holds together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redemption.domain.commands import BenefitLeg, Bill, Leg
from redemption.domain.limits import AMOUNT_MINOR_MAX, BENEFIT_USES_MAX
from redemption.domain.outcomes import Outcome, Refusal
from redemption.rules.basket import Place, price
from redemption.rules.best import Candidate, PointsSupply, best_basket
from redemption.rules.definitions import POINTS, BenefitDefinition, NoDiscount
from redemption.rules.eligibility import points_objection
from redemption.rules.remainder import eligible_of, uses_that_fit, value_on

_BENEFIT_ASSET = "benefit:"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a member has: `lots` by (asset, lot) with what may be spent of each now, and the uses that caps count."""

    tier: str
    lots: Mapping[tuple[str, str], int]
    used_today: Mapping[str, int]
    used_month: Mapping[str, int]
    used_stay: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Offer:
    """One benefit the member holds. `value_minor`: what one use alone takes off this bill (its face value without a
    bill). `remaining_uses`: what lots and caps leave, whether or not it may be used here and now."""

    benefit_id: str
    usable: bool
    value_minor: int
    remaining_uses: int
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Offers:
    """All that may be used. Usable benefits first, dearest first, then by id. `best_legs` is empty where nothing can be
    saved and without a bill; `best_exact` is False where the search was cut short (best.py has the limits)."""

    benefits: tuple[Offer, ...]
    points_maximum: int
    points_value_minor: int
    stored_value_maximum_minor: int
    best_legs: tuple[Leg, ...]
    best_value: int
    best_exact: bool


def offers(
    place: Place,
    catalogue: Mapping[str, BenefitDefinition],
    ranks: Mapping[str, int],
    holding: Holding,
    bill: Bill | None,
    local: datetime,
) -> Offers:
    """Everything a till may propose. `ranks`: rank by tier; `local` is now, in the outlet's zone."""
    assets = _by_asset(holding)
    listed = [
        _offer(place, catalogue, ranks, holding, asset.removeprefix(_BENEFIT_ASSET), amount, bill, local)
        for asset, amount in assets.items()
        if asset.startswith(_BENEFIT_ASSET)
    ]
    listed.sort(key=lambda offer: (not offer.usable, -offer.value_minor, offer.benefit_id))
    supply = _supply(place, assets.get(POINTS, 0), bill)
    points, points_value = supply.within(_points_room(place, bill))
    stored_value = min(assets.get(place.currency, 0), AMOUNT_MINOR_MAX if bill is None else bill.amount_minor)
    best_legs: tuple[Leg, ...] = ()
    best_value, exact = 0, True
    if bill is not None:
        candidates = _candidates(catalogue, listed, bill)
        best_legs, best_value, exact = best_basket(catalogue, candidates, supply, bill)
    return Offers(tuple(listed), points, points_value, stored_value, best_legs, best_value, exact)


def remaining_uses(benefit_id: str, definition: BenefitDefinition, holding: Holding, in_lots: int) -> int:
    """What lots and caps leave of a benefit; never negative."""
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
        refusal = _first(refusal, _exhausted(benefit_id, left), _too_low(benefit_id, definition, holding.tier, ranks))
    return Offer(benefit_id, refusal is None, sum(priced.values), left, refusal)


def _exhausted(benefit_id: str, left: int) -> Refusal | None:
    if left > 0:
        return None
    return Refusal(Outcome.BENEFIT_EXHAUSTED, 0, 1, 0, f"{benefit_id} has no use left for now")


def _too_low(benefit_id: str, definition: BenefitDefinition, tier: str, ranks: Mapping[str, int]) -> Refusal | None:
    wanted = definition.minimum_tier
    if wanted is None or (wanted in ranks and ranks.get(tier, -1) >= ranks[wanted]):
        return None
    return Refusal(Outcome.TIER_TOO_LOW, 0, detail=f"{benefit_id} is for {wanted} and above, the member is {tier}")


def _first(*refusals: Refusal | None) -> Refusal | None:
    found = [refusal for refusal in refusals if refusal is not None]
    return min(found, key=lambda refusal: refusal.outcome) if found else None


def _supply(place: Place, balance: int, bill: Bill | None) -> PointsSupply:
    """The points that may be used here at all: none where the business's terms stand against them."""
    rules = place.points
    if points_objection(rules, max(balance, 1), 0, bill) is not None:
        balance = 0
    return PointsSupply(rules, balance)


def _points_room(place: Place, bill: Bill | None) -> int:
    if bill is None:
        return AMOUNT_MINOR_MAX
    return min(eligible_of(bill, place.points.categories), bill.amount_minor * place.points.share_percent // 100)


def _candidates(catalogue: Mapping[str, BenefitDefinition], listed: list[Offer], bill: Bill) -> list[Candidate]:
    """The usable benefits that save money, with as many uses as the member has and the bill has room for."""
    candidates = []
    for offer in listed:
        if not offer.usable or isinstance(catalogue[offer.benefit_id].discount, NoDiscount):
            continue
        definition = catalogue[offer.benefit_id]
        eligible = eligible_of(bill, definition.categories)
        uses = min(offer.remaining_uses, BENEFIT_USES_MAX, uses_that_fit(definition.discount, eligible))
        candidates.append(Candidate(offer.benefit_id, definition, uses, value_on(definition.discount, uses, eligible)))
    return candidates
