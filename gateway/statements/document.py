"""A statement as JSON: an object with its head and figures, then every exception and line, one on a row of text.

Money is integer minor units, times are RFC 3339 UTC, words are those of the API in every language; only names, title
and notice are in the language asked for. `provisional` comes first.
"""

import datetime
from collections.abc import Sequence
from typing import Any, BinaryIO

import orjson

from gateway.problems.kinds import Language
from gateway.statements.facts import title_of
from gateway.statements.tables import Column, StreamedTable, figure_tables
from gateway.statements.texts import TEXTS
from redemption.settlement.figures import Statement


def statement_document(statement: Statement, language: Language = "en") -> dict[str, Any]:
    """Return the head and the figures, without exceptions and lines themselves; ready for orjson."""
    scope = statement.scope
    document: dict[str, Any] = {
        "provisional": statement.provisional,
        "status": statement.status,
        "notice": TEXTS[language]["provisional_note"] if statement.provisional else None,
        "title": title_of(statement, language),
        "business": {"business_id": scope.business, "name": statement.name_of(scope.business, language)},
        "counterparty": None,
        "period": {
            "kind": scope.kind,
            "label": scope.label,
            "first_day": scope.first_day.isoformat(),
            "last_day": scope.last_day.isoformat(),
        },
        "as_of": _time(statement.as_of),
        "buckets_behind": statement.buckets_behind,
        "lines_count": statement.lines,
        "late_lines_count": sum(row.sums.lines for row in statement.late),
        "exceptions_count": statement.exceptions,
    }
    if scope.counterparty is not None:
        document["counterparty"] = {
            "business_id": scope.counterparty,
            "name": statement.name_of(scope.counterparty, language),
        }
    for table in figure_tables(statement, language):
        document[table.section] = [_object(table.columns, row) for row in table.rows]
    return document


class JsonFile:
    """A writer of head and figures, then of the streamed tables in the order they are begun."""

    def __init__(self, file: BinaryIO, statement: Statement, language: Language) -> None:
        self._file = file
        self._first = True
        self._table: StreamedTable | None = None
        head = orjson.dumps(statement_document(statement, language))
        file.write(head.removesuffix(b"}"))

    def begin(self, table: StreamedTable) -> None:
        """Begin a section; the one before it ends."""
        self._end_section()
        self._table, self._first = table, True
        self._file.write(b',\n"' + table.section.encode() + b'":[')

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write further rows of the section that was begun."""
        assert self._table is not None
        texts = [b"\n" + orjson.dumps(_object(self._table.columns, row)) for row in rows]
        if texts and self._first:
            self._first = False
        elif texts:
            self._file.write(b",")
        self._file.write(b",".join(texts))

    def finish(self) -> None:
        """End the document."""
        self._end_section()
        self._file.write(b"}\n")

    def _end_section(self) -> None:
        if self._table is not None:
            self._file.write(b"]")


def _object(columns: tuple[Column, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        column.key: _time(cell) if isinstance(cell, datetime.datetime) else cell
        for column, cell in zip(columns, row, strict=True)
    }


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
