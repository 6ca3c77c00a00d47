"""The quote of a chosen basket for one member: the values of its legs, or the refusal.

Guarantees: pure; the same outcome and values as functions/redeem.lua and `price` of pricing.py give for the same
holding, so that a page can show a saving before it is taken and never has to compute one itself
(tests/property/test_rules_quote_random.py).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from msgspec import structs

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.eligibility import Place, state_detail, tier_objection
from redemption.rules.offers import Holding, remaining_uses
from redemption.rules.pricing import Priced, price


def quote(
    place: Place,
    catalogue: Mapping[str, BenefitDefinition],
    ranks: Mapping[str, int],
    holding: Holding,
    legs: tuple[Leg, ...],
    bill: Bill | None,
    local: datetime,
) -> Priced:
    """Return the verdict on a basket and its values for a member's holding. Arguments are those of `offers`."""
    priced = price(place, catalogue, legs, bill, local)
    found = None if priced.verdict.outcome is Outcome.APPLIED else priced.verdict
    assets: Counter[str] = Counter()
    for (asset, _), amount in holding.lots.items():
        assets[asset] += amount
    used: Counter[str] = Counter()
    for index, leg in enumerate(legs):
        if isinstance(leg, BenefitLeg):
            definition = catalogue.get(leg.benefit_id)
            refusal = None
            if definition is not None and (bill is None or bill.stay is None):
                definition = structs.replace(definition, per_stay=None)  # no stay, no counter of it
            if definition is not None:
                in_lots = assets[f"{BENEFIT_PREFIX}{leg.benefit_id}"] + used[leg.benefit_id]
                left = remaining_uses(leg.benefit_id, definition, holding, in_lots) - used[leg.benefit_id]
                refusal = _benefit_refusal(leg, definition, left, index, holding.tier, ranks)
            if refusal is None:
                used[leg.benefit_id] += leg.uses
                assets[f"{BENEFIT_PREFIX}{leg.benefit_id}"] -= leg.uses
        else:
            is_points = isinstance(leg, PointsLeg)
            asset = POINTS if is_points else place.currency
            asked = leg.points if isinstance(leg, PointsLeg) else leg.amount_minor
            refusal = None
            if asked > assets[asset]:
                outcome = Outcome.POINTS_INSUFFICIENT if is_points else Outcome.STORED_VALUE_INSUFFICIENT
                refusal = Refusal(outcome, index, asked, assets[asset])
            else:
                assets[asset] -= asked
        if refusal is not None and (found is None or refusal.outcome < found.outcome):
            found = refusal
    return priced if found is None else Priced(found, ())


def _benefit_refusal(
    leg: BenefitLeg, definition: BenefitDefinition, left: int, index: int, tier: str, ranks: Mapping[str, int]
) -> Refusal | None:
    """Return the objection of the member's uses and level to a leg; as in the function, uses come first."""
    if leg.uses > left:
        refusal = Refusal(Outcome.BENEFIT_EXHAUSTED, index, leg.uses, max(0, left))
    elif tier_objection(leg.benefit_id, definition, tier, ranks) is not None:
        refusal = Refusal(Outcome.TIER_TOO_LOW, index)
    else:
        return None
    detail = state_detail(definition, leg.benefit_id, refusal)
    return Refusal(refusal.outcome, index, refusal.asked, refusal.available, detail)
