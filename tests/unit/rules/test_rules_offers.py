"""What is offered, in which order, why not, and the limits of the search for the best basket."""

import time
from typing import Any

from redemption.domain.commands import BenefitLeg, PointsLeg
from redemption.domain.limits import LEGS_MAX
from redemption.domain.outcomes import NO_REFUSAL, Outcome
from redemption.rules.best import CANDIDATES_MAX
from redemption.rules.definitions import AmountOff, BenefitDefinition, Item, PercentOff, PointRules
from redemption.rules.offers import Holding, Offers, offers
from redemption.rules.pricing import price
from tests.support.engine.rule_cases import NOON, PLACE, benefit, bill, with_points

RANKS = {"standard": 0, "silver": 1, "gold": 2}
BILL = bill()


def holding(points: int = 0, stored_value: int = 0, tier: Any = "silver", **uses: int) -> Holding:
    lots = {(f"benefit:{name}", "-.hotel"): left for name, left in uses.items()}
    lots |= {("points", "202612.hotel"): points, ("CNY", "-.hotel"): stored_value, ("HKD", "-.hotel"): 10**6}
    return Holding(tier, lots, {"used": 1}, {"used": 2}, {"used": 1})


def offered(
    held: Holding, on: Any = BILL, place: Any = PLACE, **catalogue: BenefitDefinition
) -> tuple[Offers, dict[str, Any]]:
    made = offers(place, catalogue, RANKS, held, on, NOON)
    return made, {offer.benefit_id: offer for offer in made.benefits}


def test_remaining_uses_are_the_least_of_lots_and_caps() -> None:
    on = bill(stay="STAY-7")
    for caps, left in (({}, 9), ({"per_day": 4}, 3), ({"per_month": 4}, 2), ({"per_stay": 2}, 1), ({"per_day": 1}, 0)):
        _, by_id = offered(holding(used=9), on, used=benefit(AmountOff(10), **caps))
        assert by_id["used"].remaining_uses == left
        assert by_id["used"].usable == (left > 0)


def test_reasons_against_a_benefit_keep_the_contract_s_order() -> None:
    high = benefit(AmountOff(10), minimum_tier="gold")
    for held, definition, outcome in (
        (holding(one=1), high, Outcome.TIER_TOO_LOW),
        (holding(one=0), high, Outcome.BENEFIT_EXHAUSTED),
        (holding(one=0), benefit(high.discount, minimum_tier="gold", weekdays=(1,)), Outcome.BENEFIT_NOT_NOW),
        (holding(one=1), benefit(minimum_tier="gold", minimum_spend_minor=10**9), Outcome.TIER_TOO_LOW),
        (holding(one=1, tier="gold"), benefit(minimum_spend_minor=10**9), Outcome.BILL_BELOW_MINIMUM),
    ):
        _, by_id = offered(held, one=definition)
        assert by_id["one"].refusal.outcome is outcome
        assert by_id["one"].refusal.detail


def test_level_asked_for_is_enough_and_an_unknown_one_is_not() -> None:
    for asked, tier, usable in (("silver", "silver", True), ("silver", "gold", True), ("silver", "lost", False)):
        _, by_id = offered(holding(one=1, tier=tier), one=benefit(minimum_tier=asked))
        assert by_id["one"].usable is usable


def test_benefit_that_was_withdrawn_is_listed_as_unknown() -> None:
    _, by_id = offered(holding(gone=2))
    assert by_id["gone"].refusal.outcome is Outcome.BENEFIT_UNKNOWN


def test_usable_benefits_come_first_and_the_dearest_of_them() -> None:
    made, _ = offered(
        holding(a=1, b=1, c=1, d=1), a=benefit(AmountOff(1)), b=benefit(weekdays=(1,)), c=benefit(Item(9)), d=benefit()
    )
    assert [offer.benefit_id for offer in made.benefits] == ["c", "a", "d", "b"]


def test_maxima_follow_balance_bill_share_and_minimum() -> None:
    made, _ = offered(holding(points=30_000, stored_value=40_000))
    assert (made.points_maximum, made.points_value_minor, made.stored_value_maximum_minor) == (25_800, 25_800, 25_800)
    third = with_points(worth_minor=1, worth_points=3, share_percent=50)
    made, _ = offered(holding(points=100), place=third)
    assert (made.points_maximum, made.points_value_minor) == (99, 33)  # the hundredth point would be wasted
    made, _ = offered(holding(points=100), place=with_points(minimum_points=101))
    assert (made.points_maximum, made.points_value_minor, made.best_legs) == (0, 0, ())


def test_without_a_bill_all_that_is_there_is_offered_and_no_basket() -> None:
    made, by_id = offered(holding(points=300, stored_value=7, hour=3), None, hour=benefit(AmountOff(1_000)))
    assert (made.points_maximum, made.stored_value_maximum_minor, made.best_legs) == (300, 7, ())
    assert by_id["hour"].value_minor == 1_000


def test_best_basket_takes_all_hours_and_then_points() -> None:
    made, _ = offered(holding(points=500, hour=3), bill(10_000), hour=benefit(AmountOff(1_000)))
    assert made.best_legs == (BenefitLeg("hour", 3), PointsLeg(500))
    assert (made.best_value, made.best_exact) == (3_500, True)


def test_best_basket_weighs_an_exclusive_benefit_against_the_others() -> None:
    benefits = {"alone": benefit(PercentOff(30), exclusive=True), "off": benefit(PercentOff(20))}
    made, _ = offered(holding(points=999, alone=1, off=1), bill(10_000), **benefits)
    assert made.best_legs == (BenefitLeg("alone"),)
    made, _ = offered(holding(points=1_001, alone=1, off=1), bill(10_000), **benefits)
    assert made.best_legs == (BenefitLeg("off"), PointsLeg(1_001))


def test_equal_baskets_are_told_apart_by_legs_then_points_then_ids() -> None:
    twins = {"b": benefit(AmountOff(50), stacking_group="g"), "a": benefit(AmountOff(50), stacking_group="g")}
    made, _ = offered(holding(a=1, b=1), **twins)
    assert made.best_legs == (BenefitLeg("a"),)
    made, _ = offered(holding(a=1, points=100), bill(50), **twins)
    assert made.best_legs == (BenefitLeg("a"),)  # one leg each; fewer points
    made, _ = offered(holding(a=1, points=100), bill(60), **twins)
    assert made.best_legs == (PointsLeg(60),)  # one leg instead of two


def test_of_equal_baskets_with_as_many_legs_the_fewer_points_win() -> None:
    amounts = {"a": 1_000, "b": 2_000, "c": 100}
    benefits = {name: benefit(AmountOff(amount)) for name, amount in amounts.items()}
    made, _ = offered(holding(points=5_000, a=1, b=1, c=1), bill(6_000), **benefits)
    assert made.best_legs == (BenefitLeg("b"), PointsLeg(4_000))


def test_best_basket_leaves_a_use_where_more_points_then_fit() -> None:
    """Three hours leave 2.00, less than the points taken at least; two hours and 12.00 of points save all."""
    made, _ = offered(
        holding(points=1_500, hour=3), bill(3_200), with_points(minimum_points=500), hour=benefit(AmountOff(1_000))
    )
    assert made.best_legs == (BenefitLeg("hour", 2), PointsLeg(1_200))
    assert (made.best_value, made.best_exact) == (3_200, True)


def test_search_keeps_its_limits_and_what_it_finds_is_granted() -> None:
    catalogue = {
        f"b{number:02}": benefit(
            (PercentOff(3 + number), AmountOff(700 + number), Item(300 + number))[number % 3],
            categories=("dining",) if number % 2 else None,
            stacking_group=f"g{number % 7}" if number % 5 == 0 else None,
        )
        for number in range(40)
    }
    on = bill(100_000, dining=60_000)
    held = holding(points=9_000, **dict.fromkeys(catalogue, 20))
    started = time.process_time()
    made, _ = offered(held, on, with_points(share_percent=50), **catalogue)
    seconds = time.process_time() - started
    assert not made.best_exact
    assert len(catalogue) > CANDIDATES_MAX
    assert len(made.best_legs) <= LEGS_MAX
    assert made.best_value > made.benefits[0].value_minor + made.points_value_minor
    priced = price(with_points(share_percent=50), catalogue, made.best_legs, on, NOON)
    assert priced.verdict is NO_REFUSAL
    assert sum(priced.values) == made.best_value
    assert seconds < 0.5, "40 benefits were offered in 20 ms when this was written"


def test_member_with_nothing_is_offered_nothing() -> None:
    empty = Holding("standard", {}, {}, {}, {})
    assert offers(PLACE, {}, RANKS, empty, BILL, NOON) == Offers((), 0, 0, 0, (), 0, True, (), 0)
    assert PLACE.points == PointRules()
