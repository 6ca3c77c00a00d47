"""Earning is exact: however a bill is cut into lines, and never more than its rates allow.

Hypothesis prints a blob that repeats a failure.
"""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from redemption.domain.commands import Bill
from redemption.rules.definitions import EarnRate, EarnRules, TierRules
from redemption.rules.earning import earned, growth_value, points_by_tier
from tests.support.engine.rule_cases import bills

rates = st.builds(EarnRate, st.integers(0, 5), st.integers(1, 300))
rules_of_a_business = st.builds(
    EarnRules,
    points=st.integers(0, 5),
    per_minor=st.integers(1, 300),
    categories=st.dictionaries(st.sampled_from(["dining", "spa"]), rates),
    crossing_bonus_percent=st.integers(0, 100),
)
tiers = st.dictionaries(st.sampled_from(["standard", "gold"]), st.builds(TierRules, st.integers(0, 1_000)))


@given(rules_of_a_business, bills(largest=100_000))
def test_bill_earns_the_sum_of_its_parts(rules: EarnRules, bill: Bill) -> None:
    unnamed = bill.amount_minor - sum(line.amount_minor for line in bill.lines)
    parts = [replace(bill, amount_minor=line.amount_minor, lines=(line,)) for line in bill.lines]
    parts.append(replace(bill, amount_minor=unnamed, lines=()))
    assert earned(rules, bill) == sum(earned(rules, part) for part in parts)


@given(rules_of_a_business, tiers, bills(largest=100_000))
def test_points_are_rounded_down_by_less_than_one(rules: EarnRules, levels: dict[str, TierRules], bill: Bill) -> None:
    base = earned(rules, bill)
    assert 0 <= base - growth_value(base) < 1
    for tier, (points, with_bonus) in points_by_tier(rules, base, levels).items():
        exact = base * levels[tier].earn_percent / 100
        assert 0 <= exact - points < 1
        assert 0 <= exact * (1 + Fraction(rules.crossing_bonus_percent, 100)) - with_bonus < 1
        assert with_bonus >= points
