"""The answer of verify, which is written for speed, is byte for byte what its operation describes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.hot_path.scan_answer import scan_body
from gateway.http.responses import encode
from gateway.scans.schemas import RedemptionAnswer
from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.contexts import basket_text
from redemption.domain.records import record_text
from redemption.domain.redemptions import Scanned

ID = "rdm_016hwa54cwdz9zr9mv"
amounts = st.integers(1, 10**9)
legs = st.one_of(
    st.builds(PointsLeg, amounts),
    st.builds(BenefitLeg, st.sampled_from(("tea", "dining-80")), st.integers(1, 9)),
    st.builds(StoredValueLeg, amounts),
)
months = {"points": ("202612", "203001"), "benefit": ("-", "202702"), "stored_value": ("-",)}


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record as the hot store keeps it after a scan, with or without a hold."""
    basket: tuple[Leg, ...] = tuple(draw(st.lists(legs, max_size=4)))
    bill = draw(st.none() | st.builds(Bill, st.just("POS-7"), amounts, st.just("CNY")))
    taken = [
        f"{index},{leg.kind},{draw(st.sampled_from(months[leg.kind]))}.{draw(st.sampled_from(('hotel', 'mall')))},"
        f"{draw(amounts)}"
        for index, leg in enumerate(basket)
        for _ in range(draw(st.integers(1, 3)))
    ]
    left = bill.amount_minor if bill is not None else 10**9
    values = tuple(draw(st.integers(0, left // max(1, len(basket)))) for _ in basket)
    fields = {
        "status": "captured",
        "at": str(draw(st.integers(1_700_000_000_000, 2_000_000_000_000))),
        "member": "mem_0000001",
        "tier": "gold",
        "name": draw(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=9)),
        "business": "hotel",
        "balance": f"{draw(amounts)},{draw(amounts)},{draw(amounts)}",
        "taken": ";".join(taken),
        "basket": basket_text(bill, basket, values).decode(),
        "hold_until": draw(st.sampled_from(("", "1800000000000"))),
    }
    return record_text(fields).encode()


@given(records())
def test_the_answer_of_verify_is_the_encoded_schema(record: bytes) -> None:
    body = scan_body(Scanned(ID, record, replayed=False))
    assert encode(msgspec.json.decode(body, type=RedemptionAnswer)) == body
