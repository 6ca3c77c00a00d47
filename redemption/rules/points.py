"""What points are worth at a business, and when they may be used there: baskets of points alone.

The first, simple form of basket.py, which takes its place. Pure arithmetic on integers. A point's worth is a fraction,
`worth_minor` for `worth_points`, so that "100 points are one yuan" and "one point is one fen" are both exact; the value
of a leg is rounded down, once: what the bill loses is never more than what the points are worth.
"""

from redemption.domain.commands import Bill, PointsLeg
from redemption.domain.outcomes import NO_REFUSAL, Outcome, Refusal
from redemption.rules.definitions import PointRules

__all__ = ["PointRules", "examine", "value_minor"]


def value_minor(rules: PointRules, points: int) -> int:
    """What `points` take off a bill, in minor units, rounded down."""
    return points * rules.worth_minor // rules.worth_points


def examine(rules: PointRules, legs: tuple[PointsLeg, ...], bill: Bill | None) -> Refusal:
    """The first objection, in order of precedence, that needs no member state; `NO_REFUSAL` when there is none."""
    found = NO_REFUSAL
    off_bill = 0
    for index, leg in enumerate(legs):
        off_bill += value_minor(rules, leg.points)
        objection = _leg_objection(rules, leg, index)
        if objection is None and bill is not None and off_bill > bill.amount_minor:
            objection = Refusal(Outcome.EXCEEDS_BILL, index, off_bill, bill.amount_minor)
        if objection is not None and (found is NO_REFUSAL or objection.outcome < found.outcome):
            found = objection
    return found


def _leg_objection(rules: PointRules, leg: PointsLeg, index: int) -> Refusal | None:
    if not rules.accepted:
        return Refusal(Outcome.LEG_NOT_ALLOWED_HERE, index)
    if leg.points < rules.minimum_points:
        return Refusal(Outcome.POINTS_BELOW_MINIMUM, index, leg.points, rules.minimum_points)
    return None
