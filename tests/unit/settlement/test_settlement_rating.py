"""The arithmetic of settlement, figure by figure."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from redemption.settlement.rating import amounts, divided, split, still_to_give_back
from tests.support.settlement.settlement import definition

AMOUNTS = st.integers(0, 10**12)


def test_half_up_and_down_round_the_amount_without_its_sign() -> None:
    assert [divided(n, 10, "half_up") for n in (4, 5, 14, 15, 25, -5, -4, -15)] == [0, 1, 1, 2, 3, -1, 0, -2]
    assert [divided(n, 10, "down") for n in (9, 10, 19, -9, -19)] == [0, 1, 1, 0, -1]


def test_what_is_left_over_goes_to_the_largest_remainders_and_among_equals_to_the_first() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(1333, [1500, 500]) == [1000, 333]
    assert split(5, [0, 0]) == [5, 0]
    assert split(0, [3, 4]) == [0, 0]


@given(AMOUNTS, st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_a_split_sums_to_the_whole_and_no_part_is_one_away_from_exact(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    if sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(AMOUNTS, st.lists(st.integers(1, 1000), min_size=1, max_size=10))
def test_what_is_given_back_bit_by_bit_sums_to_what_was_settled(settled: int, bits: list[int]) -> None:
    units, back, returned = sum(bits), 0, 0
    for bit in bits:
        back += bit
        step = still_to_give_back(settled, units, back, returned)
        assert step >= 0
        returned += step
    assert returned == settled


def test_each_rule_prices_a_use_as_it_says() -> None:
    def one(rule: dict[str, object], units: int, face: int, **terms: object) -> tuple[int, int]:
        instrument = terms.pop("instrument", "benefit")
        return amounts(definition(instrument=instrument, rule=rule, **terms), [(units, face)], units)[0]

    assert one({"kind": "agreed_price", "price_minor": 6000}, 2, 17_600) == (12_000, 0)
    assert one({"kind": "agreed_price", "price_minor": 67, "per_units": 100}, 150, 0) == (101, 0)  # 100.5
    assert one({"kind": "purchase_price", "price_minor": 67, "per_units": 100}, 150, 0, rounding="down") == (100, 0)
    assert one({"kind": "proportion", "basis_points": 9_800}, 1, 1_333) == (1_306, 0)  # 1306.34
    assert one({"kind": "fixed_fee", "fee_minor": 500}, 3, 0) == (1_500, 0)
    assert one({"kind": "fixed_fee", "fee_minor": 500}, 3, 0, instrument="points") == (500, 0)
    assert one({"kind": "fixed_fee", "fee_minor": 500}, 1, 0, cap_minor=400, tax_basis_points=600) == (400, 24)


def test_issuers_under_one_agreement_share_the_whole_and_each_line_has_its_cap() -> None:
    points = definition(instrument="points", rule={"kind": "proportion", "basis_points": 9_800})
    assert amounts(points, [(1500, 1000), (500, 333)], 2000) == [(980, 0), (326, 0)]
    fee = definition(instrument="points", rule={"kind": "fixed_fee", "fee_minor": 100})
    assert amounts(fee, [(1, 0), (2, 0)], 3) == [(33, 0), (67, 0)]
    # A third issuer has an agreement of its own: these two bear their share of the fee.
    assert amounts(fee, [(1, 0), (2, 0)], 6) == [(17, 0), (33, 0)]
    capped = definition(instrument="points", rule={"kind": "fixed_fee", "fee_minor": 100}, cap_minor=40)
    assert amounts(capped, [(1, 0), (2, 0)], 3) == [(33, 0), (40, 0)]
