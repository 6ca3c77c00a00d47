"""The value of each leg of a basket: what it takes off the bill, and what is left of the bill while legs take from it.

Guarantees: pure; every cashier gets the same answer; values and outcome do not depend on the order of the legs. A
basket is granted whole or refused whole (eligibility.py says why). No value is negative, their sum is at most the bill,
and each is rounded down once. What is left of a bill is never negative, and its parts add up to it, to the minor unit.

Legs take from the bill in one canonical order: benefits (percentages, then amounts, then items, then those without
money; equal ones by id), then points, then stored value (the smaller leg first). docs/reference/rules.md has it with
examples.

The parts of a bill are its categories and, last, the amount that no line names; the latter counts only for rules
without categories. A leg takes from all its parts in proportion to what is left of them, so that no category is used up
because of its name; the odd minor units fall where the running sum, rounded down, passes a whole number.

Does not guarantee: that the member has what the legs take (uses, level, points, stored value). The hot-store function
decides that.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.outcomes import NO_REFUSAL, Refusal
from redemption.rules.definitions import (
    AmountOff,
    BenefitDefinition,
    Discount,
    Item,
    NoDiscount,
    PercentOff,
    PointRules,
)
from redemption.rules.eligibility import (
    Place,
    basket_objection,
    benefit_exceeds_bill,
    points_exceed_bill,
    stored_value_exceeds_bill,
)

_DISCOUNTS: Final = (PercentOff, AmountOff, Item, NoDiscount)
_POINTS_RANK: Final = len(_DISCOUNTS)
_STORED_VALUE_RANK: Final = _POINTS_RANK + 1
_UNNAMED: Final = ""  # no category is empty (redemption/domain/commands.py), so no rule can name this part


class Priced(NamedTuple):
    """`verdict`: `NO_REFUSAL` or the objection. `values`: minor units by leg, as the request has them; () if refused.

    Without a bill a value is the face value: what the leg would take off a bill that is large enough.
    """

    verdict: Refusal
    values: tuple[int, ...]


def price(
    place: Place, catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...], bill: Bill | None, local: datetime
) -> Priced:
    """Return the verdict on a basket and the value of each leg.

    `local` is now, in the outlet's zone; the bill is in the place's currency. Every scan calls this; its benchmarks are
    `python -m tests.measure_path` and `make bench`.
    """
    refusal = basket_objection(place, catalogue, legs, bill, local)
    if refusal is not None:
        return Priced(refusal, ())
    if bill is None:
        return Priced(NO_REFUSAL, tuple([_face_value(place, catalogue, leg) for leg in legs]))
    remainder = remainder_of(bill, by_category=_names_categories(place, catalogue, legs))
    share_left = points_share(place.points, bill)
    values = [0] * len(legs)
    for index in canonical_order(catalogue, legs):
        leg = legs[index]
        if isinstance(leg, PointsLeg):
            categories = place.points.categories
            room = min(remainder.eligible(categories), share_left)
            value = points_value(place.points, leg.points)
            if value > room:
                most = points_within(place.points, room)
                return Priced(points_exceed_bill(leg.points, index, value, room, most), ())
            share_left -= value
        elif isinstance(leg, BenefitLeg):
            definition = catalogue[leg.benefit_id]
            categories = definition.categories
            room = remainder.eligible(categories)
            value = value_on(definition.discount, leg.uses, room)
            if value == 0 and not isinstance(definition.discount, NoDiscount):
                face_value = leg.uses * value_of_one(definition.discount)
                return Priced(benefit_exceeds_bill(leg.benefit_id, index, face_value, room), ())
        else:
            categories, room, value = None, remainder.left, leg.amount_minor
            if value > room:
                return Priced(stored_value_exceeds_bill(index, value, room), ())
        remainder.take(value, categories)
        values[index] = value
    return Priced(NO_REFUSAL, tuple(values))


def _face_value(place: Place, catalogue: Mapping[str, BenefitDefinition], leg: Leg) -> int:
    if isinstance(leg, PointsLeg):
        return points_value(place.points, leg.points)
    if isinstance(leg, BenefitLeg):
        return leg.uses * value_of_one(catalogue[leg.benefit_id].discount)
    return leg.amount_minor


def _names_categories(place: Place, catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...]) -> bool:
    """Return whether a rule of the basket names categories; where none does, the whole bill is enough."""
    for leg in legs:
        if isinstance(leg, PointsLeg):
            if place.points.categories is not None:
                return True
        elif isinstance(leg, BenefitLeg) and catalogue[leg.benefit_id].categories is not None:
            return True
    return False


def canonical_order(catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...]) -> Sequence[int]:
    """Return the indexes of the legs in the order in which they take from the bill. The catalogue has every benefit."""
    if len(legs) < 2:
        return range(len(legs))
    return sorted(range(len(legs)), key=lambda index: (*_rank(catalogue, legs[index]), index))


def _rank(catalogue: Mapping[str, BenefitDefinition], leg: Leg) -> tuple[int, int, str]:
    if isinstance(leg, BenefitLeg):
        return rank_of(catalogue[leg.benefit_id].discount), 0, leg.benefit_id
    if isinstance(leg, PointsLeg):
        return _POINTS_RANK, leg.points, ""
    return _STORED_VALUE_RANK, leg.amount_minor, ""


def rank_of(discount: Discount) -> int:
    """Return the place of a kind of discount in the canonical order."""
    return _DISCOUNTS.index(type(discount))


class Remainder:
    """`left` of the whole bill, and of its parts where a rule of the basket asks for categories."""

    __slots__ = ("left", "parts")

    def __init__(self, left: int, parts: dict[str, int] | None) -> None:
        self.left = left
        self.parts = parts

    def copy(self) -> "Remainder":
        return Remainder(self.left, None if self.parts is None else dict(self.parts))

    def eligible(self, categories: Collection[str] | None) -> int:
        """Return how much a rule for `categories` (None: for all) may still take."""
        if categories is None:
            return self.left
        assert self.parts is not None, "a remainder without parts was asked for categories"
        return min(self.left, sum(amount for category, amount in self.parts.items() if category in categories))

    def take(self, value: int, categories: Collection[str] | None) -> None:
        """Take `value`, at most `eligible(categories)`, from the parts that may give it."""
        self.left -= value
        parts = self.parts
        if parts is None or value == 0:
            return
        givers = [name for name in parts if categories is None or name in categories]
        pool = sum(parts[name] for name in givers)
        passed = taken = 0
        for name in givers:
            passed += parts[name]
            due = value * passed // pool
            parts[name] -= due - taken
            taken = due


def remainder_of(bill: Bill, *, by_category: bool) -> Remainder:
    """Return the whole bill before any leg, divided into parts if `by_category`.

    Lines of one category are one part; lines beyond the amount of the bill give no more than it.
    """
    if not by_category:
        return Remainder(bill.amount_minor, None)
    sums: dict[str, int] = {}
    for line in bill.lines:
        sums[line.category] = sums.get(line.category, 0) + line.amount_minor
    parts = {category: sums[category] for category in sorted(sums)}
    parts[_UNNAMED] = max(0, bill.amount_minor - sum(sums.values()))
    return Remainder(bill.amount_minor, parts)


def value_on(discount: Discount, uses: int, eligible: int) -> int:
    """Return what `uses` of a benefit take off `eligible`; 0 when a use would be wasted, and for no discount."""
    if isinstance(discount, PercentOff):
        value = eligible * discount.percent // 100
        return value if discount.maximum_minor is None else min(value, discount.maximum_minor)
    each = value_of_one(discount)
    if (uses - 1) * each >= eligible:
        return 0
    return min(uses * each, eligible)


def value_of_one(discount: Discount) -> int:
    """Return the face value of one use; 0 for a percentage, which has none, and for no discount."""
    if isinstance(discount, AmountOff):
        return discount.amount_minor
    return discount.value_minor if isinstance(discount, Item) else 0


def uses_that_fit(discount: Discount, eligible: int) -> int:
    """Return how many uses at most take something off `eligible`."""
    if isinstance(discount, PercentOff):
        return 1 if value_on(discount, 1, eligible) else 0
    each = value_of_one(discount)
    return -(-eligible // each) if each else 0


def points_share(rules: PointRules, bill: Bill) -> int:
    """Return how much of a bill points may cover at most, in minor units, rounded down."""
    return bill.amount_minor * rules.share_percent // 100


def points_value(rules: PointRules, points: int) -> int:
    """Return what `points` are worth, in minor units, rounded down."""
    return points * rules.worth_minor // rules.worth_points


def points_within(rules: PointRules, room: int) -> int:
    """Return the most points whose value is at most `room` minor units."""
    return ((room + 1) * rules.worth_points - 1) // rules.worth_minor
