"""The decimals of currencies: one table for the whole product, from the list that ISO 4217's maintainer publishes.

Guarantees: every amount that is read from text or printed goes by `decimals_of`. The pages carry the same table
(gateway/pages/product_tables.py writes it for them), because a browser's own table is about display habits: it says 0
for IQD, which has 3. A test pins the table, so that a new edition of the list cannot move the point of booked amounts
without somebody deciding it.
"""

from collections.abc import Mapping
from typing import Final

from iso4217 import Currency

DECIMALS_MOST: Final = 2
"""The decimals of nearly all currencies."""

_TABLE: Final[Mapping[str, int]] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}
DECIMALS_MAX: Final = max(_TABLE.values())


def is_currency(code: str) -> bool:
    """Return whether the code is one of a currency with a minor unit; precious metals and test codes are not."""
    return code in _TABLE


def decimals_of(code: str | None) -> int:
    """Return how many decimals the minor unit of a currency has.

    A code that is not in the list (a currency that was abolished after something was booked in it) has 2; a group file
    with such a code is refused, so that nothing new is booked by this guess.
    """
    return _TABLE.get(code or "", DECIMALS_MOST)


def other_decimals() -> dict[str, int]:
    """Return the currencies that do not have 2 decimals, by code in alphabetical order."""
    return {code: decimals for code, decimals in sorted(_TABLE.items()) if decimals != DECIMALS_MOST}
