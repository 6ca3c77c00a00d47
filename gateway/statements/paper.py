"""A statement as PDF, set by Typst: the figures, and the first PAPER_ROWS_MAX exceptions and lines.

Guarantees: the fonts are embedded; text is handed over as data, so no character is markup, and as it can be printed
(gateway/statements/printing.py); the document's time is the
statement's, so the same statement is the same bytes; a provisional one says so on every page.
"""

import datetime
import itertools
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, BinaryIO, Final

import orjson
import typst

from gateway.formats.money import money_text
from gateway.problems.kinds import Language
from gateway.statements.facts import facts_of, title_of
from gateway.statements.fonts import REGIONS, FoundFont
from gateway.statements.printing import PrintedText, breakable
from gateway.statements.tables import SUMMED, Column, Section, StreamedTable, Table, figure_tables
from gateway.statements.texts import TEXTS
from redemption.settlement.figures import Statement

PAPER_ROWS_MAX: Final = 500
"""Rows of any one section; what is more is in the CSV and XLSX, and the page says so."""


def _keys(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SUMS: Final = """
    currency lines_count receivable_amount_minor receivable_tax_minor receivable_minor payable_amount_minor
    payable_tax_minor payable_minor net_minor
"""
SHOWN: Final[dict[Section, tuple[str, ...]]] = {
    "totals": _keys(_SUMS),
    "kinds": _keys(f"kind {_SUMS}"),
    "counterparties": _keys(f"counterparty_name {_SUMS}"),
    "outlets": _keys(f"outlet_name acceptor_name {_SUMS}"),
    "days": _keys(f"local_day {_SUMS}"),
    "instruments": _keys("""
        asset_name currency lines_count receivable_units receivable_face_minor receivable_minor payable_units
        payable_face_minor payable_minor own_units own_face_minor net_minor
    """),
    "late": _keys(f"belongs_to {_SUMS}"),
    "periods": _keys("""
        number period_id counterparty_name status lines_count approved_by payment_reference sha256
    """),
    "disputes": _keys("""
        status line_id raised_by reason note currency amount_minor tax_minor correction_amount_minor
        correction_tax_minor correction_id
    """),
    "exceptions": _keys("""
        local_day reason direction counterparty_name outlet_name asset_name units face_value_minor currency
        bill_reference line_id
    """),
    "lines": _keys("""
        local_day direction kind counterparty_name outlet_name asset_name units face_value_minor amount_minor
        tax_minor net_minor currency bill_reference line_id reference belongs_to
    """),
}
_WIDE: Final = frozenset(
    _keys("""
        counterparty_name outlet_name acceptor_name asset_name bill_reference reason note approved_by payment_reference
    """)
)
_STRETCHED: Final[frozenset[Section]] = frozenset({"periods", "disputes", "exceptions", "lines"})
_SMALL: Final = frozenset({"sha256", "line_id", "reference", "correction_id", "belongs_to"})


class PaperFile:
    """A writer of the PDF: it takes the streamed tables like the other formats, keeps the first rows, and sets the
    page."""

    def __init__(self, stream: BinaryIO, statement: Statement, language: Language, font: FoundFont) -> None:
        self._stream = stream
        self._statement = statement
        self._language = language
        self._words = TEXTS[language]
        self._font = font
        self._printed = PrintedText(font)
        self._sections = [
            self._section(table, len(table.rows))
            for table in figure_tables(statement, language)
            if table.rows or table.section in ("totals", "counterparties")
        ]
        self._table: StreamedTable | None = None
        self._rows: list[tuple[Any, ...]] = []

    def begin(self, table: StreamedTable) -> None:
        """Begin a streamed section."""
        self._end_section()
        self._table, self._rows = table, []

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep further rows of the section that was begun; those beyond the limit are left out."""
        self._rows.extend(itertools.islice(rows, PAPER_ROWS_MAX - len(self._rows)))

    def finish(self) -> None:
        """Set the pages."""
        self._end_section()
        moment = self._statement.as_of.astimezone(datetime.UTC)
        pages = typst.compile(
            (files("gateway.statements") / "statement.typ").read_bytes(),
            font_paths=self._font.fonts,
            ignore_system_fonts=True,
            format="pdf",
            sys_inputs={"data": orjson.dumps(self._data(moment)).decode()},
            timestamp=int(moment.timestamp()),
        )
        self._stream.write(pages)

    def _data(self, moment: datetime.datetime) -> dict[str, Any]:
        words, statement = self._words, self._statement
        return {
            "title": title_of(statement, self._language, self._printed.isolated),
            "mark": words["provisional"],
            "provisional": words["provisional_note"] if statement.provisional else None,
            "state": f"{words[statement.status]} – {_time_text(moment)}",
            "created": dict(
                zip(("year", "month", "day", "hour", "minute", "second"), moment.timetuple(), strict=False)
            ),
            "families": self._font.families,
            "lang": self._language[:2],
            "region": {"TC": "TW", "SC": "CN"}[REGIONS[self._language]] if self._language != "en" else "GB",
            "facts": [
                (
                    words[fact.key],
                    breakable(fact.value)
                    if fact.kind == "text"
                    else self._text(Column(fact.key, fact.kind), fact.value, None),
                )
                for fact in facts_of(statement, self._language, self._printed.isolated)
            ],
            "signs": words["signs_note"],
            "replaced": words["replaced_note"] if self._printed.replaced else None,
            "nothing": words["none"],
            "page": words["page"],
            "sections": self._sections,
        }

    def _end_section(self) -> None:
        if self._table is not None:
            section = self._table.section
            count = self._statement.lines if section == "lines" else self._statement.exceptions
            self._sections.append(self._section(Table(section, self._table.columns, self._rows), count))

    def _section(self, table: Table, count: int) -> dict[str, Any]:
        keys = [column.key for column in table.columns]
        currency_place = keys.index("currency") if "currency" in keys else None
        rows = table.rows[:PAPER_ROWS_MAX]
        places = [keys.index(key) for key in SHOWN[table.section]]
        if table.section in _STRETCHED:
            # An empty column is left out, because paper has little room.
            places = [place for place in places if not rows or any(cells[place] for cells in rows)]
        columns = [table.columns[place] for place in places]
        note = None
        if count > len(rows):
            note = self._words["lines_cut"].format(shown=len(rows), all=count)
        return {
            "heading": self._words[table.section],
            "stretched": table.section in _STRETCHED,
            "columns": [
                {
                    "heading": self._words[column.key],
                    "number": column.kind in ("integer", "money"),
                    "wide": column.key in _WIDE,
                    "small": column.key in _SMALL,
                    "id": column.key in _SMALL and column.key != "sha256",
                }
                for column in columns
            ],
            "rows": [
                [
                    self._text(column, cells[place], None if currency_place is None else cells[currency_place])
                    for column, place in zip(columns, places, strict=True)
                ]
                for cells in rows
            ],
            "totals": self._totals(columns) if table.section in SUMMED and table.rows else [],
            "note": note,
        }

    def _totals(self, columns: list[Column]) -> list[list[str]]:
        """Return the sums of the rows, for each currency, under the columns that the totals have too."""
        totals = figure_tables(self._statement, self._language)[0]
        keys = [column.key for column in totals.columns]
        return [
            [
                self._words["total"]
                if number == 0
                else self._text(column, row[keys.index(column.key)], row[0])
                if column.key in keys
                else ""
                for number, column in enumerate(columns)
            ]
            for row in totals.rows
        ]

    def _text(self, column: Column, cell: Any, currency: str | None) -> str:
        if cell is None:
            return ""
        if column.kind == "money":
            return money_text(cell, currency)
        if column.kind == "integer":
            return f"{cell:,}"
        if column.kind == "word":
            return self._words.get(str(cell), str(cell))
        if column.kind == "time":
            return _time_text(cell)
        text = self._printed.clean(str(cell))
        return text if column.key == "sha256" else breakable(text)


def _time_text(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
