"""Verify does with a basket as its quote says; the bounds that an offer names are exact.

Hypothesis prints a blob that repeats a failure.
"""

from hypothesis import given
from hypothesis import strategies as st

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.outcomes import NO_REFUSAL
from redemption.domain.redemptions import POINTS
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.eligibility import Place
from redemption.rules.offers import Holding, offers
from redemption.rules.pricing import price
from redemption.rules.quote import quote
from tests.support.engine.rule_cases import NOON, RANKS, baskets, bills, catalogues, granted_to, holdings, places

Catalogue = dict[str, BenefitDefinition]


@given(places, catalogues, holdings(), baskets, st.none() | bills())
def test_a_quote_grants_what_rules_and_holding_grant_and_nothing_else(
    place: Place, catalogue: Catalogue, holding: Holding, legs: tuple[Leg, ...], bill: Bill | None
) -> None:
    priced = price(place, catalogue, legs, bill, NOON)
    told = quote(place, catalogue, RANKS, holding, legs, bill, NOON)
    if priced.verdict is not NO_REFUSAL:
        assert told.values == ()
        assert told.verdict.outcome <= priced.verdict.outcome
    elif granted_to(holding, catalogue, legs):
        assert told == priced
    else:
        assert told.values == ()
        assert told.verdict.leg is not None


@given(places, catalogues, holdings(), st.none() | bills())
def test_the_bounds_of_an_offer_are_exact(
    place: Place, catalogue: Catalogue, holding: Holding, bill: Bill | None
) -> None:
    def granted(*legs: Leg) -> bool:
        return quote(place, catalogue, RANKS, holding, legs, bill, NOON).verdict is NO_REFUSAL

    made = offers(place, catalogue, RANKS, holding, bill, NOON)
    usable = [offer for offer in made.benefits if offer.usable]
    for offer in made.benefits:
        assert offer.remaining_uses <= offer.uses_in_all
        if not offer.usable:
            assert offer.max_uses_here == 0
            continue
        assert granted(BenefitLeg(offer.benefit_id, offer.max_uses_here))
        assert not granted(BenefitLeg(offer.benefit_id, offer.max_uses_here + 1))
        for other in usable:
            if other is not offer and other.benefit_id in offer.excludes:
                assert not granted(BenefitLeg(offer.benefit_id), BenefitLeg(other.benefit_id))
                assert offer.benefit_id in other.excludes
        if POINTS in offer.excludes:
            assert not granted(BenefitLeg(offer.benefit_id), PointsLeg(1))
    assert granted(*made.proposed_legs)
    if bill is not None and place.points.preselect == "none":
        assert not any(isinstance(leg, PointsLeg) for leg in made.proposed_legs)
