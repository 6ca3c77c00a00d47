"""Nets of pairs and of businesses."""

from hypothesis import given
from hypothesis import strategies as st

from redemption.settlement.netting import Payment, Total, business_nets, pair_nets, settle_up

NAMES = st.sampled_from(("gym", "hotel", "mall", "restaurant", "spa"))
TOTALS = st.lists(
    st.builds(
        lambda issuer, acceptor, currency, amount, tax: Total(
            "", issuer, acceptor, "points", currency, 1, 1, 1, amount, tax
        ),
        NAMES,
        NAMES,
        st.sampled_from(("CNY", "HKD")),
        st.integers(-(10**9), 10**9),
        st.integers(-(10**6), 10**6),
    ),
    max_size=30,
)


def total(issuer: str, acceptor: str, amount: int, tax: int = 0) -> Total:
    return Total("202611.x.y", issuer, acceptor, "points", "CNY", 1, 1, 1, amount, tax)


def test_a_pairs_two_directions_become_one_payment_with_tax() -> None:
    totals = [total("hotel", "mall", 100, 6), total("mall", "hotel", 30), total("hotel", "hotel", 0)]
    assert pair_nets(totals) == [Payment("hotel", "mall", "CNY", 76)]
    assert pair_nets([total("hotel", "mall", -5)]) == [Payment("mall", "hotel", "CNY", 5)]
    assert pair_nets([total("hotel", "mall", 5), total("mall", "hotel", 5)]) == []


@given(TOTALS)
def test_nets_sum_to_zero_and_the_transfers_bring_every_business_there(totals: list[Total]) -> None:
    payments = pair_nets(totals)
    assert all(payment.amount_minor > 0 for payment in payments)
    nets = business_nets(payments)
    transfers = settle_up(nets)
    for currency, of_currency in nets.items():
        assert sum(of_currency.values()) == 0
        assert sum(one.currency == currency for one in transfers) < max(len(of_currency), 1)
    after = business_nets(transfers)
    for currency, of_currency in nets.items():
        for business, net in of_currency.items():
            assert after.get(currency, {}).get(business, 0) == net
