"""What is left of a bill while the legs of a basket take from it, and how much each benefit takes.

Guarantees: nothing left is ever negative; what is taken from the bill is taken from its parts, to the minor unit. The
parts are the bill's categories and, last, the amount that no line names; the latter counts only for rules without
categories. A benefit takes from all its parts in proportion to what is left of them, so that no category is used up
because of its name; the odd minor units fall where the running sum, rounded down, passes a whole number.
"""

from collections.abc import Collection

from redemption.domain.commands import Bill
from redemption.rules.definitions import AmountOff, Discount, Item, PercentOff

_UNNAMED = ""  # no category is empty (redemption/domain/commands.py), so no rule can name this part


class Remainder:
    """`left` of the whole bill, and of its parts where a rule of the basket asks for categories."""

    __slots__ = ("left", "parts")

    def __init__(self, left: int, parts: dict[str, int] | None) -> None:
        self.left = left
        self.parts = parts

    def copy(self) -> "Remainder":
        return Remainder(self.left, None if self.parts is None else dict(self.parts))

    def eligible(self, categories: Collection[str] | None) -> int:
        """What a rule for `categories` (None: for all) may still take."""
        if categories is None:
            return self.left
        assert self.parts is not None, "a remainder without parts was asked for categories"
        return min(self.left, sum(amount for category, amount in self.parts.items() if category in categories))

    def take(self, value: int, categories: Collection[str] | None) -> None:
        """Takes `value`, at most `eligible(categories)`, from the parts that may give it."""
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
    """The whole bill. Lines of one category are one part; lines beyond the amount of the bill give no more than it."""
    if not by_category:
        return Remainder(bill.amount_minor, None)
    sums: dict[str, int] = {}
    for line in bill.lines:
        sums[line.category] = sums.get(line.category, 0) + line.amount_minor
    parts = {category: sums[category] for category in sorted(sums)}
    parts[_UNNAMED] = max(0, bill.amount_minor - sum(sums.values()))
    return Remainder(bill.amount_minor, parts)


def eligible_of(bill: Bill, categories: Collection[str] | None) -> int:
    """What of a whole bill, before any leg, a rule for `categories` counts."""
    if categories is None:
        return bill.amount_minor
    return min(bill.amount_minor, sum(line.amount_minor for line in bill.lines if line.category in categories))


def value_on(discount: Discount, uses: int, eligible: int) -> int:
    """What `uses` of a benefit take off `eligible`; 0 when one of the uses would be wasted, and for no discount."""
    if isinstance(discount, PercentOff):
        value = eligible * discount.percent // 100
        return value if discount.maximum_minor is None else min(value, discount.maximum_minor)
    each = value_of_one(discount)
    if (uses - 1) * each >= eligible:
        return 0
    return min(uses * each, eligible)


def value_of_one(discount: Discount) -> int:
    """The face value of one use; 0 for a percentage, which has none, and for no discount."""
    if isinstance(discount, AmountOff):
        return discount.amount_minor
    return discount.value_minor if isinstance(discount, Item) else 0


def uses_that_fit(discount: Discount, eligible: int) -> int:
    """How many uses at most take something off `eligible`."""
    if isinstance(discount, PercentOff):
        return 1 if value_on(discount, 1, eligible) else 0
    each = value_of_one(discount)
    return -(-eligible // each) if each else 0
