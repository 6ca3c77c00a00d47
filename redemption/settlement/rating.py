"""The arithmetic of settlement: exact, in integers, and so that parts sum to the whole.

Guarantees: `split` always sums to its total; `amounts` of the issuers of one use under one agreement sum to the amount
of the whole (before caps); what is given back bit by bit sums to exactly what was settled.
"""

from collections.abc import Sequence

from redemption.settlement.definitions import (
    AgreedPrice,
    AgreementDefinition,
    FixedFee,
    Proportion,
    PurchasePrice,
    Rounding,
)


def divided(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Return the quotient in whole numbers. Half-up and down both speak of the amount without its sign (-2.5 is -3)."""
    sign = -1 if numerator < 0 else 1
    size = abs(numerator)
    if rounding == "half_up":
        return sign * ((2 * size + denominator) // (2 * denominator))
    return sign * (size // denominator)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` (not negative) in proportion to weights, by largest remainder; of equal remainders the first
    wins."""
    if len(weights) == 1:
        return [total]
    whole = sum(weights)
    if whole == 0:
        return [total, *[0] * (len(weights) - 1)]
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def whole_amount(definition: AgreementDefinition, units: int, face_minor: int, units_in_use: int) -> int:
    """Return the price of `units` of a use of `units_in_use` units, rounded once, before cap and tax."""
    rule, rounding = definition.rule, definition.rounding
    match rule:
        case AgreedPrice() | PurchasePrice():
            return divided(units * rule.price_minor, rule.per_units, rounding)
        case Proportion():
            return divided(face_minor * rule.basis_points, 10_000, rounding)
        case FixedFee():
            if definition.instrument == "benefit":
                return units * rule.fee_minor
            return divided(rule.fee_minor * units, units_in_use, rounding)


def amounts(
    definition: AgreementDefinition, shares: Sequence[tuple[int, int]], units_in_use: int
) -> list[tuple[int, int]]:
    """Return amount and tax of each issuer of one use under one agreement. `shares` are their (units, face value)."""
    units = [share[0] for share in shares]
    faces = [share[1] for share in shares]
    whole = whole_amount(definition, sum(units), sum(faces), units_in_use)
    # A proportion follows the face values, which were split by units themselves; a price follows the units.
    parts = split(whole, faces if isinstance(definition.rule, Proportion) else units)
    if definition.cap_minor is not None:
        parts = [min(part, definition.cap_minor) for part in parts]
    return [(part, tax_of(definition, part)) for part in parts]


def tax_of(definition: AgreementDefinition, amount_minor: int) -> int:
    """Return the tax on top of an amount, line by line."""
    return divided(amount_minor * definition.tax_basis_points, 10_000, definition.rounding)


def still_to_give_back(settled: int, units: int, returned_units: int, returned: int) -> int:
    """Return what a return settles so that, with what was `returned` before, `returned_units` of `units` are given
    back.

    Cumulative, so that the last unit takes exactly what is left.
    """
    return divided(settled * returned_units, units, "half_up") - returned
