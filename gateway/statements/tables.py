"""A statement as tables: the columns of each section in order, and its rows. All renderers show these.

A cell is a plain value: text, a word of `texts.py`, an integer, money in minor units (of the row's `currency` column),
a day or a time. Names are in one language; ids are in columns beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, cast

from gateway.problems.kinds import Language
from gateway.statements.texts import TEXTS
from redemption.settlement.figures import Row, Statement, StatementException, StatementLine, Sums

CellKind = Literal["text", "word", "integer", "money", "day", "time"]
Section = Literal[
    "totals",
    "kinds",
    "counterparties",
    "outlets",
    "days",
    "instruments",
    "late",
    "periods",
    "disputes",
    "exceptions",
    "lines",
]
FIGURE_SECTIONS: Final[tuple[Section, ...]] = (
    "totals",
    "kinds",
    "counterparties",
    "outlets",
    "days",
    "instruments",
    "late",
    "periods",
    "disputes",
)
"""Those whose size does not depend on the number of lines."""
STREAMED_SECTIONS: Final[tuple[Section, ...]] = ("exceptions", "lines")
SECTIONS: Final[tuple[Section, ...]] = FIGURE_SECTIONS + STREAMED_SECTIONS
SUMMED: Final[frozenset[Section]] = frozenset({"kinds", "counterparties", "outlets", "days", "instruments"})
"""Each line is in exactly one row of these, so that their columns add up to the totals."""


@dataclass(frozen=True, slots=True)
class Column:
    """`key` names it in JSON and CSV, and its heading in `texts.py`."""

    key: str
    kind: CellKind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A section that is held in memory."""

    section: Section
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class StreamedTable:
    """A section whose rows are made one by one from what the statement streams."""

    section: Section
    columns: tuple[Column, ...]
    row_of: Callable[[Any], tuple[Any, ...]]


def _columns(text: str) -> tuple[Column, ...]:
    """Read columns from a text: their keys in order, each followed by `:kind` where it is not text."""
    parts = (word.partition(":") for word in text.split())
    return tuple(Column(key, cast(CellKind, kind or "text")) for key, _, kind in parts)


_SUMS: Final = """
    currency lines_count:integer own_lines:integer
    receivable_amount_minor:money receivable_tax_minor:money receivable_minor:money
    payable_amount_minor:money payable_tax_minor:money payable_minor:money net_minor:money
"""
_UNITS: Final = """
    receivable_units:integer receivable_face_minor:money payable_units:integer payable_face_minor:money
    own_units:integer own_face_minor:money
"""
_COUNTERPARTY: Final = "counterparty counterparty_name"
_OUTLET: Final = "outlet outlet_name"
_ASSET: Final = "asset asset_name"

COLUMNS: Final[dict[Section, tuple[Column, ...]]] = {
    "totals": _columns(_SUMS),
    "kinds": _columns(f"kind:word {_SUMS}"),
    "counterparties": _columns(f"{_COUNTERPARTY} {_SUMS}"),
    "outlets": _columns(f"{_OUTLET} acceptor acceptor_name {_SUMS}"),
    "days": _columns(f"local_day:day {_SUMS}"),
    "instruments": _columns(f"{_ASSET} {_SUMS} {_UNITS}"),
    "late": _columns(f"belongs_to {_SUMS}"),
    "periods": _columns(f"""
        period_id {_COUNTERPARTY} number:integer status:word lines_count:integer closed_at:time closed_by approved_by
        payment_reference sha256
    """),
    "disputes": _columns("""
        dispute_id line_id status:word raised_by reason opened_at:time note resolved_at:time
        currency amount_minor:money tax_minor:money
        correction_id correction_amount_minor:money correction_tax_minor:money
    """),
    "exceptions": _columns(f"""
        local_day:day occurred_at:time reason:word direction:word {_COUNTERPARTY} {_OUTLET} {_ASSET}
        units:integer face_value_minor:money currency redemption_id bill_reference line_id
    """),
    "lines": _columns(f"""
        local_day:day occurred_at:time direction:word kind:word {_COUNTERPARTY} {_OUTLET} {_ASSET}
        units:integer face_value_minor:money amount_minor:money tax_minor:money net_minor:money currency
        redemption_id bill_reference agreement line_id reference belongs_to dispute_id
    """),
}


def asset_name(statement: Statement, asset: str, language: Language) -> str:
    """Return `points`, a benefit by its name, stored value by its currency."""
    if asset.startswith("benefit:"):
        name = statement.name_of(asset, language)
        return asset.removeprefix("benefit:") if name == asset else name
    words = TEXTS[language]
    return words["points"] if asset == "points" else f"{words['stored_value']} {asset}"


def figure_tables(statement: Statement, language: Language) -> list[Table]:
    """Return the sections of FIGURE_SECTIONS, in that order."""

    def name(identifier: str | None) -> str:
        return statement.name_of(identifier, language)

    keys: dict[Section, Callable[[Row], tuple[Any, ...]]] = {
        "totals": lambda _: (),
        "kinds": lambda row: (row.key,),
        "counterparties": lambda row: (row.key, name(row.key)),
        "outlets": lambda row: (row.key, name(row.key), row.acceptor, name(row.acceptor)),
        "days": lambda row: (row.key,),
        "instruments": lambda row: (row.key, asset_name(statement, row.key or "", language)),
        "late": lambda row: (row.key,),
    }
    groups: dict[Section, tuple[Row, ...]] = {
        "totals": statement.totals,
        "kinds": statement.kinds,
        "counterparties": statement.counterparties,
        "outlets": statement.outlets,
        "days": statement.days,
        "instruments": statement.instruments,
        "late": statement.late,
    }
    tables = [
        Table(
            section,
            COLUMNS[section],
            [key(row) + _cells(row.sums, units=section == "instruments") for row in groups[section]],
        )
        for section, key in keys.items()
    ]
    tables.append(Table("periods", COLUMNS["periods"], _period_rows(statement, language)))
    tables.append(Table("disputes", COLUMNS["disputes"], _dispute_rows(statement)))
    return tables


def lines_table(statement: Statement, language: Language) -> StreamedTable:
    """Return the table of lines, which makes the row of a `StatementLine`."""
    name = cache(lambda identifier: statement.name_of(identifier, language))
    asset = cache(lambda identifier: asset_name(statement, identifier, language))

    def row_of(line: StatementLine) -> tuple[Any, ...]:
        agreement = f"{line.agreement_id} v{line.agreement_version}" if line.agreement_id else None
        return (
            line.local_day,
            line.occurred_at,
            line.direction,
            line.kind,
            line.counterparty,
            name(line.counterparty),
            line.outlet,
            name(line.outlet),
            line.asset,
            asset(line.asset),
            line.units,
            line.face_value_minor,
            line.amount_minor,
            line.tax_minor,
            line.net_minor,
            line.currency,
            line.subject_id,
            line.bill_reference,
            agreement,
            line.line_id,
            line.reference,
            line.belongs_to,
            line.dispute_id,
        )

    return StreamedTable("lines", COLUMNS["lines"], row_of)


def exceptions_table(statement: Statement, language: Language) -> StreamedTable:
    """Return the table of exceptions, which makes the row of a `StatementException`."""

    def row_of(use: StatementException) -> tuple[Any, ...]:
        return (
            use.local_day,
            use.occurred_at,
            use.reason,
            use.direction,
            use.counterparty,
            statement.name_of(use.counterparty, language),
            use.outlet,
            statement.name_of(use.outlet, language),
            use.asset,
            asset_name(statement, use.asset, language),
            use.units,
            use.face_value_minor,
            use.currency,
            use.subject_id,
            use.bill_reference,
            use.line_id,
        )

    return StreamedTable("exceptions", COLUMNS["exceptions"], row_of)


def _cells(sums: Sums, *, units: bool) -> tuple[Any, ...]:
    cells: tuple[Any, ...] = (
        sums.currency,
        sums.lines,
        sums.own_lines,
        sums.receivable_amount_minor,
        sums.receivable_tax_minor,
        sums.receivable_minor,
        sums.payable_amount_minor,
        sums.payable_tax_minor,
        sums.payable_minor,
        sums.net_minor,
    )
    if not units:
        return cells
    return (
        *cells,
        sums.receivable_units,
        sums.receivable_face_minor,
        sums.payable_units,
        sums.payable_face_minor,
        sums.own_units,
        sums.own_face_minor,
    )


def _period_rows(statement: Statement, language: Language) -> list[tuple[Any, ...]]:
    return [
        (
            one.period_id,
            one.counterparty,
            statement.name_of(one.counterparty, language),
            one.number,
            one.status,
            one.lines,
            one.closed_at,
            one.closed_by,
            ", ".join(one.approved_by),
            one.payment_reference,
            one.sha256,
        )
        for one in statement.periods
    ]


def _dispute_rows(statement: Statement) -> list[tuple[Any, ...]]:
    return [
        (
            one.dispute_id,
            one.line_id,
            "open" if one.resolved_at is None else "resolved",
            one.raised_by,
            one.reason,
            one.opened_at,
            one.note,
            one.resolved_at,
            one.currency,
            one.amount_minor,
            one.tax_minor,
            one.correction_id,
            one.correction_amount_minor,
            one.correction_tax_minor,
        )
        for one in statement.disputes
    ]
