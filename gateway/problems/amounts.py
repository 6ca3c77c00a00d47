"""Numbers and money in the texts that the gateway writes for people: hints, notices, output of commands.

Amounts are integers of minor units. Pages format by `Intl` and need nothing of this.
"""

from gateway.formats.money import money_text


def number(amount: int) -> str:
    """Return a number in groups of three, as all three languages write it: `2,000`."""
    return f"{amount:,}"


def money(amount_minor: int, currency: str) -> str:
    """Return an amount with its currency: `1,258.00 CNY`, `1.250 JOD`, `-500 JPY`."""
    return f"{money_text(amount_minor, currency)} {currency}"
