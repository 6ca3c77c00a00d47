"""The figures of a statement, as typed values: sums by each grouping, periods, disputes, lines, exceptions.

Money is integer minor units. Seen from one business: `receivable` is what others owe it for what was used at its
outlets, `payable` what it owes for what it issued; net = receivable - payable. Negative: more was given back than used.
Own use (both sides are the business itself) counts in `lines`, `own_lines`, `own_units` and `own_face_minor` only.
"""

import datetime
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

Direction = Literal["receivable", "payable", "own_use"]
StatementStatus = Literal["provisional", "closed", "approved", "paid"]
Names = dict[str, str]
"""Names by language; any may be missing."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The business and the time of a statement. A day's statement is always provisional."""

    business: str
    counterparty: str | None
    kind: Literal["month", "day"]
    month: int
    first_day: datetime.date
    last_day: datetime.date

    @property
    def label(self) -> str:
        """Return `2026-11` or `2026-11-22`."""
        return self.first_day.isoformat() if self.kind == "day" else f"{self.month // 100}-{self.month % 100:02}"


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of lines of one currency, before tax where there is a field for tax."""

    currency: str
    lines: int = 0
    own_lines: int = 0
    receivable_units: int = 0
    receivable_face_minor: int = 0
    receivable_amount_minor: int = 0
    receivable_tax_minor: int = 0
    payable_units: int = 0
    payable_face_minor: int = 0
    payable_amount_minor: int = 0
    payable_tax_minor: int = 0
    own_units: int = 0
    own_face_minor: int = 0

    @property
    def receivable_minor(self) -> int:
        """Return the receivable amount with tax."""
        return self.receivable_amount_minor + self.receivable_tax_minor

    @property
    def payable_minor(self) -> int:
        """Return the payable amount with tax."""
        return self.payable_amount_minor + self.payable_tax_minor

    @property
    def net_minor(self) -> int:
        """Return what the business receives; negative where it pays."""
        return self.receivable_minor - self.payable_minor


SUMS = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of one kind, counterparty, outlet, day (ISO), asset or period of late lines.

    `acceptor`: the business of an outlet; an outlet may be unknown (`key` is None).
    """

    key: str | None
    acceptor: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class StatementPeriod:
    """A closed period of the business with one counterparty (or of its own use)."""

    period_id: str
    counterparty: str
    number: int
    status: Literal["closed", "approved", "paid"]
    lines: int
    sha256: str
    closed_by: str
    closed_at: datetime.datetime
    approved_by: tuple[str, ...]
    payment_reference: str | None


@dataclass(frozen=True, slots=True)
class StatementDispute:
    """A dispute on a line of the statement. The correction's amounts are what it adds to the line, if there is one."""

    dispute_id: str
    line_id: str
    raised_by: str
    reason: str
    opened_at: datetime.datetime
    note: str | None
    resolved_at: datetime.datetime | None
    correction_id: str | None
    currency: str
    amount_minor: int
    tax_minor: int
    correction_amount_minor: int | None
    correction_tax_minor: int | None


class StatementLine(NamedTuple):
    """One line. Amounts are the ledger's (the issuer owes the acceptor); `net_minor` is what this business receives."""

    line_id: str
    kind: str
    local_day: datetime.date
    occurred_at: datetime.datetime
    direction: Direction
    counterparty: str
    outlet: str | None
    asset: str
    units: int
    face_value_minor: int
    amount_minor: int
    tax_minor: int
    net_minor: int
    currency: str
    agreement_id: str | None
    agreement_version: int | None
    subject_id: str
    bill_reference: str | None
    reference: str | None
    belongs_to: str | None
    dispute_id: str | None


class StatementException(NamedTuple):
    """A use that has no line yet, and why."""

    line_id: str
    reason: str
    local_day: datetime.date
    occurred_at: datetime.datetime
    direction: Direction
    counterparty: str
    outlet: str | None
    asset: str
    units: int
    face_value_minor: int | None
    currency: str | None
    subject_id: str
    bill_reference: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything but the lines and the exceptions themselves; its size does not depend on their number.

    `as_of`: when it was closed, or for a provisional one when it was read. `buckets_behind`: parts of the ledger that
    hold uses newer than the lines. `totals` has one row for each currency, at least one. `names`: of businesses and
    outlets by id, of benefits by asset. `disputes` are the oldest DISPUTES_LISTED_MAX.
    """

    scope: Scope
    status: StatementStatus
    as_of: datetime.datetime
    buckets_behind: int
    exceptions: int
    names: dict[str, Names]
    totals: tuple[Row, ...]
    kinds: tuple[Row, ...]
    counterparties: tuple[Row, ...]
    outlets: tuple[Row, ...]
    days: tuple[Row, ...]
    instruments: tuple[Row, ...]
    late: tuple[Row, ...]
    periods: tuple[StatementPeriod, ...]
    disputes: tuple[StatementDispute, ...]

    @property
    def provisional(self) -> bool:
        """Return whether lines may still come or move."""
        return self.status == "provisional"

    @property
    def lines(self) -> int:
        """Return the number of lines, of all currencies."""
        return sum(row.sums.lines for row in self.totals)

    def name_of(self, identifier: str | None, language: str) -> str:
        """Return a name in a language, or in the next best, or the id; empty for None."""
        if identifier is None:
            return ""
        names = self.names.get(identifier, {})
        wanted = {"zh-Hant": ("zh-Hant", "zh-Hans", "en"), "zh-Hans": ("zh-Hans", "zh-Hant", "en")}.get(
            language, ("en", "zh-Hant", "zh-Hans")
        )
        return next((names[one] for one in wanted if names.get(one)), identifier)
