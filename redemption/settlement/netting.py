"""Payments: totals by pair and instrument become one net for each pair, and one for each business.

Guarantees: the two views of a pair are equal and opposite because both are read from the same sums; all businesses'
nets of a currency sum to zero; the transfers of `settle_up` bring every net to zero. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of the lines of one direction, asset and currency of a period."""

    period_id: str
    issuer: str
    acceptor: str
    asset: str
    currency: str
    lines: int
    units: int
    face_value_minor: int
    amount_minor: int
    tax_minor: int

    @property
    def payable_minor(self) -> int:
        """Return what the issuer pays the acceptor, with tax; negative where it gets back."""
        return self.amount_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class Payment:
    """`payer` pays `payee`; the amount is positive."""

    payer: str
    payee: str
    currency: str
    amount_minor: int


def pair_nets(totals: Iterable[Total]) -> list[Payment]:
    """Return one payment for each pair and currency in which amounts do not cancel out, by name."""
    owed: dict[tuple[str, str, str], int] = {}
    for total in totals:
        low, high = sorted((total.issuer, total.acceptor))
        sign = 1 if total.issuer == low else -1
        key = (low, high, total.currency)
        owed[key] = owed.get(key, 0) + sign * total.payable_minor
    return [
        Payment(low, high, currency, net) if net > 0 else Payment(high, low, currency, -net)
        for (low, high, currency), net in sorted(owed.items())
        if net != 0 and low != high
    ]


def business_nets(payments: Iterable[Payment]) -> dict[str, dict[str, int]]:
    """Return by currency what each business receives over all its pairs (negative: pays).

    Each currency sums to zero.
    """
    nets: dict[str, dict[str, int]] = {}
    for payment in payments:
        of_currency = nets.setdefault(payment.currency, {})
        of_currency[payment.payer] = of_currency.get(payment.payer, 0) - payment.amount_minor
        of_currency[payment.payee] = of_currency.get(payment.payee, 0) + payment.amount_minor
    return nets


def settle_up(nets: dict[str, dict[str, int]]) -> list[Payment]:
    """Return transfers that bring every net to zero: the largest debtor pays the largest creditor.

    At most one less than there are businesses, in each currency; deterministic.
    """
    transfers: list[Payment] = []
    for currency, of_currency in sorted(nets.items()):
        left = dict(of_currency)
        while any(left.values()):
            payer = min(left, key=lambda name: (left[name], name))
            payee = min(left, key=lambda name: (-left[name], name))
            amount = min(-left[payer], left[payee])
            transfers.append(Payment(payer, payee, currency, amount))
            left[payer] += amount
            left[payee] -= amount
    return transfers
