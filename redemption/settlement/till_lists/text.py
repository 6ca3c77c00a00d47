"""Turn the bytes of an uploaded CSV list into a header and rows: charset, separator, quoting.

Guarantees: every decoding is strict, so no character is replaced or dropped. A charset that nobody named is accepted
only when the header makes sense in it (the caller decides that); a byte-order mark beats the charset that was named.

The separator is the one with which the header has the most columns that are known by name, so a separator inside a
quoted heading does not count. A first line `sep=;`, which spreadsheets write for each other, names it.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from redemption.domain.limits import TILL_LIST_COLUMNS_MAX
from redemption.settlement.till_lists.values import folded

Charset = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5"]
CHARSET_LABELS: Final[Mapping[str, Charset]] = {
    **dict.fromkeys(("utf-8", "utf8", "utf-8-sig", "unicode-1-1-utf-8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("utf-16", "utf16", "unicode", "ucs-2", "iso-10646-ucs-2"), "utf-16"),
    **dict.fromkeys(("utf-16le", "utf-16-le", "utf16le"), "utf-16-le"),
    **dict.fromkeys(("utf-16be", "utf-16-be", "utf16be"), "utf-16-be"),
    # GB 18030 contains GBK, which contains GB 2312: one decoder reads all three (WHATWG Encoding does the same).
    **dict.fromkeys(
        ("gb18030", "gbk", "gb2312", "gb_2312-80", "csgb2312", "cp936", "ms936", "windows-936", "x-gbk", "euc-cn"),
        "gb18030",
    ),
    **dict.fromkeys(
        ("big5", "big-5", "cp950", "ms950", "windows-950", "x-x-big5", "big5-hkscs", "big5hkscs", "cn-big5"), "big5"
    ),
}
"""The labels of a Content-Type, in lower case with `-` for `_`, and the charset that is read."""
CODECS: Final[Mapping[Charset, tuple[str, ...]]] = {
    "utf-8": ("utf-8",),
    "utf-16": ("utf-16-le", "utf-16-be"),
    "utf-16-le": ("utf-16-le",),
    "utf-16-be": ("utf-16-be",),
    "gb18030": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),  # Windows' table first; Hong Kong's supplement for what it does not have
}
SEPARATORS: Final = ",;\t"
HEADER_CHARACTERS_MAX: Final = 65_536
_MARKS: Final[tuple[tuple[bytes, Charset], ...]] = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_OTHER_FILES: Final = (
    (b"PK\x03\x04", "an XLSX workbook"),
    (b"\xd0\xcf\x11\xe0", "an XLS workbook"),
    (b"%PDF", "a PDF"),
)
_TEXT_FORMULA: Final = re.compile(r'="(?P<text>(?:[^"]|"")*)"')
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(?P<separator>[,;\t])"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the bytes. `charset` names the family, as the answer tells it."""

    charset: Charset
    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is not CSV; nothing can be read after it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A header and the rows below it. `rows` can be read once; an empty list is an empty line."""

    separator: str
    names: list[str]
    rows: Iterator[list[str] | Broken]


def charset_named(label: str) -> Charset | None:
    """Return the charset of a Content-Type's label, None for an unsupported one."""
    return CHARSET_LABELS.get(label.strip().strip('"').lower().replace("_", "-").replace("gb-2312", "gb_2312"))


def readings_of(data: bytes, named: Charset | None) -> list[Reading] | str:
    """Decode the bytes in each charset they may be in. A text is the reason why none can be.

    Named: that one. Not named: UTF-16 where zero bytes are, else UTF-8, else GB 18030 and Big5; the last two have no
    mark that tells them apart, so both are given where both can be decoded.
    """
    other = next((what for start, what in _OTHER_FILES if data.startswith(start)), None)
    if other is not None:
        return f"is {other}, not CSV; save the sheet as CSV (UTF-8) and send that"
    for mark, charset in _MARKS:
        if data.startswith(mark):
            data, named = data.removeprefix(mark), charset
            break
    if named is not None:
        candidates: tuple[Charset, ...] = ("utf-16-le", "utf-16-be") if named == "utf-16" else (named,)
    elif b"\0" in data:
        candidates = ("utf-16-le", "utf-16-be")
    else:
        candidates = ("utf-8", "gb18030", "big5")
    readings: list[Reading] = []
    faults: list[str] = []
    for charset in candidates:
        decoded = _decoded(data, charset)
        if isinstance(decoded, int):
            faults.append(f"{charset} (byte {decoded} cannot be read)")
            continue
        readings.append(Reading(charset, decoded))
        if charset == "utf-8":
            break  # text of another charset that happens to be valid UTF-8 is too rare to ask about
    if readings:
        return readings
    return f"is not {', not '.join(faults)}; name the file's charset in Content-Type"


def _decoded(data: bytes, charset: Charset) -> str | int:
    """Return the text, or the place of the first byte that has none."""
    place = 0
    for codec in CODECS[charset]:
        try:
            return data.decode(codec)
        except UnicodeDecodeError as fault:
            place = max(place, fault.start)
    return place


def sheet_of(text: str, is_known: Callable[[str], bool]) -> Sheet | str:
    """Find the header and the separator. A text is the reason why there is none.

    `is_known` tells whether a heading has a meaning here.
    """
    text = text.lstrip("\ufeff\r\n")
    named = _SEPARATOR_LINE.match(text)
    separators = SEPARATORS
    if named is not None:
        separators, text = named["separator"], text[named.end() :]
    best: tuple[int, int, str] | None = None
    broken: str | None = None
    for separator in separators:
        names = _header(_records(text[:HEADER_CHARACTERS_MAX], separator))
        if names is None:
            continue
        if isinstance(names, Broken):
            broken = names.reason
            continue
        found = (sum(map(is_known, names)), len(names), separator)
        # Of equal ones the first counts: CSV is named after the comma.
        if best is None or found[:2] > best[:2]:
            best = found
    if best is None:
        return broken or "the list is empty: not even a header is there"
    _, count, separator = best
    if count > TILL_LIST_COLUMNS_MAX:
        return f"a list may have {TILL_LIST_COLUMNS_MAX} columns"
    records = _records(text, separator)
    header = _header(records)
    assert header is not None
    if isinstance(header, Broken):
        return header.reason
    if len(header) > TILL_LIST_COLUMNS_MAX:
        return f"a list may have {TILL_LIST_COLUMNS_MAX} columns"
    return Sheet(separator, header, records)


def _header(records: Iterator[list[str] | Broken]) -> list[str] | Broken | None:
    """Return the first record with any content."""
    for record in records:
        if isinstance(record, Broken) or any(cell.strip() for cell in record):
            return record
    return None


def _records(text: str, separator: str) -> Iterator[list[str] | Broken]:
    """Yield the records of a CSV; one that is not CSV ends it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield Broken(f"not CSV: {fault}")
            return


def fitted(fields: Sequence[str], columns: int) -> Sequence[str] | None:
    """Fit a row to the header: spreadsheets leave empty cells out at the end of a row, or add some. None: it has more
    cells than the header, and something is in them."""
    if len(fields) > columns and any(field.strip() for field in fields[columns:]):
        return None
    return [*fields[:columns], *[""] * (columns - len(fields))]


def text_of_cell(cell: str) -> str:
    """Remove what marks a cell as text in a spreadsheet: `'00123` (also what our own files put before a formula) and
    `="00123"`.

    A bill reference that begins with an apostrophe of its own must be sent as JSON.
    """
    cell = folded(cell)
    if cell[:1] == "'":
        return cell[1:]
    found = _TEXT_FORMULA.fullmatch(cell)
    return found["text"].replace('""', '"') if found is not None else cell
