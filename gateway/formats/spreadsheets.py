"""Write CSV and open workbooks: the one place where texts of others become cells.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a formula may read other cells, call
a program or open an address (OWASP: CSV injection). Bill references, names and notes come from tills and people, so:

- CSV: such a text gets an apostrophe before it, also where blanks, control characters or apostrophes precede the
  sign, where the sign is full-width, and after a character inside the text at which a program with another separator
  would begin a new cell (`;`, tab, line ends, `|`). A text that begins with a tab or a line end gets one too. Numbers
  are numbers: a negative amount begins with a minus. `without_guard` takes the apostrophes off again and gives back
  exactly the text that was written.
- XLSX: a text is written as a text cell, never as a formula, a number or a link.

No other module of the product writes CSV or opens a workbook (tests/truth/test_cells.py).
"""

import csv
import datetime
import io
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import IO, Any, Final

BYTE_ORDER_MARK: Final = "\ufeff".encode()
"""Excel takes a CSV for UTF-8 only with it."""
FORMULA_SIGNS: Final = frozenset("=+-@")
_UNSEEN: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
_CELL_ENDS: Final = "\t\r\n;|"
"""Characters at which a program with another separator begins a new cell."""
_ENDS_FIRST: Final = re.compile(r"'*[\t\r\n]")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Build the patterns of where an apostrophe goes, and of where one was put.

    Blanks, control characters and characters without a width may precede a sign; a sign is whatever compatibility
    folding makes one (`＝`, `﹦`, `⁼` …).
    """
    characters = [chr(code) for code in chain(range(0x10000), range(0x1D100, 0x1D200), range(0xE0000, 0xE1000))]
    skipped = "".join(each for each in characters if unicodedata.category(each) in _UNSEEN and each not in _CELL_ENDS)
    signs = "".join(each for each in characters if unicodedata.normalize("NFKC", each) in FORMULA_SIGNS) + "\u2212"
    before = f"['{re.escape(skipped)}]*[{re.escape(signs)}]"
    start = f"(^|[{re.escape(_CELL_ENDS)}])"
    return re.compile(f"{start}(?={before})"), re.compile(f"{start}'(?={before})")


def guarded(text: str) -> str:
    """Return the text with an apostrophe before whatever a spreadsheet would take for a formula."""
    found = _patterns()[0].sub(r"\1'", text)
    return f"'{found}" if _ENDS_FIRST.match(found) else found


def without_guard(text: str) -> str:
    """Return the text that `guarded` was given."""
    if _ENDS_FIRST.match(text):
        text = text.removeprefix("'")
    return _patterns()[1].sub(r"\1", text)


def csv_bytes(rows: Iterable[Iterable[Any]], *, line_end: str = "\r\n") -> bytes:
    """Encode rows as CSV (RFC 4180) in UTF-8 without a byte-order mark. None is an empty cell."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if value is None or isinstance(value, (bool, int, float, datetime.date)):
        return value
    raise TypeError(f"{type(value).__name__} is not a cell")


def open_workbook(stream: IO[bytes], **options: Any) -> Any:
    """Open an xlsxwriter workbook that writes row by row and makes nothing of what a text looks like."""
    from xlsxwriter import Workbook  # type: ignore[import-untyped]  # noqa: PLC0415 - 4 MB a worker that makes none

    return Workbook(
        stream,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            **options,
        },
    )


def write_text(sheet: Any, row: int, place: int, text: str, style: Any = None) -> None:
    """Write a text into a cell of a sheet, as text whatever it is.

    xlsxwriter takes `<r>…</r>` for markup that it made itself and writes it as it is: a character that nobody sees
    keeps it from that.
    """
    if text.startswith("<r>"):
        text = f"\u200b{text}"
    sheet.write_string(row, place, text, style)
