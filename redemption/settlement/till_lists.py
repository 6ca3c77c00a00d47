"""What a till says it took on a day: its list, read from CSV or JSON.

Guarantees: a list is taken whole or not at all; what is wrong is told by row and column, every wrong row up to
`TILL_LIST_FAULTS_MAX` (and how many there are). Bytes, rows, columns and the length of every text are bounded, so
memory is. Nothing is guessed about money: `amount_minor` is whole minor units, `amount` is in the currency's unit with
at most its number of decimals, and a list that has both columns is refused.

The list is tolerant where programs differ without meaning anything: a byte-order mark, CRLF, `,` `;` or tab between
fields, the order of columns, further columns, and column names in English or Chinese (`COLUMNS`).
"""

import csv
import datetime
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from redemption.domain.currencies import decimals_of
from redemption.domain.limits import (
    AMOUNT_MINOR_MAX,
    BILL_REFERENCE_CHARACTERS_MAX,
    TILL_LIST_BYTES_MAX,
    TILL_LIST_COLUMNS_MAX,
    TILL_LIST_FAULTS_MAX,
    TILL_LIST_ROWS_MAX,
)

Column = Literal[
    "reference", "amount_minor", "amount", "time", "outlet", "currency", "redemption_id", "bill_amount_minor"
]  # fmt: skip
COLUMNS: Final[Mapping[Column, tuple[str, ...]]] = {
    "reference": (
        "reference", "bill_reference", "receipt", "receipt_number", "單號", "单号", "帳單號", "账单号", "帳單編號",
        "账单编号", "流水號", "流水号", "小票號", "小票号",
    ),
    "amount_minor": ("amount_minor", "discount_minor", "金額(分)", "金额(分)", "抵扣金額(分)", "抵扣金额(分)"),
    "amount": ("amount", "discount", "金額", "金额", "抵扣金額", "抵扣金额", "核銷金額", "核销金额"),
    "time": ("time", "date_time", "datetime", "時間", "时间", "交易時間", "交易时间", "核銷時間", "核销时间"),
    "outlet": ("outlet", "outlet_id", "門店", "门店", "門店編號", "门店编号"),
    "currency": ("currency", "幣別", "币别", "幣種", "币种"),
    "redemption_id": ("redemption_id", "核銷編號", "核销编号", "核銷單號", "核销单号"),
    "bill_amount_minor": ("bill_amount_minor", "帳單金額(分)", "账单金额(分)"),
}  # fmt: skip
"""The columns there are and what they may be called. Spaces, case and full-width brackets make no difference."""
CHARSETS: Final = frozenset({"utf-8", "utf-8-sig", "gbk", "gb18030", "big5", "utf-16"})
TEXT_CHARACTERS_MAX: Final = 64

_NAMED: Final[Mapping[str, Column]] = {name: column for column, names in COLUMNS.items() for name in names}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,13}(?:\.[0-9]{1,4})?", re.ASCII)
_REFERENCE: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_VALUES_MAX: Final = 4 * TILL_LIST_ROWS_MAX
"""Objects and arrays in a JSON list, so that a body of nothing but brackets cannot become a hundred times its size."""
assert TILL_LIST_FAULTS_MAX <= TILL_LIST_ROWS_MAX


class TillRow(NamedTuple):
    """One row: what the till took off a bill by redemption, minor units; negative: it gave that back."""

    number: int
    reference: str
    amount_minor: int
    occurred_at: datetime.datetime | None
    outlet: str | None
    redemption_id: str | None
    bill_amount_minor: int | None


@dataclass(frozen=True, slots=True)
class TillList:
    """A list that was read whole. `ignored_columns` are those whose names mean nothing here."""

    rows: tuple[TillRow, ...]
    ignored_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a row. Row 1 is the first after the header; 0 is the header, or the list as a whole."""

    row: int
    column: str | None
    reason: str

    @property
    def place(self) -> str:
        """`row 7, column amount_minor`."""
        where = f"row {self.row}" if self.row else "list"
        return f"{where}, column {self.column}" if self.column else where


@dataclass(frozen=True, slots=True)
class TillListRefused:
    """A list that cannot be read: the first faults, and of how many there are."""

    faults: tuple[RowFault, ...]
    count: int


@dataclass(frozen=True, slots=True)
class ListTerms:
    """What a list is read by: the business's currency and outlets, the day, and the zone its times are in."""

    currency: str
    outlets: frozenset[str]
    day: datetime.date
    zone: ZoneInfo


def read_csv(data: bytes, terms: ListTerms, charset: str = "utf-8") -> TillList | TillListRefused:
    """A list with one header line. `charset` is one of `CHARSETS`."""
    refused = _too_large(data)
    if refused is not None:
        return refused
    assert charset in CHARSETS
    try:
        text = data.decode("utf-8-sig" if charset == "utf-8" else charset)
    except UnicodeDecodeError as fault:
        return _refused(f"not {charset}: byte {fault.start} cannot be read; say another charset in Content-Type")
    header, _, _ = text.lstrip("\r\n").partition("\n")
    delimiter = max(",;\t", key=header.count)
    if header.count(delimiter) >= TILL_LIST_COLUMNS_MAX:
        return _refused(f"a list may have {TILL_LIST_COLUMNS_MAX} columns")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = next((fields for fields in _rows_of(reader) if fields), None)
    if names is None:
        return _refused("the list is empty: not even a header is there")
    if isinstance(names, RowFault):
        return TillListRefused((names,), 1)
    columns = _columns(names)
    if isinstance(columns, TillListRefused):
        return columns
    ignored = tuple(
        name.strip()[:TEXT_CHARACTERS_MAX] for name, column in zip(names, columns, strict=True) if not column
    )
    return _collected(_csv_rows(reader, columns), terms, ignored)


def read_json(data: bytes, terms: ListTerms) -> TillList | TillListRefused:
    """`{"rows": [{"reference": …, "amount_minor": …}, …]}`, or the array alone. Members have the English names."""
    refused = _too_large(data)
    if refused is not None:
        return refused
    if data.count(b"{") + data.count(b"[") > _VALUES_MAX:
        return _refused(f"a list may have {TILL_LIST_ROWS_MAX} rows; send one for each outlet")
    try:
        document = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        return _refused(f"not JSON: {fault}")
    rows = document.get("rows") if isinstance(document, dict) else document
    if not isinstance(rows, list) or (isinstance(document, dict) and set(document) != {"rows"}):
        return _refused('a list of rows is expected: {"rows": [{"reference": …, "amount_minor": …}]}')
    objects: list[dict[str, Any] | RowFault] = [
        row if isinstance(row, dict) else RowFault(number, None, "an object is expected")
        for number, row in enumerate(rows, 1)
    ]
    first = next((row for row in objects if isinstance(row, dict)), {})
    if "amount" in first and "amount_minor" in first:
        return _refused("both amount and amount_minor are there; say one")
    known = (row if isinstance(row, RowFault) else _known_members(row) for row in objects)
    ignored = sorted({name for row in objects if isinstance(row, dict) for name in row if name not in COLUMNS})
    return _collected(known, terms, tuple(name[:TEXT_CHARACTERS_MAX] for name in ignored[:TILL_LIST_COLUMNS_MAX]))


def _too_large(data: bytes) -> TillListRefused | None:
    if len(data) > TILL_LIST_BYTES_MAX:
        return _refused(f"a list may have {TILL_LIST_BYTES_MAX} bytes")
    return None


def _refused(reason: str, column: str | None = None) -> TillListRefused:
    return TillListRefused((RowFault(0, column, reason),), 1)


def _known_members(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in COLUMNS}


def _rows_of(reader: Iterator[list[str]]) -> Iterator[list[str] | RowFault]:
    """The rows of a CSV; one that is no CSV ends it."""
    number = 0
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield RowFault(number, None, f"not CSV: {fault}")
            return
        number += 1
        yield fields


def _csv_rows(
    reader: Iterator[list[str]], columns: Sequence[Column | None]
) -> Iterator[dict[str, Any] | RowFault | None]:
    """None for a line with nothing in it."""
    for number, fields in enumerate(_rows_of(reader), 1):
        if isinstance(fields, RowFault):
            yield RowFault(number, None, fields.reason)
        elif not any(field.strip() for field in fields):
            yield None
        elif len(fields) != len(columns):
            yield RowFault(number, None, f"{len(fields)} fields, the header has {len(columns)}")
        else:
            yield {column: field for column, field in zip(columns, fields, strict=True) if column is not None}


def _columns(names: Sequence[str]) -> list[Column | None] | TillListRefused:
    """Which column each name of the header means; None for one that is not known."""
    columns = [_NAMED.get(_plain(name)) for name in names]
    twice = next((column for column in columns if column is not None and columns.count(column) > 1), None)
    if twice is not None:
        return _refused("two columns have this meaning", twice)
    if "reference" not in columns:
        return _refused(f"there is no such column; it may be called {', '.join(COLUMNS['reference'])}", "reference")
    if ("amount_minor" in columns) == ("amount" in columns):
        both = "both are there; leave one out" if "amount" in columns else "one of amount_minor and amount is needed"
        return _refused(both, "amount_minor")
    return columns


def _plain(name: str) -> str:
    return "_".join(name.strip().lower().replace("\uff08", "(").replace("\uff09", ")").split())


def _collected(
    given: Iterable[dict[str, Any] | RowFault | None], terms: ListTerms, ignored: tuple[str, ...]
) -> TillList | TillListRefused:
    """Reads the rows, or tells what is wrong with each. None is passed over."""
    rows: list[TillRow] = []
    faults: list[RowFault] = []
    count = 0
    for number, values in enumerate(given, 1):
        if number > TILL_LIST_ROWS_MAX:
            return _refused(f"a list may have {TILL_LIST_ROWS_MAX} rows; send one for each outlet")
        if values is None:
            continue
        read: TillRow | list[RowFault] = [values] if isinstance(values, RowFault) else _row(number, values, terms)
        if isinstance(read, TillRow):
            rows.append(read)
        else:
            count += len(read)
            faults += read[: TILL_LIST_FAULTS_MAX - len(faults)]
    if {row.outlet is None for row in rows} == {True, False}:
        count += 1
        faults.append(RowFault(0, "outlet", "every row names its outlet, or none does"))
    if faults:
        return TillListRefused(tuple(faults), count)
    return TillList(tuple(rows), ignored)


def _row(number: int, values: Mapping[str, Any], terms: ListTerms) -> TillRow | list[RowFault]:
    read: dict[str, Any] = {}
    faults = []
    for column, reader in _READERS.items():
        value = values.get(column)
        if isinstance(value, str):
            value = value.strip() or None
        try:
            read[column] = None if value is None else reader(value, terms)
        except ValueError as fault:
            faults.append(RowFault(number, column, str(fault)))
    if values.get("amount") is not None and values.get("amount_minor") is not None:
        faults.append(RowFault(number, "amount", "amount_minor is there too; say one"))
    amount = read.get("amount_minor") if read.get("amount_minor") is not None else read.get("amount")
    blamed = {fault.column for fault in faults}
    if amount is None and not blamed & {"amount", "amount_minor"}:
        faults.append(RowFault(number, "amount" if "amount" in values else "amount_minor", "is missing"))
    if read.get("reference") is None and "reference" not in blamed:
        faults.append(RowFault(number, "reference", "is missing"))
    if faults:
        return faults
    assert amount is not None
    return TillRow(
        number, read["reference"], amount, read["time"], read["outlet"], read["redemption_id"],
        read["bill_amount_minor"],
    )  # fmt: skip


def _text(value: Any, _: ListTerms) -> str:
    if not isinstance(value, str) or not re.fullmatch(rf"[!-~]{{1,{TEXT_CHARACTERS_MAX}}}", value):
        raise ValueError(f"is no id of 1 to {TEXT_CHARACTERS_MAX} visible ASCII characters")
    return value


def _reference(value: Any, _: ListTerms) -> str:
    long = isinstance(value, str) and len(value) > BILL_REFERENCE_CHARACTERS_MAX
    if not isinstance(value, str) or long or _REFERENCE.fullmatch(value) is None:
        raise ValueError(
            f"is no bill reference: 1 to {BILL_REFERENCE_CHARACTERS_MAX} visible ASCII characters, as the scan had it"
        )
    return value


def _minor(value: Any, _: ListTerms) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is not int:
        raise ValueError("is no whole number of minor units (1250 is 12.50); no separators, no decimals")
    return _bounded(value)


def _bill_minor(value: Any, terms: ListTerms) -> int:
    amount = _minor(value, terms)
    if amount < 0:
        raise ValueError("a bill's amount is not negative")
    return amount


def _amount(value: Any, terms: ListTerms) -> int:
    decimals = decimals_of(terms.currency)
    wrong = f"is no amount with at most {decimals} decimals, written like 1250.00; no separators, no currency sign"
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or _DECIMAL.fullmatch(text) is None:
        raise ValueError(wrong + ("; in JSON it is a text" if isinstance(value, float) else ""))
    try:
        minor = Decimal(text).scaleb(decimals)
    except InvalidOperation:
        raise ValueError(wrong) from None
    if minor != minor.to_integral_value():
        raise ValueError(wrong)
    return _bounded(int(minor))


def _bounded(value: int) -> int:
    if abs(value) > AMOUNT_MINOR_MAX:
        raise ValueError(f"is more than {AMOUNT_MINOR_MAX} minor units")
    return value


def _time(value: Any, terms: ListTerms) -> datetime.datetime:
    wrong = "is no time, written like 2026-11-22 18:30:05, 2026-11-22T10:30:05Z or 18:30:05"
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        raise ValueError(wrong)
    try:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?", value, re.ASCII):
            alone = datetime.time.fromisoformat(value.zfill(len(value) + (value.index(":") == 1)))
            return datetime.datetime.combine(terms.day, alone, terms.zone)
        moment = datetime.datetime.fromisoformat(value.replace("/", "-"))
    except ValueError:
        raise ValueError(wrong) from None
    if ":" not in value:
        raise ValueError(wrong)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=terms.zone)


def _outlet(value: Any, terms: ListTerms) -> str:
    if not isinstance(value, str) or value not in terms.outlets:
        raise ValueError("is no outlet of this business")
    return value


def _currency(value: Any, terms: ListTerms) -> str:
    if value != terms.currency:
        raise ValueError(f"this business bills in {terms.currency}")
    return terms.currency


_READERS: Final = {
    "reference": _reference,
    "amount_minor": _minor,
    "amount": _amount,
    "time": _time,
    "outlet": _outlet,
    "currency": _currency,
    "redemption_id": _text,
    "bill_amount_minor": _bill_minor,
}
