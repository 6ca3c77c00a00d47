"""What the hot store keeps in compact form, and that nothing of it is lost on the way into the ledger and back."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.contexts import (
    ContextRefused,
    basket_json,
    basket_text,
    expanded,
    place_text,
    restore_text,
    till_text,
)
from redemption.domain.records import RECORD_FIELDS, record_fields, record_text
from redemption.ledger.expected_state import basket_of, place_of

WORD = st.from_regex(r"[a-z_-]{1,12}", fullmatch=True)
KEY = st.from_regex(r"[!-~]{1,64}", fullmatch=True)
AMOUNT = st.integers(0, 10**12)
LEG = st.one_of(
    st.builds(PointsLeg, points=AMOUNT),
    st.builds(BenefitLeg, benefit_id=WORD, uses=st.integers(1, 100)),
    st.builds(StoredValueLeg, amount_minor=AMOUNT),
)
BILL = st.none() | st.builds(Bill, reference=st.text(max_size=64), amount_minor=AMOUNT, currency=st.just("CNY"))
LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=40)


def compact(key: str, bill: Bill | None, legs: tuple[Leg, ...], *rest: Any) -> bytes:
    parts = [place_text(till_text("hotel", "out_1", "trm_1", 7), key), basket_text(bill, legs, tuple(range(len(legs))))]
    return b"[" + b",".join([*parts, restore_text("fp", 9, "nonce", *rest)] if rest else parts) + b"]"


@given(KEY, BILL, st.lists(LEG, max_size=8), st.booleans())
def test_a_compact_context_says_all_that_the_ledger_keeps(
    key: str, bill: Bill | None, legs: list[Leg], held: bool
) -> None:
    text = compact(key, bill, tuple(legs), 600 if held else 0, 28_800, "STAY" if held else None)
    assert b"\n" not in text, "it is one line of an entry"
    context = expanded(orjson.loads(text))
    assert (context["business"], context["outlet"], context["terminal"]) == ("hotel", "out_1", "trm_1")
    assert (context["rules"], context["key"]) == (7, key)
    assert context["restore"] == {
        "fingerprint": "fp",
        "code": [9, "nonce"],
        **({"hold_seconds": 600} if held else {}),
        "outlet_offset": 28_800,
        **({"stay": "STAY"} if held else {}),
    }
    assert context["bill"] == (
        None if bill is None else {"reference": bill.reference, "amount_minor": bill.amount_minor, "currency": "CNY"}
    )
    assert [leg["value_minor"] for leg in context["legs"]] == list(range(len(legs)))
    back = json.loads(orjson.dumps(context))  # as the ledger gives it back
    assert f"{place_of(back)},{basket_of(back)},".encode() in text, "a rebuild writes what the gateway wrote"
    assert basket_json(back["bill"], back["legs"]) == basket_text(bill, tuple(legs), tuple(range(len(legs))))


def test_where_no_till_acted_the_context_has_place_and_basket_alone() -> None:
    context = expanded(orjson.loads(compact("key", None, ())))
    assert list(context) == ["business", "outlet", "terminal", "rules", "key", "bill", "legs"]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        "text",
        [],
        [1] * 6,
        [1] * 12,
        ["b", "o", "t", 1, "k", None, [["x", 1, 2]]],
        ["b", "o", "t", 1, "k", None, [["p", 1]]],
        ["b", "o", "t", 1, "k", ["only"], []],
        ["b", "o", "t", 1, "k", 5, []],
        ["b", "o", "t", 1, "k", None, 5],
    ],
)
def test_what_is_no_compact_context_is_refused(wrong: Any) -> None:
    with pytest.raises(ContextRefused):
        expanded(wrong)


@given(st.dictionaries(st.sampled_from(RECORD_FIELDS), LINE))
def test_a_record_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    assert record_fields(record_text(fields).encode()) == {name: line for name, line in fields.items() if line}


@pytest.mark.parametrize("text", [b"", b"1\ncaptured", b"22", b"2" + b"\n" * (len(RECORD_FIELDS) + 1)])
def test_a_record_of_another_version_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="another version"):
        record_fields(text)
