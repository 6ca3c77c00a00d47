"""Lists of a day as spreadsheets write them: charsets, separators, dates, amounts, references, business days."""

import datetime
import json
from zoneinfo import ZoneInfo

import pytest

from redemption.settlement.business_days import OutletDay
from redemption.settlement.till_lists.reading import TillList, TillListRefused, TillRow, read_csv, read_json
from redemption.settlement.till_lists.terms import ListTerms
from redemption.settlement.till_lists.text import CHARSET_LABELS, CODECS

ZONE = ZoneInfo("Asia/Shanghai")
DAY = datetime.date(2026, 12, 1)
OUTLETS = frozenset({"out_bar_1", "out_mall_1"})
TERMS = ListTerms("CNY", OUTLETS, DAY, ZONE)
BAR = ListTerms("CNY", OUTLETS, DAY, ZONE, {"out_bar_1": OutletDay(ZONE, 4), "out_mall_1": OutletDay(ZONE)})
CHINESE = "單號;抵扣金額;收銀員;時間\r\nA-1;12,50;陳大文;2026/12/1 下午 9:05\r\nA-2;-3;王小明;上午 9:05\r\n"
SIMPLIFIED = "单号,抵扣金额,收银员,时间\r\nA-1,12.50,陈大文,2026/12/1 下午 9:05\r\nA-2,-3,王小明,上午 9:05\r\n"


def taken(found: TillList | TillListRefused) -> TillList:
    assert isinstance(found, TillList), found
    return found


def reasons(found: TillList | TillListRefused) -> str:
    assert isinstance(found, TillListRefused), found
    return "; ".join(f"{fault.place}: {fault.reason}" for fault in found.faults)


def row_of(column: str, value: str, terms: ListTerms = TERMS, *more: str) -> TillRow:
    """The first row of a list whose `column` has `value` in its first row and `more` in the next ones."""
    lines = [f"A\t1\t{each}" for each in (value, *more)]
    return taken(read_csv("\n".join(("reference\tamount_minor\t" + column, *lines)).encode(), terms)).rows[0]


def amounts(*texts: str, currency: str = "CNY") -> list[int]:
    terms = ListTerms(currency, OUTLETS, DAY, ZONE)
    text = "\n".join(("reference\tamount", *(f"A\t{each}" for each in texts)))
    return [row.amount_minor for row in taken(read_csv(text.encode(), terms)).rows]


def amounts_refused(*texts: str, currency: str = "CNY") -> str:
    terms = ListTerms(currency, OUTLETS, DAY, ZONE)
    return reasons(read_csv("\n".join(("reference\tamount", *(f"A\t{each}" for each in texts))).encode(), terms))


@pytest.mark.parametrize("label", sorted(CHARSET_LABELS))
def test_every_charset_label_is_read(label: str) -> None:
    family = CHARSET_LABELS[label]
    text = SIMPLIFIED if family == "gb18030" else CHINESE
    data = text.encode(CODECS[family][0])
    found = taken(read_csv(data, TERMS, label.upper()))
    assert [row.amount_minor for row in found.rows] == [1250, -300]
    assert found.ignored_columns == ("收银员" if family == "gb18030" else "收銀員",)


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "gb2312", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_a_charset_that_nobody_named_is_found_out(codec: str) -> None:
    found = taken(read_csv(SIMPLIFIED.encode(codec), TERMS))
    assert found.ignored_columns == ("收银员",)
    assert [row.occurred_at for row in found.rows] == [
        datetime.datetime(2026, 12, 1, 21, 5, tzinfo=ZONE),
        datetime.datetime(2026, 12, 1, 9, 5, tzinfo=ZONE),
    ]


@pytest.mark.parametrize("codec", ["big5", "cp950", "big5hkscs"])
def test_big5_is_not_taken_for_gb18030(codec: str) -> None:
    found = taken(read_csv(CHINESE.encode(codec), TERMS))
    assert (found.read_as.charset, found.ignored_columns) == ("big5", ("收銀員",))


def test_a_byte_order_mark_counts_more_than_the_charset_that_was_named() -> None:
    assert taken(read_csv(SIMPLIFIED.encode("utf-8-sig"), TERMS, "gbk")).read_as.charset == "utf-8"


def test_a_charset_is_never_guessed_where_the_rows_would_differ() -> None:
    """The header is ASCII, and the time is Chinese in one charset and nonsense in the other."""
    text = "reference,amount,time\nA-1,1,2026-12-01 上午 9:05\n"
    found = taken(read_csv(text.encode("gb18030"), TERMS))
    assert found.rows[0].occurred_at == datetime.datetime(2026, 12, 1, 9, 5, tzinfo=ZONE)
    # Bytes that are no text in either are refused, and so is a header that means nothing in either.
    assert "is not utf-8" in reasons(read_csv(b"reference,amount\nA-1,\xff\xff\xff\n", TERMS))
    unknown = "受付番号,割引\nA-1,1\n".encode("euc-jp")
    assert isinstance(read_csv(unknown, TERMS), TillListRefused)
    assert "koi8-r is not known" in reasons(read_csv(b"reference,amount\nA-1,1\n", TERMS, "koi8-r"))


@pytest.mark.parametrize(
    ("start", "what"), [(b"PK\x03\x04", "XLSX"), (b"\xd0\xcf\x11\xe0", "XLS"), (b"%PDF-1.7", "PDF")]
)
def test_a_workbook_is_told_from_a_list(start: bytes, what: str) -> None:
    assert f"an {what}" in reasons(read_csv(start + b"\x00" * 40, TERMS)) or what == "PDF"
    assert "save the sheet as CSV" in reasons(read_csv(start + b"\x00" * 40, TERMS))


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ('"單號;小票",reference,amount\nx,A-1,12\n', ","),
        ('reference;"amount";"備註, 其他, 更多"\nA-1;12;y\n', ";"),
        ('"a;b;c;d;e"\treference\tamount\nx\tA-1\t12\n', "\t"),
        ("sep=;\r\nreference;amount\r\nA-1;12\r\n", ";"),
        ('"sep=,"\nreference,amount\nA-1,12\n', ","),
        (",,\nreference,amount,\nA-1,12,\n", ","),
        ('"two\nlines; or, more",reference,amount\nx,A-1,12\n', ","),
    ],
)
def test_a_separator_in_a_quoted_heading_does_not_count(text: str, separator: str) -> None:
    found = taken(read_csv(text.encode(), TERMS))
    assert found.read_as.separator == separator
    assert [(each.reference, each.amount_minor) for each in found.rows] == [("A-1", 1200)]


def test_cells_that_a_spreadsheet_leaves_out_or_adds_at_the_end_mean_nothing() -> None:
    text = "reference,amount,outlet,time\nA-1,1\nA-2,2,,,,\n"
    assert [row.amount_minor for row in taken(read_csv(text.encode(), TERMS)).rows] == [100, 200]
    assert "5 fields" in reasons(read_csv(b"reference,amount,outlet,time\nA-1,1,,,x\n", TERMS))


MORNING = datetime.datetime(2026, 12, 1, 9, 5, tzinfo=ZONE)
EVENING = datetime.datetime(2026, 12, 1, 21, 5, 30, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026/12/1 9:05", MORNING),
        ("2026-12-01T09:05", MORNING),
        ("2026.12.1 09:05:00", MORNING),
        ("2026年12月1日 9:05", MORNING),
        ("2026年12月1日9時05分", MORNING),
        ("20261201 9:05", MORNING),
        ("２０２６／１２／１　９：０５", MORNING),
        ("2026/12/1 上午 9:05:00", MORNING),
        ("2026/12/1 上午9:05", MORNING),
        ("12/1/2026 9:05 AM", MORNING),
        ("13/12/2026 9:05", datetime.datetime(2026, 12, 13, 9, 5, tzinfo=ZONE)),
        ("2026-12-01T01:05:00Z", MORNING),
        ("2026-12-01 09:05+0800", MORNING),
        ("2026-12-01 09:05:00.000 +08:00", MORNING),
        ("2026-12-01T09:05+08", MORNING),
        ("46357.378472222219", MORNING),
        ("46357,3784722222", MORNING),
        ("0.378472222", MORNING),
        ("上午 9:05", MORNING),
        ("9:05 a.m.", MORNING),
        ("AM 9:05", MORNING),
        ("2026/12/1 下午 9:05:30", EVENING),
        ("9:05:30 PM", EVENING),
        ("下午 21:05:30", EVENING),
        ("12:05 AM", MORNING.replace(hour=0)),
        ("下午 12:05", MORNING.replace(hour=12)),
    ],
)
def test_a_time_as_a_spreadsheet_writes_it(text: str, moment: datetime.datetime) -> None:
    assert row_of("time", text).occurred_at == moment


@pytest.mark.parametrize(
    "text", ["2026.12.1", "2026/12/1", "2026年12月1日", "20261201", "46357", "1/12/2026", "12/1/2026"]
)
def test_a_date_alone_is_a_day_without_a_time(text: str) -> None:
    for column in ("time", "date", "日期"):
        row = row_of(column, text)
        assert (row.occurred_at, row.day) == (None, DAY)


def test_date_and_time_may_be_in_two_columns() -> None:
    text = "單號,金額,日期,時間\nA-1,1,2026/12/1,下午 9:05:30\n"
    assert taken(read_csv(text.encode(), TERMS)).rows[0].occurred_at == EVENING
    assert "different days" in reasons(read_csv(b"reference,amount,date,time\nA,1,2026-12-01,2026-12-02 9:05\n", TERMS))
    assert "time of day" in reasons(read_csv(b"reference,amount,date,time\nA,1,2026-12-01 9:00,9:05\n", TERMS))


def test_the_order_of_day_and_month_is_decided_by_the_list_or_refused() -> None:
    day_first = datetime.datetime(2026, 12, 1, 9, 5, tzinfo=ZONE)
    assert row_of("time", "1/12/2026 9:05").occurred_at == day_first
    assert row_of("time", "12/1/2026 9:05").occurred_at == day_first
    # Another row shows the order, whatever the list's day says.
    assert row_of("time", "12/1/2026 9:05", TERMS, "30/11/2026").day == datetime.date(2026, 1, 12)
    assert row_of("time", "3/4/2026 9:05", TERMS, "30/11/2026").day == datetime.date(2026, 4, 3)
    refused = read_csv(b"reference,amount,time\nA,1,3/4/2026 9:05\n", TERMS)
    assert "day or the month first" in reasons(refused)
    both = read_csv(b"reference,amount,time\nA,1,1/12/2026\nB,1,12/1/2026\n", TERMS)
    assert "day or the month first" in reasons(both)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "1795350000",
        "2026-13-01",
        "2026-02-30 9:05",
        "25:00",
        "9:5",
        "9:65",
        "上午 13:05",
        "AM 9:05 PM",
        "1/12/26",
        "26/12/1",
        "2026-12-01 ",
        "0001-01-01 00:00",
        "9999-12-31 23:59",
        "99999",
        "12345",
        "0",
        "9:05Z",
        "T9:05",
        "2026-12-01T",
        "2026-12/01",
        "2026-12-01 9:05+16:00",
        "²²²²-12-01",
        "٢٠٢٦-12-01",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    if text.strip() != text:
        assert row_of("time", text).day == DAY
        return
    data = f"reference\tamount\ttime\nA\t1\t{text}\n".encode()
    assert "row 1, column time: is not a time" in reasons(read_csv(data, TERMS))


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1,250.00", 125_000),
        ("1.250,00", 125_000),
        ("12,50", 1250),
        ("1,250", 125_000),
        ("1 250.00", 125_000),
        ("1'250.00", 125_000),
        ("1,234,567.89", 123_456_789),
        ("１２．５０", 1250),
        ("¥12.50", 1250),
        ("￥12.50", 1250),
        ("12.50元", 1250),
        ("CNY 12.50", 1250),
        ("RMB12.50", 1250),
        ("-12.50", -1250),
        ("12.50-", -1250),
        ("(12.50)", -1250),
        ("¥-12.50", -1250),
        ("-¥12.50", -1250),
        ("−12.50", -1250),
        ("+5", 500),
        (" 12.50 ", 1250),
        ("1\u00a0250,5", 125_050),
        ("12.500", None),
        ("1.250", None),
        ("$12.50", None),
        ("12.50 USD", None),
        ("US$5", None),
        ("1,25,000", None),
        ("1.2.3", None),
        ("12..5", None),
        ("--5", None),
        ("(-5)", None),
        ("(5", None),
        ("12.505", None),
        ("-", None),
        ("¥", None),
        ("5¢", None),
        ("1e5", None),
        ("٥", None),
        ("0,500.00", None),
        ("12.345678", None),
        ("1" * 70, None),
        ("9" * 14, None),
    ],
)
def test_an_amount_as_a_spreadsheet_writes_it(text: str, minor: int | None) -> None:
    if minor is None:
        assert "row 1, column amount" in amounts_refused(text)
    else:
        assert amounts(text) == [minor]


def test_an_amount_that_can_be_read_in_two_ways_is_decided_by_the_list_or_refused() -> None:
    assert amounts("1.250", "12,50") == [125_000, 1250]
    assert amounts("1.250", "1.250,00") == [125_000, 125_000]
    assert amounts("1,250", "12.50") == [125_000, 1250]
    assert amounts("1,250", "12,5") == [125, 1250]
    assert "1.250 or 1250" in amounts_refused("1.250", "5")
    # The list shows both marks: what is clear by itself is taken, what is not is refused.
    assert amounts("12.50", "12,50") == [1250, 1250]
    assert "row 3" in amounts_refused("12.50", "12,50", "1.250")


def test_a_currency_with_three_decimals_is_read_with_three() -> None:
    assert amounts("1.250", currency="KWD") == [1250]
    assert amounts("1,250", "12,500.125", currency="KWD") == [1_250_000, 12_500_125]
    assert "1250 or 1.250" in amounts_refused("1,250", currency="KWD")
    assert amounts("¥1,250", "500.00", currency="JPY") == [1250, 500]
    assert "at most 0 decimals" in amounts_refused("12.5", currency="JPY")


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1,250", 1250), ("１２５０", 1250), ("1 250", 1250), ("(50)", -50), ("12,50", None), ("1.250", None)],
)
def test_minor_units_may_be_grouped_and_never_have_decimals(text: str, minor: int | None) -> None:
    data = f"reference\tamount_minor\nA\t{text}\n".encode()
    if minor is None:
        assert "whole number" in reasons(read_csv(data, TERMS))
    else:
        assert [row.amount_minor for row in taken(read_csv(data, TERMS)).rows] == [minor]


@pytest.mark.parametrize(
    ("cell", "reference"),
    [
        ("'00123", "00123"),
        ('"=""00123"""', "00123"),
        ("ＡＢ－１２", "AB-12"),
        ("'=1+1", "=1+1"),
        ("=1+1", "=1+1"),
        ("''x", "'x"),
        ("2.02611E+11", "2.02611E+11"),
        ("\u00a0A-1\u3000", "A-1"),
    ],
)
def test_a_reference_loses_only_what_a_spreadsheet_put_around_it(cell: str, reference: str) -> None:
    found = taken(read_csv(f"reference,amount\n{cell},1\n".encode(), TERMS))
    assert [row.reference for row in found.rows] == [reference]


def test_json_keeps_a_reference_as_it_is() -> None:
    found = taken(read_json(json.dumps([{"reference": "'00123", "amount": "1"}]).encode(), TERMS))
    assert found.rows[0].reference == "'00123"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"rows": [], "rows": []}', "list, column rows"),
        (
            '[{"reference": "A", "amount_minor": 1}, {"reference": "B", "amount_minor": 1, "amount_minor": 2}]',
            "row 2, column amount_minor",
        ),
        ('{"rows": [{"reference": "A", "amount_minor": 1, "till": {"a": [{"b": 1, "b": 2}]}}]}', "row 1, column b"),
        ('{"rows": [], "x": {"a": 1, "a": 2}}', "list, column a"),
        ('{"a": 1, "a": 1}', "list, column a"),
        ('{"rows": {"a": 1, "a": 1}}', "list, column a"),
    ],
)
def test_a_duplicate_key_in_json_is_refused_with_its_place(body: str, place: str) -> None:
    assert reasons(read_json(body.encode(), TERMS)) == f"{place}: is a duplicate key"


def test_json_that_python_cannot_read_again_is_refused() -> None:
    assert "not JSON" in reasons(read_json(b'[{"reference": "A", "x": ' + b"9" * 5_000 + b"}]", TERMS))


def test_a_row_says_of_which_business_day_it_is() -> None:
    def day(text: str, outlet: str) -> tuple[datetime.datetime | None, datetime.date | None]:
        data = f"reference\tamount\ttime\toutlet\nA\t1\t{text}\t{outlet}\n".encode()
        row = taken(read_csv(data, BAR)).rows[0]
        return row.occurred_at, row.day

    after_midnight = datetime.datetime(2026, 12, 2, 2, 0, tzinfo=ZONE)
    assert day("2026-12-02 02:00", "out_bar_1") == (after_midnight, DAY)
    assert day("2026-12-02 04:00", "out_bar_1")[1] == DAY + datetime.timedelta(days=1)
    assert day("2026-12-02 02:00", "out_mall_1")[1] == DAY + datetime.timedelta(days=1)
    assert day("2026-12-01 02:00", "out_bar_1")[1] == DAY - datetime.timedelta(days=1)
    # A time alone is of the list's day: 02:00 is after midnight in the bar and before noon in the mall.
    assert day("02:00", "out_bar_1") == (after_midnight, None)
    assert day("02:00", "out_mall_1") == (datetime.datetime(2026, 12, 1, 2, 0, tzinfo=ZONE), None)
    assert day("2026-12-02", "out_bar_1") == (None, DAY)
    assert day("2026-12-02", "out_mall_1") == (None, DAY + datetime.timedelta(days=1))
    assert day("2020-12-01 12:00", "out_bar_1")[1] == datetime.date(2020, 12, 1)


def test_a_row_without_an_outlet_is_of_another_day_only_where_no_outlet_has_that_day() -> None:
    assert row_of("time", "2026-12-02 02:00", BAR).day == DAY
    assert row_of("time", "2026-12-02 05:00", BAR).day == DAY + datetime.timedelta(days=1)


def test_the_hour_of_an_outlet_in_another_zone_is_its_own() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    terms = ListTerms("JPY", OUTLETS, DAY, ZONE, {"out_bar_1": OutletDay(tokyo), "out_mall_1": OutletDay(ZONE)})
    data = b"reference,amount,time,outlet\nA,1,2026-12-01 00:30,out_bar_1\n"
    row = taken(read_csv(data, terms)).rows[0]
    assert (row.occurred_at, row.day) == (datetime.datetime(2026, 12, 1, 0, 30, tzinfo=tokyo), DAY)
