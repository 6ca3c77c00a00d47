"""Decoding of stream entries, and the verdict on a stream that disagrees with its watermark."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redemption.domain.contexts import context_of, expanded
from redemption.ledger.entries import (
    ENTRY_FIELDS,
    KINDS,
    MOVES_MAX,
    PARTS,
    TRANSACTION_COLUMNS,
    Entry,
    Malformed,
    Position,
    decode_entry,
    moves_of,
    transaction_row,
)
from redemption.ledger.expected_state import month_of
from redemption.ledger.status import disagreement
from redemption.ledger.store import Item, Watermark, advanced, storable
from redemption.ledger.streams import Sight, position_of, trim_bound
from redemption.live.tail import member_in
from redemption.queries import named_queries
from tests.support.ledger.ledger import KIND_MOVES, redeem_fields, rows_of


def fields(**changes: str | bytes | None) -> dict[bytes, bytes]:
    """A good redemption with some fields changed, or left out where None."""
    made: dict[str, str | bytes | None] = {**redeem_fields(7, "rdm_1"), **changes}
    return {
        name.encode(): value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        for name, value in made.items()
        if value is not None
    }


def test_a_redemption_becomes_a_transaction_with_its_moves() -> None:
    entry = decode_entry(fields())
    assert isinstance(entry, Entry)
    position = Position(1_795_346_948_396, 2)
    (row,) = rows_of(transaction_row(7, 1, position, entry), TRANSACTION_COLUMNS)
    row.pop("details")
    assert row == {
        "occurred_at": 848_662_148_000_000,
        "bucket": 7,
        "epoch": 1,
        "entry_ms": 1_795_346_948_396,
        "entry_seq": 2,
        "kind": "redeem",
        "subject_id": "rdm_1",
        "member_id": "mem_0000007",
        "business": "restaurant",
        "outlet": "out_restaurant_1",
        "terminal": "trm_restaurant_1",
        "idempotency_key": "key-rdm_1",
        "bill_reference": "POS-rdm_1",
        "bill_amount_minor": 25_800,
        "currency": "CNY",
        "moves": "points,202701.hotel,A,R,1500;points,202702.mall,A,R,500",
    }
    assert entry.moves == moves_of(entry.moves_text.encode())


def test_an_identity_check_moves_nothing() -> None:
    entry = decode_entry(fields(moves=""))
    assert isinstance(entry, Entry)
    assert (entry.moves, entry.moves_text) == ((), "")


STEP = {"business": "spa", "outlet": None, "terminal": "trm", "rules": 7, "key": "k", "restore": {"fingerprint": "f"}}
BILL = {"reference": "POS-1", "amount_minor": 500, "currency": "CNY"}
COMPACT = ["spa", "out", "trm", 7, "k", ["POS-1", 500, "CNY"], [["p", 40, 40], ["b", "tea", 1, 9]]]
SHORTENED: dict[str, tuple[object, object]] = {
    "a scan": ([*COMPACT, "f", 8, "n", 0, 28800, None], [7, COMPACT[6], "f", 8, "n", 0, 28800, None]),
    "a hold that ended by itself": (COMPACT, [7, COMPACT[6]]),
    "a scan without a bill": ([*COMPACT[:5], None, []], [7, []]),
    "a step": ({**STEP, "bill": BILL}, {"outlet": None, "rules": 7, "restore": {"fingerprint": "f"}}),
    "a step without a bill": ({"business": "spa", "bill": None}, {"bill": None}),
    "a bill without an amount": (
        {"business": "spa", "bill": {**BILL, "amount_minor": None}},
        {"bill": {**BILL, "amount_minor": None}},
    ),
    "a bill that says more": ({"business": "spa", "bill": {**BILL, "tip": 1}}, {"bill": {**BILL, "tip": 1}}),
    "nothing": ({}, {}),
}


@pytest.mark.parametrize(("context", "details"), SHORTENED.values(), ids=SHORTENED.keys())
def test_a_context_is_kept_without_what_has_a_column_and_comes_back_whole(context: object, details: object) -> None:
    entry = decode_entry(fields(context=orjson.dumps(context), moves="", kind="adjust"))
    assert isinstance(entry, Entry)
    assert orjson.loads(entry.details) == details
    row = msgspec.structs.asdict(entry)
    assert context_of(row) == entry.context == (context if isinstance(context, dict) else expanded(context))
    assert context_of({"details": None, "context": entry.context}) == entry.context


def test_an_object_that_was_written_otherwise_is_kept_letter_for_letter() -> None:
    text = '{"business": "restaurant", "a": 1.10}'
    entry = decode_entry(fields(context=text))
    assert isinstance(entry, Entry)
    assert entry.details == text


def test_an_entry_without_any_context_is_taken() -> None:
    entry = decode_entry(fields(context="{}", moves="CNY,-.spa,I,A,5", kind="issue", id="iss_1"))
    assert isinstance(entry, Entry)
    assert (entry.business, entry.bill_reference, entry.moves[0].expires_month) == (None, None, None)


def test_the_generator_covers_every_kind() -> None:
    assert set(KIND_MOVES) == KINDS


MOVE = "points,202701.hotel,A,R,"
MALFORMED: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "no version": ({"v": None}, "version missing"),
    "another version": ({"v": "2"}, "unknown version"),
    **{f"no {name}": ({name: None}, f"field missing: {name}") for name in ("kind", "id", "member")},
    **{f"no {name}": ({name: None}, f"field missing: {name}") for name in ("at", "moves", "context")},
    "one more field": ({"extra": "1"}, "unknown field"),
    "unknown kind": ({"kind": "steal"}, "unknown kind"),
    "empty kind": ({"kind": ""}, "unknown kind"),
    "bad subject": ({"id": "rdm 1"}, "id is no subject id"),
    "long subject": ({"id": "rdm_" + "1" * 61}, "id is no subject id"),
    "no member id": ({"member": "7"}, "member is no member id"),
    "member beyond the last": ({"member": "mem_zzzzzzz"}, "member is no member id"),
    "time in seconds": ({"at": "1795346948"}, "at is no time in unix milliseconds"),
    "time beyond the months": ({"at": "9999999999999"}, "at is no time in unix milliseconds"),
    "time in Arabic digits": ({"at": "١٧٩٥٣٤٦٩٤٨٣٩٦"}, "at is no time in unix milliseconds"),
    "half a move": ({"moves": "points,202701.hotel,A"}, "a move cannot be read"),
    "trailing semicolon": ({"moves": MOVE + "1;"}, "a move cannot be read"),
    "trailing newline": ({"moves": MOVE + "1\n"}, "a move cannot be read"),
    "unknown account": ({"moves": "points,202701.hotel,A,Q,1"}, "a move cannot be read"),
    "unknown asset": ({"moves": "gold,202701.hotel,A,R,1"}, "a move cannot be read"),
    "month 13": ({"moves": "points,202713.hotel,A,R,1"}, "a move cannot be read"),
    "nothing moved": ({"moves": MOVE + "0"}, "a move cannot be read"),
    "negative": ({"moves": MOVE + "-5"}, "a move cannot be read"),
    "a fraction": ({"moves": MOVE + "1.5"}, "a move cannot be read"),
    "an exponent": ({"moves": MOVE + "1e3"}, "a move cannot be read"),
    "2^53": ({"moves": MOVE + str(2**53)}, "an amount is too large"),
    "2^64": ({"moves": MOVE + str(2**64)}, "a move cannot be read"),
    "to itself": ({"moves": "points,202701.hotel,A,A,1"}, "a move from an account to itself"),
    "points for ever": ({"moves": "points,-.hotel,A,R,1"}, "points without a month of expiry"),
    "too many moves": ({"moves": ";".join([MOVE + "1"] * (MOVES_MAX + 1))}, "too many moves"),
    "moves too long": ({"moves": "x" * 1_000_000}, "moves too long"),
    "no JSON": ({"context": "{"}, "context is no JSON"),
    "NaN": ({"context": '{"a":NaN}'}, "context is no JSON"),
    "lone surrogate": ({"context": '{"a":"\\ud800"}'}, "context is no JSON"),
    "deep nesting": ({"context": '{"a":' + "[" * 4000 + "]" * 4000 + "}"}, "context is no JSON"),
    "no object": ({"context": "[]"}, "context is no object"),
    "context too long": ({"context": json.dumps({"a": "x" * 8192})}, "context too long"),
    "NUL": ({"context": '{"a":"\\u0000"}'}, "context holds U+0000"),
    "business a number": ({"context": '{"business":1}'}, "business of the context is no text of 1 to 128 characters"),
    "key too long": (
        {"context": json.dumps({"business": "spa", "key": "k" * 65})},
        "key of the context is no text of 1 to 64 characters",
    ),
    "no business redeems": ({"context": "{}"}, "a redemption without a business in its context"),
    "bill a list": ({"context": '{"business":"spa","bill":[1]}'}, "bill is no object"),
    "amount true": (
        {"context": '{"business":"spa","bill":{"amount_minor":true}}'},
        "amount_minor of the bill is no amount",
    ),
    "amount negative": (
        {"context": '{"business":"spa","bill":{"amount_minor":-1}}'},
        "amount_minor of the bill is no amount",
    ),
    "no UTF-8 in moves": ({"moves": b"\xff\xfe"}, "a field is not UTF-8"),
    "no UTF-8 in context": ({"context": b'{"a":"\xff"}'}, "context is no JSON"),
}


@pytest.mark.parametrize(("changes", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_entry_is_refused_with_its_reason(changes: dict[str, str | bytes | None], reason: str) -> None:
    assert decode_entry(fields(**changes)) == Malformed(reason)


@given(
    st.dictionaries(
        st.sampled_from(sorted(ENTRY_FIELDS)) | st.binary(max_size=10),
        st.binary(max_size=200)
        | st.sampled_from([b"1", b"redeem", b"rdm_1", b"mem_0000007", b"1795346948396", b"{}", b""]),
    )
)
def test_any_fields_at_all_give_an_entry_or_a_reason(made: dict[bytes, bytes]) -> None:
    assert isinstance(decode_entry(made), Entry | Malformed)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert isinstance(decode_entry(fields(context='{"business":"spa","a":"\\\\u0000"}')), Entry)


def test_dead_letters_hold_any_bytes_and_huge_values_cut() -> None:
    kept = storable({b"a\xff": b"\x00\xfe", b"b": b"x" * 100_000})
    assert kept["a\\xff"] == "\\x00\\xfe"
    assert kept["b"].endswith("cut, 100000 bytes")
    assert len(kept["b"]) < 66_000


def test_positions_are_ordered_as_the_stream_is() -> None:
    assert position_of(b"9-10") > position_of(b"9-9") > position_of(b"8-99")


def test_the_trim_bound_is_the_least_id_after_the_watermark() -> None:
    assert trim_bound(Position(5, 7)) == "5-8"
    assert trim_bound(Position(5, 2**64 - 1)) == "6-0"


def test_watermarks_advance_by_one_row_for_each_item_and_never_back() -> None:
    marks = {0: Watermark(1, Position(5, 0), 3)}
    items = [Item(0, Position(5, n), Malformed("x"), {}) for n in (1, 2)]
    assert advanced(items, marks) == {0: Watermark(1, Position(5, 2), 5)}
    with pytest.raises(RuntimeError, match="out of order"):
        advanced(items[::-1], marks)


OLD_BACKUP = "the stream ends before the watermark: an old backup of the hot store?"
OTHER_COUNT = "the stream counts 7 entries up to the watermark, the ledger 8 rows"


@pytest.mark.parametrize(
    ("sight", "behind", "expected"),
    [
        (Sight(1, 10, 4, Position(5, 0), Position(3, 0)), 2, None),  # 6 trimmed, 2 to be trimmed, 2 to come
        (Sight(1, 10, 2, Position(6, 0), Position(6, 0)), 0, None),
        (Sight(2, 10, 2, Position(6, 0), Position(6, 0)), 0, "the hot store is in epoch 2, the ledger in 1"),
        (Sight(None, 0, 0, Position(0, 0), None), 0, "the hot store is in epoch None, the ledger in 1"),
        (Sight(1, 8, 0, Position(4, 9), None), 0, OLD_BACKUP),
        (Sight(1, 9, 2, Position(6, 0), Position(6, 0)), 0, OTHER_COUNT),
    ],
)
def test_a_stream_that_is_not_the_one_of_the_watermark_is_told_apart(
    sight: Sight, behind: int, expected: str | None
) -> None:
    assert disagreement(Watermark(1, Position(5, 0), 8), sight, behind) == expected


def test_every_named_query_is_found() -> None:
    assert {"lock_watermarks", "advance_watermarks", "ensure_month"} <= named_queries("ledger", "writer").keys()


@pytest.mark.parametrize(
    ("months", "moment", "expected"),
    [
        (12, "2026-11-22T12:00:00", 202711),
        (1, "2026-12-31T23:59:59", 202701),
        (0, "2026-01-01T00:00:00", 202601),
        (13, "2026-11-30T00:00:00", 202712),
    ],
)
def test_the_month_of_expiry_counts_in_the_zone_of_the_group(months: int, moment: str, expected: int) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    local = datetime.fromisoformat(moment).replace(tzinfo=zone)
    assert month_of(int(local.timestamp() * 1000), zone, months) == expected


def test_an_entry_of_either_version_says_the_same() -> None:
    of_old = fields()
    lines = b"\n".join(of_old[name] for name in PARTS)
    new, old = decode_entry({b"2": lines}), decode_entry(of_old)
    assert isinstance(new, Entry)
    assert isinstance(old, Entry)
    assert new == old
    assert member_in([b"2", lines]) == of_old[b"member"]
    assert member_in([word for pair in of_old.items() for word in pair]) == of_old[b"member"]


@pytest.mark.parametrize("wrong", [b"", b"redeem", b"a\nb\nc\nd\ne", b"a\nb\nc\nd\ne\nf\ng", b"\xff\n\n\n\n\n"])
def test_an_entry_of_version_two_with_other_lines_is_malformed(wrong: bytes) -> None:
    assert isinstance(decode_entry({b"2": wrong}), Malformed)


def test_an_entry_of_two_versions_at_once_is_malformed() -> None:
    assert decode_entry({**fields(), b"2": b"a\nb\nc\nd\ne\nf"}) == Malformed("unknown field")
