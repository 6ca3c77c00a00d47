"""Earnings of a purchase: points by level, the bonus for crossing businesses, and growth value.

Guarantees: exact. Every line of the bill counts at its category's rate, what no line names at the business's own; the
sum is multiplied by the level and by the bonus as fractions and rounded down once, at the end, so that a bill cut into
lines earns what it earns whole. All tiers are computed beforehand, because only the hot-store function knows the
member's level and where the previous purchase was.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from msgspec.structs import replace

from redemption.domain.commands import Bill
from redemption.domain.limits import POINTS_MAX
from redemption.rules.definitions import EarnRate, EarnRules, OwnEarnCeilings, TierRules
from redemption.rules.policy import EarnCeilings

_HUNDRED: Final = 100


class Earned(NamedTuple):
    """Whole points of one purchase: without the bonus for crossing businesses, and with it."""

    points: int
    points_with_bonus: int


def earned(rules: EarnRules, bill: Bill) -> Fraction:
    """Return the points that the bill earns before level and bonus. Lines beyond the amount of the bill are refused at
    the edge."""
    own = EarnRate(rules.points, rules.per_minor)
    amounts: dict[EarnRate, int] = {own: max(0, bill.amount_minor - sum(line.amount_minor for line in bill.lines))}
    for line in bill.lines:
        rate = rules.categories.get(line.category, own)
        amounts[rate] = amounts.get(rate, 0) + line.amount_minor
    total = Fraction(0)
    for rate, amount in amounts.items():
        total += Fraction(amount * rate.points, rate.per_minor)
    return total


def points_by_tier(rules: EarnRules, base: Fraction, tiers: Mapping[str, TierRules]) -> dict[str, Earned]:
    """Points of each tier, rounded down once, at most `POINTS_MAX`."""
    return {
        tier: Earned(
            _whole(base * Fraction(terms.earn_percent, _HUNDRED)),
            _whole(base * Fraction(terms.earn_percent * (_HUNDRED + rules.crossing_bonus_percent), _HUNDRED**2)),
        )
        for tier, terms in tiers.items()
    }


def ceilings_of(group: EarnCeilings, own: OwnEarnCeilings) -> EarnCeilings:
    """The ceilings in force at a business: its own where it states one, otherwise the group's."""
    stated = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    return replace(group, **stated) if stated else group


def growth_value(base: Fraction) -> int:
    """Return the growth value, which counts towards the next level: the base without level and bonus, rounded down, at
    most `POINTS_MAX`."""
    return _whole(base)


def _whole(points: Fraction) -> int:
    return min(points.numerator // points.denominator, POINTS_MAX)
