"""What prepare offers is granted by `price` and covered by the holding; the best basket is really the best.

Hypothesis prints a blob that repeats a failure.
"""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.outcomes import NO_REFUSAL
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.eligibility import Place
from redemption.rules.offers import Holding, offers
from redemption.rules.pricing import price
from tests.support.engine.rule_cases import NOON, RANKS, bills, catalogues, granted_to, holdings, places

Catalogue = dict[str, BenefitDefinition]


@given(places, catalogues, holdings(), st.none() | bills())
def test_every_offer_is_granted_and_every_refusal_has_its_reason(
    place: Place, catalogue: Catalogue, holding: Holding, bill: Bill | None
) -> None:
    def granted(*legs: Leg) -> int | None:
        verdict, values = price(place, catalogue, legs, bill, NOON)
        return sum(values) if verdict is NO_REFUSAL and granted_to(holding, catalogue, legs) else None

    made = offers(place, catalogue, RANKS, holding, bill, NOON)
    for offer in made.benefits:
        value = granted(BenefitLeg(offer.benefit_id)) if offer.benefit_id in catalogue else None
        assert offer.usable == (value is not None) == (offer.refusal is None)
        if offer.usable:
            assert offer.value_minor == value
            assert offer.remaining_uses > 0
            assert granted_to(holding, catalogue, (BenefitLeg(offer.benefit_id, offer.remaining_uses),))
            assert not granted_to(holding, catalogue, (BenefitLeg(offer.benefit_id, offer.remaining_uses + 1),))
    held = {asset.removeprefix("benefit:") for asset, _ in holding.lots if asset.startswith("benefit:")}
    assert {offer.benefit_id for offer in made.benefits} == held
    if made.points_maximum:
        assert granted(PointsLeg(made.points_maximum)) == made.points_value_minor > 0
    if made.stored_value_maximum_minor:
        assert granted(StoredValueLeg(made.stored_value_maximum_minor)) == made.stored_value_maximum_minor
        assert granted(StoredValueLeg(made.stored_value_maximum_minor + 1)) is None
    assert granted(*made.best_legs) == made.best_value


@given(places, holdings(), st.none() | bills())
def test_no_number_of_points_takes_off_more_than_the_maximum(place: Place, holding: Holding, bill: Bill | None) -> None:
    made = offers(place, {}, RANKS, holding, bill, NOON)
    balance = sum(left for (asset, _), left in holding.lots.items() if asset == "points")
    values = {
        points: sum(price(place, {}, (PointsLeg(points),), bill, NOON).values) for points in range(1, balance + 1)
    }
    assert made.points_value_minor == max(values.values(), default=0)
    if made.points_maximum:
        assert made.points_maximum == min(
            points for points, value in values.items() if value == made.points_value_minor
        )


Key = tuple[int, int, int, tuple[tuple[str, int], ...]]


def best_by_trying_all(place: Place, catalogue: Catalogue, holding: Holding, bill: Bill) -> tuple[Key, set[Leg]]:
    """Every basket there is, priced. No member of rule_cases has more than six uses of a benefit."""
    balance = sum(left for (asset, _), left in holding.lots.items() if asset == "points")
    best: tuple[Key, set[Leg]] = ((0, 0, 0, ()), set())
    for uses in product(range(7), repeat=len(catalogue)):
        chosen = [(name, count) for name, count in zip(catalogue, uses, strict=True) if count]
        benefits = tuple(BenefitLeg(name, count) for name, count in chosen)
        if not granted_to(holding, catalogue, benefits):
            continue
        if price(place, catalogue, benefits, bill, NOON).verdict is not NO_REFUSAL:
            continue
        for points in range(balance + 1):
            legs: tuple[Leg, ...] = (*benefits, PointsLeg(points)) if points else benefits
            verdict, values = price(place, catalogue, legs, bill, NOON)
            if verdict is NO_REFUSAL:
                key = (-sum(values), len(legs), points, tuple(sorted(chosen)))
                best = min(best, (key, set(legs)), key=lambda one: one[0])
    return best


@settings(max_examples=60, deadline=None)
@given(places, catalogues.filter(lambda found: len(found) <= 3), holdings(largest=12), bills(largest=80))
def test_best_basket_is_the_best_of_all(place: Place, catalogue: Catalogue, holding: Holding, bill: Bill) -> None:
    made = offers(place, catalogue, RANKS, holding, bill, NOON)
    key, legs = best_by_trying_all(place, catalogue, holding, bill)
    assert made.best_exact
    assert made.best_value == -key[0]
    assert set(made.best_legs) == legs
    verdict, values = price(place, catalogue, made.best_legs, bill, NOON)
    assert verdict is NO_REFUSAL
    assert sum(values) == made.best_value
    assert granted_to(holding, catalogue, made.best_legs)
