"""A statement as an XLSX workbook: a summary, a sheet for each way to look at the lines, every exception, every
line.

Guarantees: money is a number with the number format of its currency's minor unit; totals are formulas over the lines
that carry their value too, so they read without recalculation; text is written as text, so nothing of a caller is a
formula; memory does not grow with the lines (`constant_memory`: rows go to temporary files in `folder` and come in
order); the document's time is the statement's, so the same statement is the same bytes. Lines beyond what one sheet
holds go to further sheets.
"""

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
from gateway.statements.sheet_rows import SheetRows, day_number, time_number
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
from redemption.settlement.figures import Statement

ROWS_PER_SHEET: Final = 1_048_000
"""Rows of data on one sheet; Excel has 1 048 576 in all."""
HEADING_ROW: Final = 3
FIRST_ROW: Final = HEADING_ROW + 1
SHEETS_MAX: Final = 50
FOOTER_CHARACTERS_MAX: Final = 100  # Excel takes 255 with the codes
WIDTHS: Final = {"text": 18, "word": 14, "integer": 12, "money": 16, "day": 12, "time": 20}
WIDE: Final = {"reason": 40, "note": 40, "sha256": 66, "line_id": 24, "redemption_id": 24, "reference": 24}
LEFT_OUT: Final = frozenset({"counterparty", "outlet", "asset"})
"""Ids that the sheets of lines and exceptions do without: names stand there."""


class TooManyLines(Exception):
    """More lines than the sheets of a workbook are meant to hold; the text says what to take instead."""


class XlsxFile:
    """Writes figures at once, then the streamed tables in the order they are begun: exceptions, lines."""

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
        self._pending: list[SheetRows] = []
        self._room = 0

    def begin(self, table: StreamedTable) -> None:
        """A streamed section starts, on the first of its sheets."""
        self._shown = [place for place, column in enumerate(table.columns) if column.key not in LEFT_OUT]
        left = self._statement.lines if table.section == "lines" else self._statement.exceptions
        self._pending = []
        for sheet in self._streamed[table.section]:
            self._pending.append(self._begin_sheet(sheet, table.section, min(left, self._rows_per_sheet)))
            left -= self._rows_per_sheet
        self._room = self._rows_per_sheet

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Further rows of the section that was begun."""
        shown = [tuple([cells[place] for place in self._shown]) for cells in rows]
        while shown:
            if not self._room:
                self._pending.pop(0)
                self._room = self._rows_per_sheet
            self._pending[0].write(shown[: self._room])
            taken = min(len(shown), self._room)
            self._room -= taken
            shown = shown[taken:]

    def finish(self) -> None:
        """Puts the workbook together; it is not readable before."""
        self._book.close()

    def _begin_sheet(self, sheet: Worksheet, section: Section, count: int) -> SheetRows:
        """Everything above the lines. The formats stand in empty cells above the heading, so that they have numbers;
        an empty cell below the last line makes xlsxwriter write out what it holds back."""
        columns = _streamed_columns(section)
        totals = self._statement.totals
        self._head(sheet)
        styles: dict[tuple[CellKind, str | None], CellFormat] = {
            (kind, None): self._style(kind, None) for kind in ("integer", "day", "time", "money")
        }
        styles |= {("money", row.sums.currency): self._style("money", row.sums.currency) for row in totals}
        for place, style in enumerate(dict.fromkeys(styles.values())):
            sheet.write_blank(HEADING_ROW - 1, place, None, style)
        self._heading(sheet, HEADING_ROW, columns)
        sheet.freeze_panes(FIRST_ROW, 0)
        sheet.autofilter(HEADING_ROW, 0, FIRST_ROW + max(count, 1) - 1, len(columns) - 1)
        sheet.write_blank(FIRST_ROW + count, 0, None, self._style("integer", None))

        def style_of(kind: CellKind, currency: str | None) -> int:
            return int(styles.get((kind, currency), styles[kind, None]).xf_index)

        return SheetRows(sheet.fh, FIRST_ROW, columns, self._words, style_of)

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
        """One object for each set of properties: xlsxwriter numbers only the first of equal ones."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def _style(self, kind: CellKind, currency: str | None, *, bold: bool = False) -> CellFormat:
        """The cell format of a number."""
        more: dict[str, Any] = {"bold": True, "top": 1} if bold else {}
        if kind == "money" and digits_of(currency):
            return self._format(num_format=f"#,##0.{'0' * digits_of(currency)}", **more)
        if kind in ("money", "integer"):
            return self._format(num_format="#,##0", **more)
        if kind == "day":
            return self._format(num_format="yyyy-mm-dd", **more)
        return self._format(num_format="yyyy-mm-dd hh:mm:ss", align="left", **more)

    def _heading(self, sheet: Worksheet, row: int, columns: tuple[Column, ...]) -> None:
        """Title and note when the sheet is new, and the columns' headings with their widths."""
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
        """Heading and rows; the row after them."""
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
            number = cell
            if kind == "money":
                number = cell / 10 ** digits_of(currency)
            elif kind == "day":
                number = day_number(cell)
            elif kind == "time":
                number = time_number(cell)
            sheet.write_number(row, place, number, self._style(kind, currency))

    def _totals(self, sheet: Worksheet, row: int, table: Table) -> None:
        """A row for each currency that sums the rows above it; no total of units of different things."""
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
        """The totals of a currency, as formulas over the sheets of lines."""
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
        """SUMIFS of a column, or COUNTIFS, over every sheet of lines."""
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
