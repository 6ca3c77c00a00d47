"""The head of a statement, the same in each format: its business, time, state, and what is open."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.formats.money import money_text
from gateway.problems.kinds import Language
from gateway.statements.tables import CellKind
from gateway.statements.texts import TEXTS
from redemption.settlement.figures import Statement


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the head; `key` as in `texts.py`."""

    key: str
    kind: CellKind
    value: Any


def title_of(statement: Statement, language: Language, name: Callable[[str], str] = str) -> str:
    """Return `Provisional settlement statement – Tong Hotel – 2026-11`.

    `name` prepares a name for the middle of a line.
    """
    words = TEXTS[language]
    kind = words["provisional_statement" if statement.provisional else "statement"]
    return " – ".join([kind, name(statement.name_of(statement.scope.business, language)), statement.scope.label])


def facts_of(statement: Statement, language: Language, prepared: Callable[[str], str] = str) -> list[Fact]:
    """Return the facts in the order they are shown. `prepared` prepares a name for the middle of a line."""
    scope = statement.scope

    def party(identifier: str) -> str:
        name = statement.name_of(identifier, language)
        return identifier if name == identifier else f"{prepared(name)} ({identifier})"

    facts = [Fact("business", "text", party(scope.business))]
    if scope.counterparty is not None:
        facts.append(Fact("counterparty_name", "text", party(scope.counterparty)))
    facts += [
        Fact("net_minor", "text", f"{money_text(row.sums.net_minor, row.sums.currency)} {row.sums.currency}")
        for row in statement.totals
    ]
    facts += [
        Fact("period", "text", f"{scope.label} ({scope.first_day} – {scope.last_day})"),
        Fact("status", "word", statement.status),
        Fact("as_of" if statement.provisional else "closed_on", "time", statement.as_of),
        Fact("lines", "integer", statement.lines),
        Fact("late", "integer", sum(row.sums.lines for row in statement.late)),
        Fact("exceptions", "integer", statement.exceptions),
        Fact("open_disputes", "integer", sum(one.resolved_at is None for one in statement.disputes)),
    ]
    if statement.provisional:
        facts.append(Fact("buckets_behind", "integer", statement.buckets_behind))
    return facts
