"""The rows of a sheet of lines, written straight as SpreadsheetML (ECMA-376 part 1, 18.3.1) into its row stream.

xlsxwriter takes 160 µs for a line of twenty cells, this 20; everything else of the workbook is xlsxwriter's. Rows must
come in order after the rows that xlsxwriter wrote. Text is always an inline string: nothing of a caller is markup or a
formula.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.formats.money import digits_of
from gateway.statements.tables import CellKind, Column

DAY_ZERO: Final = datetime.date(1899, 12, 30)
TIME_ZERO: Final = datetime.datetime(1899, 12, 30, tzinfo=datetime.UTC)
_SPECIAL: Final = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def day_number(day: datetime.date | str) -> int:
    """Return a day as a spreadsheet counts it."""
    return ((datetime.date.fromisoformat(day) if isinstance(day, str) else day) - DAY_ZERO).days


def time_number(moment: datetime.datetime) -> float:
    """Return a moment as a spreadsheet counts it, in days of UTC."""
    return (moment - TIME_ZERO) / datetime.timedelta(days=1)


def xml_text(text: str) -> str:
    """Return text for an element: entities, and `_xHHHH_` for characters that XML 1.0 lacks (ECMA-376, ST_Xstring)."""
    return _SPECIAL.sub(_escaped, text) if _SPECIAL.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if len(found) > 1:
        return f"_x005F{found}"
    return _ENTITIES.get(found) or f"_x{ord(found):04X}_"


class SheetRows:
    """A writer of rows. `stream` is the sheet's; `style_of` gives the number of the cell format of a kind and a
    currency."""

    def __init__(
        self,
        stream: Any,
        first_row: int,
        columns: tuple[Column, ...],
        words: dict[str, str],
        style_of: Callable[[CellKind, str | None], int],
    ) -> None:
        self._stream = stream
        self._row = first_row + 1
        self._words = words
        self._style_of = style_of
        self._styles: dict[tuple[CellKind, str | None], int] = {}
        self._kinds = [(_letters(place), column.kind) for place, column in enumerate(columns)]
        self._currency_place = [column.key for column in columns].index("currency")

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write further rows, below the last."""
        parts: list[str] = []
        for cells in rows:
            row = self._row
            currency = cells[self._currency_place]
            parts.append(f'<row r="{row}">')
            for (letters, kind), cell in zip(self._kinds, cells, strict=True):
                if cell is not None:
                    parts.append(self._cell(f"{letters}{row}", kind, cell, currency))
            parts.append("</row>")
            self._row += 1
        self._stream.write("".join(parts))

    def _cell(self, place: str, kind: CellKind, cell: Any, currency: str | None) -> str:
        if kind in ("text", "word"):
            text = xml_text(cell if kind == "text" else self._words.get(cell, cell))
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
        style = self._styles.get((kind, currency))
        if style is None:
            style = self._styles[kind, currency] = self._style_of(kind, currency)
        value = cell
        if kind == "money":
            value = cell / 10 ** digits_of(currency)
        elif kind == "day":
            value = day_number(cell)
        elif kind == "time":
            value = time_number(cell)
        return f'<c r="{place}" s="{style}"><v>{value!r}</v></c>'


def _letters(place: int) -> str:
    """Return the letter of a column: 0 is A; there are fewer than 26."""
    return chr(ord("A") + place)
