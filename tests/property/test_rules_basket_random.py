"""What holds for every basket, whatever the rules: nothing negative, parts and whole, order, precedence.

Hypothesis prints a blob that repeats a failure.
"""

from itertools import combinations
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from redemption.domain.commands import BenefitLeg, Bill, BillLine, Leg, PointsLeg, StoredValueLeg
from redemption.domain.outcomes import NO_REFUSAL, Outcome
from redemption.rules.definitions import AmountOff, BenefitDefinition, Item, PercentOff, PointRules
from redemption.rules.eligibility import Place
from redemption.rules.pricing import price, remainder_of
from tests.support.engine.rule_cases import NOON, baskets, benefits, bills, catalogues, places

Catalogue = dict[str, BenefitDefinition]
maybe_bills = st.none() | bills()


@given(places, catalogues, baskets, bills())
def test_payable_is_never_negative_and_no_value_beyond_its_own_bound(
    place: Place, catalogue: Catalogue, legs: tuple[Leg, ...], bill: Bill
) -> None:
    verdict, values = price(place, catalogue, legs, bill, NOON)
    if verdict is not NO_REFUSAL:
        assert values == ()
        assert verdict.detail
        return
    assert len(values) == len(legs)
    assert all(value >= 0 for value in values)
    assert sum(values) <= bill.amount_minor
    by_points = sum(value for leg, value in zip(legs, values, strict=True) if isinstance(leg, PointsLeg))
    assert by_points * 100 <= bill.amount_minor * place.points.share_percent
    for leg, value in zip(legs, values, strict=True):
        if isinstance(leg, PointsLeg):
            assert value == leg.points * place.points.worth_minor // place.points.worth_points
        elif isinstance(leg, StoredValueLeg):
            assert value == leg.amount_minor
        else:
            _within_its_definition(catalogue[leg.benefit_id], leg, value, bill)


def _within_its_definition(definition: BenefitDefinition, leg: BenefitLeg, value: int, bill: Bill) -> None:
    counted = sum(
        line.amount_minor
        for line in bill.lines
        if definition.categories is None or line.category in definition.categories
    )
    if definition.categories is None:
        counted = bill.amount_minor
    assert value <= counted
    match definition.discount:
        case PercentOff(percent, maximum):
            assert 0 < value * 100 <= counted * percent
            assert maximum is None or value <= maximum
        case AmountOff(each) | Item(each):
            assert (leg.uses - 1) * each < value <= leg.uses * each
        case _:
            assert value == 0


@given(places, catalogues, baskets, maybe_bills, st.randoms())
def test_outcome_and_values_do_not_depend_on_the_order_of_legs_and_lines(
    place: Place, catalogue: Catalogue, legs: tuple[Leg, ...], bill: Bill | None, random: Random
) -> None:
    order = list(range(len(legs)))
    random.shuffle(order)
    shuffled = tuple(legs[index] for index in order)
    other = bill and replace(bill, lines=tuple(reversed(bill.lines)))
    one, two = price(place, catalogue, legs, bill, NOON), price(place, catalogue, shuffled, other, NOON)
    assert one.verdict.outcome == two.verdict.outcome
    if one.values:
        pairs = sorted((repr(leg), value) for leg, value in zip(legs, one.values, strict=True))
        assert sorted((repr(leg), value) for leg, value in zip(shuffled, two.values, strict=True)) == pairs


@given(places, catalogues, baskets, maybe_bills)
def test_verdict_is_the_smallest_of_all_that_apply(
    place: Place, catalogue: Catalogue, legs: tuple[Leg, ...], bill: Bill | None
) -> None:
    def verdict_of(*some: Leg) -> Outcome:
        return price(place, catalogue, some, bill, NOON).verdict.outcome

    found = {verdict_of(leg) for leg in legs}
    found |= {verdict_of(*pair) for pair in combinations(legs, 2)}
    found -= {Outcome.APPLIED, Outcome.EXCEEDS_BILL}
    verdict = price(place, catalogue, legs, bill, NOON).verdict
    if found:
        assert verdict.outcome == min(found)
    else:
        assert verdict.outcome in {Outcome.APPLIED, Outcome.EXCEEDS_BILL}
    assert (verdict.leg is None) == (verdict.outcome is Outcome.APPLIED)


def _tightened(definition: BenefitDefinition, with_rules_of: BenefitDefinition) -> list[BenefitDefinition]:
    """The definition with one rule of another added to it or drawn tighter."""
    other = with_rules_of
    spend = max(definition.minimum_spend_minor, other.minimum_spend_minor)
    tight = [replace(definition, minimum_spend_minor=spend), replace(definition, exclusive=True)]
    tight.append(replace(definition, excludes=definition.excludes + other.excludes))
    for rule in ("businesses", "outlets", "weekdays", "hours", "stacking_group", "per_stay", "categories"):
        if getattr(definition, rule) is None:
            tight.append(replace(definition, **{rule: getattr(other, rule)}))
    if isinstance(definition.discount, PercentOff):
        percent, maximum = definition.discount.percent, definition.discount.maximum_minor
        tight.append(replace(definition, discount=PercentOff(percent, 3 if maximum is None else min(maximum, 3))))
    return tight


@given(places, benefits, benefits, st.integers(1, 3), maybe_bills)
def test_added_rule_never_raises_what_a_benefit_takes(
    place: Place, definition: BenefitDefinition, other: BenefitDefinition, uses: int, bill: Bill | None
) -> None:
    def taken(one: BenefitDefinition) -> int:
        return sum(price(place, {"one": one}, (BenefitLeg("one", uses),), bill, NOON).values)

    for tight in _tightened(definition, other):
        assert taken(tight) <= taken(definition)


@given(places, catalogues, baskets, bills(), benefits)
def test_added_rule_never_raises_what_a_basket_without_categories_takes(
    place: Place, catalogue: Catalogue, legs: tuple[Leg, ...], bill: Bill, other: BenefitDefinition
) -> None:
    plain = {name: replace(one, categories=None) for name, one in catalogue.items()}
    place = Place(place.business_id, place.outlet_id, place.currency, replace(place.points, categories=None))
    before = price(place, plain, legs, bill, NOON)
    if before.verdict is not NO_REFUSAL:
        return
    for name, definition in plain.items():
        for tight in _tightened(definition, replace(other, categories=None)):
            after = price(place, plain | {name: tight}, legs, bill, NOON)
            assert sum(after.values) <= sum(before.values)


@given(places, st.integers(1, 60), maybe_bills, st.integers(1, 100), st.integers(1, 60))
def test_added_rule_never_raises_what_points_take(
    place: Place, points: int, bill: Bill | None, share: int, minimum: int
) -> None:
    rules = place.points

    def taken(terms: PointRules) -> int:
        at = Place(place.business_id, place.outlet_id, place.currency, terms)
        return sum(price(at, {}, (PointsLeg(points),), bill, NOON).values)

    tight = [replace(rules, accepted=False), replace(rules, minimum_points=max(minimum, rules.minimum_points))]
    tight.append(replace(rules, share_percent=min(share, rules.share_percent)))
    if rules.categories is None:
        tight.append(replace(rules, categories=("spa",)))
    assert all(taken(terms) <= taken(rules) for terms in tight)


@given(bills(), st.lists(st.tuples(st.none() | st.sampled_from([("dining",), ("spa", "other")]), st.integers(1, 40))))
@example(Bill("T-1", 10, "CNY", None, (BillLine("dining", 3), BillLine("spa", 3), BillLine("other", 3))), [(None, 2)])
def test_parts_of_a_bill_always_add_up_to_what_is_left(
    bill: Bill, takes: list[tuple[tuple[str, ...] | None, int]]
) -> None:
    remainder, left = remainder_of(bill, by_category=True), bill.amount_minor
    for categories, wanted in takes:
        value = min(wanted, remainder.eligible(categories))
        remainder.take(value, categories)
        left -= value
        assert remainder.parts is not None
        assert remainder.left == left == sum(remainder.parts.values())
        assert all(amount >= 0 for amount in remainder.parts.values())
