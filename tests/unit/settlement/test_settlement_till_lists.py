"""A till's list: tolerated forms, and the messages about faults."""

import datetime
import json
from zoneinfo import ZoneInfo

import pytest

from redemption.domain.limits import TILL_LIST_BYTES_MAX, TILL_LIST_FAULTS_MAX, TILL_LIST_ROWS_MAX
from redemption.settlement.till_lists.reading import TillList, TillListRefused, TillRow, read_csv, read_json
from redemption.settlement.till_lists.terms import ListTerms

ZONE = ZoneInfo("Asia/Shanghai")
TERMS = ListTerms("CNY", frozenset({"out_mall_1", "out_mall_2"}), datetime.date(2026, 11, 22), ZONE)
EVENING = datetime.datetime(2026, 11, 22, 18, 30, 5, tzinfo=ZONE)


def taken(found: TillList | TillListRefused) -> list[TillRow]:
    assert isinstance(found, TillList), found
    return list(found.rows)


def told(found: TillList | TillListRefused) -> list[tuple[str, str]]:
    assert isinstance(found, TillListRefused), found
    return [(fault.place, fault.reason) for fault in found.faults]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header",
    [("Reference", "amount_minor", "Time"), ("單號", "金額(分)", "時間"), ("单号", " 金额（分） ", "交易时间")],
)
def test_byte_order_marks_delimiters_line_ends_and_languages_mean_nothing(
    mark: str, ending: str, delimiter: str, header: tuple[str, ...]
) -> None:
    rows = [header, ("A-1", "2000", "2026-11-22 18:30:05"), ("", "", ""), (" A-2 ", "-50", "")]
    text = mark + ending.join(delimiter.join(row) for row in rows) + ending
    assert taken(read_csv(text.encode(), TERMS)) == [
        TillRow(1, "A-1", 2000, EVENING, None, None, None, TERMS.day),
        TillRow(3, "A-2", -50, None, None, None, None),
    ]


@pytest.mark.parametrize("charset", ["gb18030", "big5", "utf-16"])
def test_a_list_in_another_charset_is_read_when_it_is_said(charset: str) -> None:
    data = "單號,金額\nA-1,12.5\n".encode(charset)
    assert [row.amount_minor for row in taken(read_csv(data, TERMS, charset))] == [1250]
    if charset != "utf-16":  # its byte-order mark says more
        assert "utf-8" in told(read_csv(data, TERMS, "utf-8"))[0][1]


def test_json_gives_the_same_rows_as_csv() -> None:
    rows = [
        {"reference": "A-1", "amount": "20.00", "time": "2026-11-22T10:30:05Z", "outlet": "out_mall_1", "till": 7},
        {
            "reference": "A-2",
            "amount_minor": 5,
            "outlet": "out_mall_2",
            "bill_amount_minor": 900,
            "currency": "CNY",
            "redemption_id": "rdm_1",
        },
    ]
    expected = [
        TillRow(1, "A-1", 2000, EVENING.astimezone(datetime.UTC), "out_mall_1", None, None, TERMS.day),
        TillRow(2, "A-2", 5, None, "out_mall_2", "rdm_1", 900),
    ]
    whole = read_json(json.dumps({"rows": rows}).encode(), TERMS)
    assert taken(whole) == taken(read_json(json.dumps(rows).encode(), TERMS)) == expected
    assert isinstance(whole, TillList)
    assert whole.ignored_columns == ("till",)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 18:30:05", EVENING),
        ("2026/11/22 18:30:05", EVENING),
        ("2026-11-22T18:30:05+08:00", EVENING),
        ("18:30:05", EVENING),
        ("8:05", EVENING.replace(hour=8, minute=5, second=0)),
    ],
)
def test_a_time_without_a_zone_is_the_outlets(text: str, moment: datetime.datetime) -> None:
    assert [row.occurred_at for row in taken(read_csv(f"reference,amount,time\nA,1,{text}\n".encode(), TERMS))] == [
        moment
    ]


def test_every_wrong_row_is_told_with_its_column() -> None:
    text = (
        "reference,amount_minor,time,outlet,currency,bill_amount_minor\n"
        "A-1,12.50,,out_mall_1,CNY,\n"
        ",1,,out_mall_1,,\n"
        "A-3,,,out_mall_1,,\n"
        "A-4,1,yesterday,out_mall_1,,\n"
        "A-5,1,,out_hotel_1,,\n"
        "A-6,1,,out_mall_1,USD,\n"
        "A-7,1,,out_mall_1,,-1\n"
        "單號,1,,out_mall_1,,\n"
        "A-9,1,,out_mall_1,,,more\n"
        "A-10,1,,out_mall_1,,\n"
        "A-11,99999999999999,2026-11-32,out_mall_1,,\n"
    )
    assert [place for place, _ in told(read_csv(text.encode(), TERMS))] == [
        "row 1, column amount_minor",
        "row 2, column reference",
        "row 3, column amount_minor",
        "row 4, column time",
        "row 5, column outlet",
        "row 6, column currency",
        "row 7, column bill_amount_minor",
        "row 8, column reference",
        "row 9",
        "row 11, column amount_minor",
        "row 11, column time",
    ]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", "list", "empty"),
        ("\n\n", "list", "empty"),
        ("A-1,2000\n", "list, column reference", "no such column"),
        ("reference\nA-1\n", "list, column amount_minor", "is needed"),
        ("reference,amount,amount_minor\n", "list, column amount_minor", "leave one out"),
        ("reference,單號,amount\n", "list, column reference", "two columns"),
        ('reference,amount\n"A-1,1\n', "row 1", "not CSV"),
        ("reference,amount,outlet\nA,1,out_mall_1\nB,1,\n", "list, column outlet", "or none does"),
        (",".join(["x"] * 70), "list", "64 columns"),
        ("reference,amount\nA,1.234\n", "row 1, column amount", "can be read as 1.234 or 1234"),
        ("reference,amount\nA,0.234\n", "row 1, column amount", "2 decimals"),
        ("reference,amount\nA,1e5\n", "row 1, column amount", "is not an amount"),
        ("reference,amount\nA,1.25E+05\n", "row 1, column amount", "is not an amount"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(text: str, place: str, reason: str) -> None:
    faults = told(read_csv(text.encode(), TERMS))
    assert faults[0][0] == place, faults
    assert reason in faults[0][1]


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        (b"", "list", "not JSON"),
        (b"{}", "list", "rows is expected"),
        (b'{"rows": {}}', "list", "rows is expected"),
        (b'{"rows": [], "day": 1}', "list", "rows is expected"),
        (b'{"rows": [7]}', "row 1", "object"),
        (b'[{"reference": "A", "amount": 12.5}]', "row 1, column amount", "a text"),
        (b'[{"reference": "A", "amount_minor": 12.0}]', "row 1, column amount_minor", "whole number"),
        (b'[{"reference": "A", "amount_minor": true}]', "row 1, column amount_minor", "whole number"),
        (b'[{"reference": 7, "amount_minor": 1}]', "row 1, column reference", "bill reference"),
        (b'[{"reference": "A", "amount_minor": null}]', "row 1, column amount_minor", "is missing"),
        (
            b'[{"reference": "A", "amount_minor": 1}, {"reference": "B", "amount": "1", "amount_minor": 1}]',
            "row 2, column amount",
            "say one",
        ),
        (b"[" * 100_000, "list", ""),
        (b"[" + b"[],"[:3] * 100_000 + b"[]]", "list", "rows"),
        (b"\xff\xfe", "list", "not JSON"),
    ],
)
def test_what_is_wrong_with_a_json_list_is_said(body: bytes, place: str, reason: str) -> None:
    faults = told(read_json(body, TERMS))
    assert faults[0][0] == place, faults
    assert reason in faults[0][1]


def test_rows_faults_and_bytes_are_bounded() -> None:
    most = "reference,amount\n" + "".join(f"A-{number},1\n" for number in range(TILL_LIST_ROWS_MAX))
    assert len(taken(read_csv(most.encode(), TERMS))) == TILL_LIST_ROWS_MAX
    assert "rows" in told(read_csv((most + "B,1\n").encode(), TERMS))[0][1]
    wrong = read_csv(most.replace(",1", ",x").encode(), TERMS)
    assert isinstance(wrong, TillListRefused)
    assert (len(wrong.faults), wrong.count) == (TILL_LIST_FAULTS_MAX, TILL_LIST_ROWS_MAX)
    for read in (read_csv, read_json):
        assert "bytes" in told(read(b"x" * (TILL_LIST_BYTES_MAX + 1), TERMS))[0][1]


def test_a_currency_without_decimals_has_none() -> None:
    yen = ListTerms("JPY", frozenset(), TERMS.day, ZONE)
    assert [row.amount_minor for row in taken(read_csv(b"reference,amount\nA,500\n", yen))] == [500]
    assert told(read_csv(b"reference,amount\nA,5.5\n", yen))[0][0] == "row 1, column amount"
