"""Earning: rates, categories, level, bonus, rounding."""

from fractions import Fraction

from redemption.domain.commands import Bill, BillLine
from redemption.domain.limits import AMOUNT_MINOR_MAX, POINTS_MAX
from redemption.rules.definitions import EarnRate, EarnRules, TierRules
from redemption.rules.earning import earned, growth_value, points_by_tier

TIERS = {"standard": TierRules(), "gold": TierRules(150)}


def bill(amount: int, **lines: int) -> Bill:
    return Bill("T-1", amount, "CNY", None, tuple(BillLine(category, part) for category, part in lines.items()))


def test_one_point_a_yuan_and_half_a_point_at_thin_margins() -> None:
    assert earned(EarnRules(), bill(25_850)) == Fraction(517, 2)
    assert earned(EarnRules(per_minor=200), bill(25_850)) == Fraction(517, 4)


def test_categories_have_their_own_rate_and_the_rest_the_business_s() -> None:
    rules = EarnRules(categories={"tobacco": EarnRate(0), "spa": EarnRate(2)})
    assert earned(rules, bill(10_000, tobacco=4_000, spa=1_000, dining=2_000)) == 70  # 20 spa, 20 dining, 30 unnamed


def test_rounding_is_down_and_once() -> None:
    rules = EarnRules()
    base = earned(rules, bill(25_850, dining=12_950, spa=12_900))
    assert base == Fraction(517, 2)  # 258.5: lines lose nothing
    assert points_by_tier(rules, base, TIERS) == {"standard": (258, 284), "gold": (387, 426)}
    assert growth_value(base) == 258  # neither level nor bonus


def test_level_of_nought_earns_nothing_and_points_stay_within_the_limit() -> None:
    rules = EarnRules(points=100, per_minor=1)
    base = earned(rules, bill(AMOUNT_MINOR_MAX))
    assert points_by_tier(rules, base, {"staff": TierRules(0), "top": TierRules(1_000)}) == {
        "staff": (0, 0),
        "top": (POINTS_MAX, POINTS_MAX),
    }
