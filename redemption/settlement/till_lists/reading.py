"""A till's list of its day, read from CSV or JSON.

Guarantees: a list is taken whole or not at all; faults are reported by row and column, every wrong row up to
`TILL_LIST_FAULTS_MAX` (and how many there are). Bytes, rows, columns and the length of every text are bounded, so
memory is. Nothing is guessed about money or about a charset: what can be read in two ways is decided by a stated rule
(`till_list_values`, `till_list_text`) or refused.

The list is tolerant where programs differ without meaning anything: charset, byte-order mark, line ends, separator, the
order of columns, further columns, full-width characters, and column names in English or Chinese (`COLUMNS`).
"""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

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
from redemption.settlement.till_lists.columns import COLUMNS, Column, column_named, columns_of
from redemption.settlement.till_lists.json_lists import first_duplicate
from redemption.settlement.till_lists.terms import ListTerms, placed
from redemption.settlement.till_lists.text import (
    Broken,
    Charset,
    Reading,
    Sheet,
    charset_named,
    fitted,
    readings_of,
    sheet_of,
    text_of_cell,
)
from redemption.settlement.till_lists.values import (
    DateOrder,
    DecimalMark,
    When,
    marks_shown,
    orders_shown,
    read_amount,
    read_minor,
    read_when,
)

TEXT_CHARACTERS_MAX: Final = 64

_REFERENCE: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_VALUES_MAX: Final = 4 * TILL_LIST_ROWS_MAX
"""Objects and arrays in a JSON list, so that a body of nothing but brackets cannot become a hundred times its size."""
assert TILL_LIST_FAULTS_MAX <= TILL_LIST_ROWS_MAX


class TillRow(NamedTuple):
    """One row: what the till took off a bill by redemption, in minor units; negative where it gave that back."""

    number: int
    reference: str
    amount_minor: int
    occurred_at: datetime.datetime | None
    outlet: str | None
    redemption_id: str | None
    bill_amount_minor: int | None
    day: datetime.date | None = None
    """The business day that the row names; None where it names none."""


@dataclass(frozen=True, slots=True)
class ReadAs:
    """The properties of a list that were found out from the list itself."""

    charset: Charset
    separator: str | None = None
    decimal_mark: DecimalMark | None = None
    date_order: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class TillList:
    """A list that was read whole. `ignored_columns` are those whose names mean nothing here."""

    rows: tuple[TillRow, ...]
    ignored_columns: tuple[str, ...]
    read_as: ReadAs


@dataclass(frozen=True, slots=True)
class RowFault:
    """A fault of a row. Row 1 is the first after the header; 0 is the header, or the list as a whole."""

    row: int
    column: str | None
    reason: str

    @property
    def place(self) -> str:
        """Return `row 7, column amount_minor`."""
        where = f"row {self.row}" if self.row else "list"
        return f"{where}, column {self.column}" if self.column else where


@dataclass(frozen=True, slots=True)
class TillListRefused:
    """A list that cannot be read: the first faults, and of how many there are."""

    faults: tuple[RowFault, ...]
    count: int


@dataclass(frozen=True, slots=True)
class _Style:
    """The style of the list as a whole: how it writes numbers and dates, and whether it is a spreadsheet's."""

    decimal_mark: DecimalMark | None
    date_order: DateOrder | None


def read_csv(data: bytes, terms: ListTerms, charset: str | None = None) -> TillList | TillListRefused:
    """Read a list with one header line. `charset` as a Content-Type names it; None: it is found out.

    A charset that was found out counts only where the header is understood in it. Where GB 18030 and Big5 both fit, the
    list is taken only if its rows are the same in both.
    """
    refused = _too_large(data)
    if refused is not None:
        return refused
    named = None if charset is None else charset_named(charset)
    if charset is not None and named is None:
        return _refused(f"the charset {charset[:TEXT_CHARACTERS_MAX]} is not known")
    readings = readings_of(data, named)
    if isinstance(readings, str):
        return _refused(readings)
    results = [(reading, _read_sheet(reading, terms)) for reading in readings]
    taken = [result for _, result in results if isinstance(result, TillList)]
    if len({found.rows for found in taken}) > 1:
        names = " and ".join(found.read_as.charset for found in taken)
        return _refused(f"can be read in {names}, with different rows; name the charset in Content-Type")
    if taken:
        return taken[0]
    # The reading in which the header is understood has the real fault.
    understood = [result for _, result in results if isinstance(result, TillListRefused) and result.faults[0].row]
    refusals = understood or [result for _, result in results if isinstance(result, TillListRefused)]
    if not understood and len(results) > 1:
        return _refused(f"no header is understood in {' or '.join(reading.charset for reading, _ in results)}")
    return refusals[0]


def _read_sheet(reading: Reading, terms: ListTerms) -> TillList | TillListRefused:
    """Read a decoded CSV."""
    sheet = sheet_of(reading.text, lambda name: column_named(name) is not None)
    if isinstance(sheet, str):
        return _refused(sheet)
    columns = columns_of(sheet.names)
    if isinstance(columns, tuple):
        column, reason = columns
        return _refused(reason, column)
    ignored = tuple(
        name.strip()[:TEXT_CHARACTERS_MAX] for name, column in zip(sheet.names, columns, strict=True) if not column
    )
    return _collected(_csv_rows(sheet, columns), terms, ignored, ReadAs(reading.charset, sheet.separator))


def read_json(data: bytes, terms: ListTerms) -> TillList | TillListRefused:
    """Read `{"rows": [{"reference": …, "amount_minor": …}, …]}`, or the array alone. Members have the English names."""
    refused = _too_large(data)
    if refused is not None:
        return refused
    if data.count(b"{") + data.count(b"[") > _VALUES_MAX:
        return _refused(f"a list may have {TILL_LIST_ROWS_MAX} rows; send one for each outlet")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = msgspec.json.decode(data)
        twice = first_duplicate(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as fault:
        return _refused(f"not JSON: {fault}")
    if twice is not None:
        row, name = twice
        return _refused("is a duplicate key", name[:TEXT_CHARACTERS_MAX], row)
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
    return _collected(
        known, terms, tuple(name[:TEXT_CHARACTERS_MAX] for name in ignored[:TILL_LIST_COLUMNS_MAX]), ReadAs("utf-8")
    )


def _too_large(data: bytes) -> TillListRefused | None:
    if len(data) > TILL_LIST_BYTES_MAX:
        return _refused(f"a list may have {TILL_LIST_BYTES_MAX} bytes")
    return None


def _refused(reason: str, column: str | None = None, row: int = 0) -> TillListRefused:
    return TillListRefused((RowFault(row, column, reason),), 1)


def _known_members(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in COLUMNS}


def _csv_rows(sheet: Sheet, columns: Sequence[Column | None]) -> Iterator[dict[str, Any] | RowFault | None]:
    """Yield the cells of each row by their meaning; None for a line with nothing in it."""
    for number, record in enumerate(sheet.rows, 1):
        if isinstance(record, Broken):
            yield RowFault(number, None, record.reason)
            return
        if not any(cell.strip() for cell in record):
            yield None
            continue
        cells = fitted(record, len(columns))
        if cells is None:
            yield RowFault(number, None, f"{len(record)} fields, the header has {len(columns)}")
            continue
        values: dict[str, Any] = {
            column: cell for column, cell in zip(columns, cells, strict=True) if column is not None
        }
        for name in ("reference", "redemption_id", "outlet"):
            if name in values:
                values[name] = text_of_cell(values[name])
        yield values


def _collected(
    given: Iterable[dict[str, Any] | RowFault | None], terms: ListTerms, ignored: tuple[str, ...], read_as: ReadAs
) -> TillList | TillListRefused:
    """Read the rows, or collect the faults of each. None is ignored."""
    listed: list[dict[str, Any] | RowFault | None] = []
    for values in given:
        listed.append(values)
        if len(listed) > TILL_LIST_ROWS_MAX:
            return _refused(f"a list may have {TILL_LIST_ROWS_MAX} rows; send one for each outlet")
    style = _Style(
        marks_shown(_texts(listed, "amount")),
        orders_shown(chain(_texts(listed, "date"), _texts(listed, "time")), terms.day),
    )
    rows: list[TillRow] = []
    faults: list[RowFault] = []
    count = 0
    for number, values in enumerate(listed, 1):
        if values is None:
            continue
        read: TillRow | list[RowFault] = (
            [values] if isinstance(values, RowFault) else _row(number, values, terms, style)
        )
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
    shown = ReadAs(read_as.charset, read_as.separator, style.decimal_mark, style.date_order)
    return TillList(tuple(rows), ignored, shown)


def _texts(listed: Iterable[dict[str, Any] | RowFault | None], column: Column) -> Iterator[str]:
    """Yield the texts of a column."""
    for values in listed:
        if isinstance(values, dict):
            value = values.get(column)
            if isinstance(value, str):
                yield value


def _row(number: int, values: Mapping[str, Any], terms: ListTerms, style: _Style) -> TillRow | list[RowFault]:
    read: dict[str, Any] = {}
    faults = []
    for column, reader in _READERS.items():
        value = values.get(column)
        if isinstance(value, str):
            value = value.strip() or None
        try:
            read[column] = None if value is None else reader(value, terms, style)
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
    if not blamed & {"date", "time", "outlet"}:
        found = placed(read["date"], read["time"], terms, read["outlet"])
        if isinstance(found, str):
            faults.append(RowFault(number, "date", found))
        else:
            occurred_at, day = found
    if faults:
        return faults
    assert amount is not None
    return TillRow(
        number,
        read["reference"],
        amount,
        occurred_at,
        read["outlet"],
        read["redemption_id"],
        read["bill_amount_minor"],
        day,
    )


def _text(value: Any, _: ListTerms, __: _Style) -> str:
    if not isinstance(value, str) or not re.fullmatch(rf"[!-~]{{1,{TEXT_CHARACTERS_MAX}}}", value):
        raise ValueError(f"is no id of 1 to {TEXT_CHARACTERS_MAX} visible ASCII characters")
    return value


def _reference(value: Any, _: ListTerms, __: _Style) -> str:
    long = isinstance(value, str) and len(value) > BILL_REFERENCE_CHARACTERS_MAX
    if not isinstance(value, str) or long or _REFERENCE.fullmatch(value) is None:
        raise ValueError(
            f"is no bill reference: 1 to {BILL_REFERENCE_CHARACTERS_MAX} visible ASCII characters, as the scan had it"
        )
    return value


def _minor(value: Any, _: ListTerms, __: _Style) -> int:
    if isinstance(value, str):
        value = read_minor(value)
    if type(value) is not int:
        raise ValueError("is not a whole number of minor units (1250 is 12.50); no decimals")
    return _bounded(value)


def _bill_minor(value: Any, terms: ListTerms, style: _Style) -> int:
    amount = _minor(value, terms, style)
    if amount < 0:
        raise ValueError("a bill's amount is not negative")
    return amount


def _amount(value: Any, terms: ListTerms, style: _Style) -> int:
    decimals = decimals_of(terms.currency)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str):
        hint = "; in JSON it is a text" if isinstance(value, float) else ""
        raise ValueError(f"is not an amount with at most {decimals} decimals, written like 1250.00{hint}")
    return _bounded(read_amount(text, terms.currency, decimals, style.decimal_mark))


def _bounded(value: int) -> int:
    if abs(value) > AMOUNT_MINOR_MAX:
        raise ValueError(f"is more than {AMOUNT_MINOR_MAX} minor units")
    return value


def _date(value: Any, _: ListTerms, style: _Style) -> When:
    if not isinstance(value, str):
        raise ValueError("is not a date, written like 2026-11-22")
    return read_when(value, style.date_order)


def _time(value: Any, _: ListTerms, style: _Style) -> When:
    if not isinstance(value, str):
        raise ValueError("is not a time, written like 2026-11-22 18:30:05, 2026-11-22T10:30:05Z or 18:30:05")
    return read_when(value, style.date_order)


def _outlet(value: Any, terms: ListTerms, _: _Style) -> str:
    if not isinstance(value, str) or value not in terms.outlets:
        raise ValueError("is no outlet of this business")
    return value


def _currency(value: Any, terms: ListTerms, _: _Style) -> str:
    if value != terms.currency:
        raise ValueError(f"this business bills in {terms.currency}")
    return terms.currency


_READERS: Final[Mapping[Column, Callable[[Any, ListTerms, _Style], Any]]] = {
    "reference": _reference,
    "amount_minor": _minor,
    "amount": _amount,
    "date": _date,
    "time": _time,
    "outlet": _outlet,
    "currency": _currency,
    "redemption_id": _text,
    "bill_amount_minor": _bill_minor,
}
