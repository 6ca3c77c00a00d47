"""Numbers and money as people read them, in the texts that the gateway itself writes: hints, notices.

Amounts are integers of minor units. Pages format by `Intl` and need nothing of this.
"""

from typing import Final

_NO_MINOR_UNITS: Final = frozenset({"JPY", "KRW", "VND"})


def number(amount: int) -> str:
    """A number in groups of three, as all three languages write it: `2,000`."""
    return f"{amount:,}"


def money(amount_minor: int, currency: str) -> str:
    """An amount with its currency: `1,258.00 CNY`."""
    if currency in _NO_MINOR_UNITS:
        return f"{amount_minor:,} {currency}"
    return f"{amount_minor // 100:,}.{amount_minor % 100:02d} {currency}"
