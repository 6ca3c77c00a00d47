"""Face values: postings laid against legs."""

from redemption.settlement.lines import month_after, period_id
from redemption.settlement.uses import RedeemedPosting, face_values


def taken(*parts: tuple[str, int], asset: str = "points") -> list[RedeemedPosting]:
    return [RedeemedPosting(asset, "restaurant", issuer, amount) for issuer, amount in parts]


def points(amount: int, value: int) -> dict[str, object]:
    return {"kind": "points", "points": amount, "value_minor": value}


def test_a_legs_value_is_spread_over_its_issuers_by_units() -> None:
    assert face_values([points(2000, 1333)], "points", taken(("hotel", 1500), ("mall", 500))) == {
        "hotel": 1000,
        "mall": 333,
    }


def test_two_legs_of_one_asset_are_laid_against_the_postings_in_turn() -> None:
    # 100 points worth 50, then 100 worth 10: the hotel's 150 are the first leg and half of the second.
    legs = [points(100, 50), {"kind": "benefit", "benefit_id": "x", "uses": 1, "value_minor": 9}, points(100, 10)]
    assert face_values(legs, "points", taken(("hotel", 150), ("mall", 50))) == {"hotel": 55, "mall": 5}
    assert face_values(legs, "benefit:x", taken(("gym", 1), asset="benefit:x")) == {"gym": 9}


def test_a_leg_taken_in_part_counts_in_proportion_rounded_down() -> None:
    assert face_values([points(3, 100)], "points", taken(("hotel", 2))) == {"hotel": 66}


def test_lots_of_one_issuer_are_one() -> None:
    assert face_values([points(3, 100)], "points", taken(("hotel", 1), ("mall", 1), ("hotel", 1))) == {
        "hotel": 67,
        "mall": 33,
    }


def test_without_legs_the_face_value_is_unknown_but_for_stored_value() -> None:
    broken: list[object] = [None, 7, [points(0, 1)], [{"kind": "points", "points": "5", "value_minor": 5}], [3]]
    for legs in broken:
        assert face_values(legs, "points", taken(("hotel", 5))) == {}
        assert face_values(legs, "CNY", taken(("hotel", 5), ("mall", 6), asset="CNY")) == {"hotel": 5, "mall": 6}


def test_the_month_after_december_is_january_and_a_period_names_its_businesses_in_order() -> None:
    assert (month_after(202611), month_after(202612)) == (202612, 202701)
    assert period_id(202611, "mall", "hotel") == period_id(202611, "hotel", "mall") == "202611.hotel.mall"
