"""One section of a statement as CSV (RFC 4180): UTF-8 with a byte order mark, which Excel needs to read Chinese.

Money is integer minor units, so that a column adds up exactly. In English headings and words are those of the API; in
Chinese they are translated. The first column of every row is the statement's status: a provisional one says so in each.

What a spreadsheet would take for a formula is guarded (gateway/formats/spreadsheets.py).
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

from gateway.formats.spreadsheets import BYTE_ORDER_MARK, csv_bytes
from gateway.problems.kinds import Language
from gateway.statements.tables import Column, StreamedTable, Table
from gateway.statements.texts import TEXTS
from redemption.settlement.figures import Statement


class CsvFile:
    """A writer of one table."""

    def __init__(self, file: BinaryIO, statement: Statement, language: Language) -> None:
        self._file = file
        self._words = None if language == "en" else TEXTS[language]
        self._status = self._word(statement.status)
        self._columns: tuple[Column, ...] = ()

    def begin(self, table: Table | StreamedTable) -> None:
        """Write the heading."""
        self._columns = table.columns
        # A table may have a status of its own: a period's, a dispute's.
        heading = ["statement", *(column.key for column in self._columns)]
        words = self._words
        self._file.write(BYTE_ORDER_MARK + csv_bytes([heading if words is None else [words[key] for key in heading]]))

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write further rows."""
        kinds = [column.kind for column in self._columns]
        self._file.write(csv_bytes([self._status, *map(self._cell, kinds, row)] for row in rows))

    def finish(self) -> None:
        """Finish the file; nothing follows the last row."""

    def _cell(self, kind: str, cell: Any) -> Any:
        return self._word(cell) if kind == "word" else cell

    def _word(self, word: str) -> str:
        return word if self._words is None else self._words.get(word, word)
