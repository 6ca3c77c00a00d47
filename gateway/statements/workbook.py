"""A statement as an XLSX workbook: a summary, a sheet for each grouping of the lines, every exception, every line.

Guarantees: money is a number with the number format of its currency's minor unit; totals are formulas over the lines
that carry their value too, so they read without recalculation; text is written as text, so nothing of a caller is a
formula; memory does not grow with the lines (`constant_memory`: rows go to temporary files in `folder` and come in
order); the document's time is the statement's, so the same statement is the same bytes. Lines beyond what one sheet
holds go to further sheets.
"""

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from xlsxwriter.format import Format as CellFormat  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_rowcol_to_cell  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from gateway.formats.money import digits_of
from gateway.formats.spreadsheets import open_workbook, write_text
from gateway.problems.kinds import Language
from gateway.statements.facts import facts_of, title_of
from gateway.statements.tables import (
    COLUMNS,
    SUMMED,
    CellKind,
    Column,
    Section,
    StreamedTable,
    Table,
    figure_tables,
)
from gateway.statements.texts import TEXTS
from redemption.domain.errors import RefusedError
from redemption.settlement.figures import Statement

ROWS_PER_SHEET: Final = 1_048_000
"""Rows of data on one sheet; Excel has 1 048 576 in all."""
HEADING_ROW: Final = 3
FIRST_ROW: Final = HEADING_ROW + 1
SHEETS_MAX: Final = 50
FOOTER_CHARACTERS_MAX: Final = 100  # Excel takes 255 characters, codes included
WIDTHS: Final = {"text": 18, "word": 14, "integer": 12, "money": 16, "day": 12, "time": 20}
WIDE: Final = {"reason": 40, "note": 40, "sha256": 66, "line_id": 24, "redemption_id": 24, "reference": 24}
LEFT_OUT: Final = frozenset({"counterparty", "outlet", "asset"})
"""Ids that the sheets of lines and exceptions leave out: they have names instead."""


class TooManyLines(RefusedError):
    """A statement has more lines than the sheets of a workbook hold; the text names the format to take instead."""


class XlsxFile:
    """A writer of figures at once, then of the streamed tables in the order they are begun: exceptions, lines."""

    def __init__(
        self,
        stream: BinaryIO,
        folder: Path,
        statement: Statement,
        language: Language,
        *,
        rows_per_sheet: int = ROWS_PER_SHEET,
    ) -> None:
        if statement.lines + statement.exceptions > rows_per_sheet * SHEETS_MAX:
            raise TooManyLines(f"a workbook holds {rows_per_sheet * SHEETS_MAX} lines; take CSV")
        self._statement = statement
        self._words = TEXTS[language]
        self._title = title_of(statement, language)
        self._rows_per_sheet = rows_per_sheet
        self._book = open_workbook(stream, tmpdir=str(folder), use_zip64=True)
        self._book.set_properties({"title": self._title, "created": statement.as_of.replace(tzinfo=None)})
        self._formats: dict[Any, CellFormat] = {}
        tables = {table.section: table for table in figure_tables(statement, language)}
        summary = self._sheet(self._words["summary"])
        grouped = [table for section, table in tables.items() if section not in ("totals", "kinds")]
        sheets = [(table, self._sheet(self._words[table.section])) for table in grouped]
        self._streamed = {
            "exceptions": self._streamed_sheets("exceptions", statement.exceptions),
            "lines": self._streamed_sheets("lines", statement.lines),
        }
        self._summary(summary, statement, language, tables)
        for table, sheet in sheets:
            row = self._table(sheet, HEADING_ROW, table)
            sheet.freeze_panes(FIRST_ROW, 0)
            if table.section in SUMMED:
                self._totals(sheet, row, table)
        self._shown: list[int] = []
        self._columns: tuple[Column, ...] = ()
        self._pending: list[Worksheet] = []
        self._row = FIRST_ROW

    def begin(self, table: StreamedTable) -> None:
        """Begin a streamed section, on the first of its sheets."""
        self._columns = _streamed_columns(table.section)
        self._shown = [place for place, column in enumerate(table.columns) if column.key not in LEFT_OUT]
        left = self._statement.lines if table.section == "lines" else self._statement.exceptions
        self._pending = self._streamed[table.section].copy()
        for sheet in self._pending:
            self._begin_sheet(sheet, min(left, self._rows_per_sheet))
            left -= self._rows_per_sheet
        self._row = FIRST_ROW

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write further rows of the section that was begun."""
        for cells in rows:
            if self._row == FIRST_ROW + self._rows_per_sheet:
                self._pending.pop(0)
                self._row = FIRST_ROW
            self._cells(self._pending[0], self._row, self._columns, tuple([cells[place] for place in self._shown]))
            self._row += 1

    def finish(self) -> None:
        """Put the workbook together; it is not readable before."""
        self._book.close()

    def _begin_sheet(self, sheet: Worksheet, count: int) -> None:
        """Write everything above `count` lines."""
        self._heading(sheet, HEADING_ROW, self._columns)
        sheet.freeze_panes(FIRST_ROW, 0)
        sheet.autofilter(HEADING_ROW, 0, FIRST_ROW + max(count, 1) - 1, len(self._columns) - 1)

    def _sheet(self, name: str) -> Worksheet:
        sheet = self._book.add_worksheet(name)
        if self._statement.provisional:
            sheet.set_tab_color("#C00000")
            sheet.set_header('&C&"-,Bold"' + self._words["provisional_note"].replace("&", "&&"))
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(HEADING_ROW)
        sheet.set_footer(f"&L{self._title[:FOOTER_CHARACTERS_MAX].replace('&', '&&')}&R&P / &N")
        return sheet

    def _streamed_sheets(self, section: Section, count: int) -> list[Worksheet]:
        name = self._words[section]
        numbers = range(1, max(1, -(-count // self._rows_per_sheet)) + 1)
        return [self._sheet(name if number == 1 else f"{name} {number}") for number in numbers]

    def _format(self, **properties: Any) -> CellFormat:
        """Return one object for each set of properties: xlsxwriter numbers only the first of equal ones."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def _style(self, kind: CellKind, currency: str | None, *, bold: bool = False) -> CellFormat:
        """Return the cell format of a number."""
        more: dict[str, Any] = {"bold": True, "top": 1} if bold else {}
        if kind == "money" and digits_of(currency):
            return self._format(num_format=f"#,##0.{'0' * digits_of(currency)}", **more)
        if kind in ("money", "integer"):
            return self._format(num_format="#,##0", **more)
        if kind == "day":
            return self._format(num_format="yyyy-mm-dd", **more)
        return self._format(num_format="yyyy-mm-dd hh:mm:ss", align="left", **more)

    def _heading(self, sheet: Worksheet, row: int, columns: tuple[Column, ...]) -> None:
        """Write title and note when the sheet is new, and the columns' headings with their widths."""
        if row == HEADING_ROW:
            self._head(sheet)
            for place, column in enumerate(columns):
                sheet.set_column(place, place, WIDE.get(column.key, WIDTHS[column.kind]))
        style = self._format(bold=True, bg_color="#D9E2F3", border=1, text_wrap=True, valign="top")
        for place, column in enumerate(columns):
            write_text(sheet, row, place, self._words[column.key], style)

    def _head(self, sheet: Worksheet) -> None:
        write_text(sheet, 0, 0, self._title, self._format(bold=True, font_size=14))
        if self._statement.provisional:
            red = self._format(bold=True, font_color="#C00000")
            write_text(sheet, 1, 0, self._words["provisional_note"], red)

    def _table(self, sheet: Worksheet, row: int, table: Table) -> int:
        """Write heading and rows. Returns the row after them."""
        self._heading(sheet, row, table.columns)
        for cells in table.rows:
            row += 1
            self._cells(sheet, row, table.columns, cells)
        return row + 1

    def _cells(self, sheet: Worksheet, row: int, columns: tuple[Column, ...], cells: tuple[Any, ...]) -> None:
        currency = next((cells[place] for place, column in enumerate(columns) if column.key == "currency"), None)
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            if cell is not None:
                self._cell(sheet, row, place, column.kind, cell, currency)

    def _cell(self, sheet: Worksheet, row: int, place: int, kind: CellKind, cell: Any, currency: str | None) -> None:
        if kind == "text":
            write_text(sheet, row, place, cell)
        elif kind == "word":
            write_text(sheet, row, place, self._words.get(cell, cell))
        else:
            style = self._style(kind, currency)
            if kind == "money":
                sheet.write_number(row, place, cell / 10 ** digits_of(currency), style)
            elif kind == "integer":
                sheet.write_number(row, place, cell, style)
            else:
                sheet.write_datetime(row, place, _naive(cell), style)

    def _totals(self, sheet: Worksheet, row: int, table: Table) -> None:
        """Write a row for each currency that sums the rows above it; no total of units of different things."""
        keys = [column.key for column in table.columns]
        currency_place = keys.index("currency")
        bold = self._format(bold=True, top=1)
        last = max(row - 1, FIRST_ROW)
        criteria = f"{xl_rowcol_to_cell(FIRST_ROW, currency_place, True, True)}:"
        criteria += xl_rowcol_to_cell(last, currency_place, True, True)
        for number, total in enumerate(self._statement.totals):
            currency = total.sums.currency
            write_text(sheet, row + number, 0, self._words["total"], bold)
            write_text(sheet, row + number, currency_place, currency, bold)
            for place, column in enumerate(table.columns):
                if column.kind not in ("money", "integer") or column.key.endswith("_units"):
                    continue
                values = sum(cells[place] for cells in table.rows if cells[currency_place] == currency)
                area = f"{xl_rowcol_to_cell(FIRST_ROW, place)}:{xl_rowcol_to_cell(last, place)}"
                formula = f'=SUMIFS({area},{criteria},"{currency}")'
                style, value = self._styled(column, values, currency)
                sheet.write_formula(row + number, place, formula, style, value)

    def _styled(self, column: Column, value: int, currency: str) -> tuple[CellFormat, float]:
        number = value / 10 ** digits_of(currency) if column.kind == "money" else value
        return self._style(column.kind, currency, bold=True), number

    def _summary(
        self, sheet: Worksheet, statement: Statement, language: Language, tables: dict[Section, Table]
    ) -> None:
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 20, 18)
        self._head(sheet)
        write_text(sheet, 2, 0, self._words["signs_note"])
        row = HEADING_ROW + 1
        for fact in facts_of(statement, language):
            write_text(sheet, row, 0, self._words[fact.key], self._format(bold=True))
            self._cell(sheet, row, 1, fact.kind, fact.value, None)
            row += 1
        for section in ("totals", "kinds"):
            row += 1
            write_text(sheet, row, 0, self._words[section], self._format(bold=True, font_size=12))
            row += 1
            table = tables[section]
            self._heading(sheet, row, table.columns)
            for cells in table.rows:
                row += 1
                if section == "totals":
                    self._total_row(sheet, row, table, cells)
                else:
                    self._cells(sheet, row, table.columns, cells)
            row += 1

    def _total_row(self, sheet: Worksheet, row: int, table: Table, cells: tuple[Any, ...]) -> None:
        """Write the totals of a currency, as formulas over the sheets of lines."""
        currency = cells[0]
        write_text(sheet, row, 0, currency)
        places = {column.key: place for place, column in enumerate(table.columns)}

        def cell(key: str) -> str:
            return str(xl_rowcol_to_cell(row, places[key]))

        formulas = {
            "lines_count": self._over_lines(None, None, currency),
            "own_lines": self._over_lines(None, "own_use", currency),
            "receivable_minor": f"{cell('receivable_amount_minor')}+{cell('receivable_tax_minor')}",
            "payable_minor": f"{cell('payable_amount_minor')}+{cell('payable_tax_minor')}",
            "net_minor": f"{cell('receivable_minor')}-{cell('payable_minor')}",
        }
        for direction in ("receivable", "payable"):
            for part in ("amount_minor", "tax_minor"):
                formulas[f"{direction}_{part}"] = self._over_lines(part, direction, currency)
        for key, formula in formulas.items():
            place = places[key]
            style, value = self._styled(table.columns[place], cells[place], currency)
            sheet.write_formula(row, place, f"={formula}", style, value)

    def _over_lines(self, summed: str | None, direction: str | None, currency: str) -> str:
        """Return SUMIFS of a column, or COUNTIFS, over every sheet of lines."""
        terms = []
        for area in self._line_areas():
            criteria = f'{area("currency")},"{currency}"'
            if direction is not None:
                criteria += f',{area("direction")},"{self._words[direction]}"'
            terms.append(f"COUNTIFS({criteria})" if summed is None else f"SUMIFS({area(summed)},{criteria})")
        return "+".join(terms)

    def _line_areas(self) -> Iterator[Any]:
        left = self._statement.lines
        keys = [column.key for column in _streamed_columns("lines")]
        for sheet in self._streamed["lines"]:
            last = FIRST_ROW + max(1, min(left, self._rows_per_sheet)) - 1
            left -= self._rows_per_sheet

            def area(key: str, name: str = sheet.name, last: int = last) -> str:
                place = keys.index(key)
                first_cell = xl_rowcol_to_cell(FIRST_ROW, place, True, True)
                return f"'{name}'!{first_cell}:{xl_rowcol_to_cell(last, place, True, True)}"

            yield area


def _streamed_columns(section: Section) -> tuple[Column, ...]:
    return tuple(column for column in COLUMNS[section] if column.key not in LEFT_OUT)


def _naive(moment: datetime.datetime | datetime.date | str) -> datetime.datetime | datetime.date:
    """Return a day or a moment as a spreadsheet has it: without a zone, in UTC."""
    if isinstance(moment, str):
        return datetime.date.fromisoformat(moment)
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if isinstance(moment, datetime.datetime) else moment
