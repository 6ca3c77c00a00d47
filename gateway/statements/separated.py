"""One section of a statement as CSV (RFC 4180): UTF-8 with a byte order mark, which Excel needs to read Chinese.

Money is integer minor units, so that a column adds up exactly. In English headings and words are those of the API; in
Chinese they are translated. The first column of every row is the statement's status: a provisional one says so in each.

A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP: CSV injection). Numbers are left
as they are: a negative amount begins with a minus and is a number.
"""

import csv
import datetime
import io
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

from gateway.statements.tables import Column, StreamedTable, Table
from gateway.statements.texts import TEXTS, Language
from redemption.settlement.figures import Statement

FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")
"""Full-width forms too: some spreadsheets fold them."""


def plain(text: str) -> str:
    """The text as a cell that is no formula, whatever it begins with."""
    return f"'{text}" if text.lstrip(" ")[:1] in FORMULA_STARTS else text


class CsvFile:
    """Writes one table."""

    def __init__(self, file: BinaryIO, statement: Statement, language: Language) -> None:
        self._file = file
        self._words = None if language == "en" else TEXTS[language]
        self._status = self._word(statement.status)
        self._columns: tuple[Column, ...] = ()

    def begin(self, table: Table | StreamedTable) -> None:
        """The heading."""
        self._columns = table.columns
        # A table may have a status of its own: a period's, a dispute's.
        heading = ["statement", *(column.key for column in self._columns)]
        words = self._words
        self._file.write("\ufeff".encode() + _text([heading if words is None else [words[key] for key in heading]]))

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Further rows."""
        kinds = [column.kind for column in self._columns]
        self._file.write(_text([self._status, *map(self._cell, kinds, row)] for row in rows))

    def finish(self) -> None:
        """Nothing follows the last row."""

    def _cell(self, kind: str, cell: Any) -> Any:
        if kind == "text":
            return plain(cell) if cell else cell
        if kind == "word":
            return self._word(cell)
        if isinstance(cell, datetime.datetime):
            return cell.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cell

    def _word(self, word: str) -> str:
        return word if self._words is None else self._words.get(word, word)


def _text(rows: Any) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()
