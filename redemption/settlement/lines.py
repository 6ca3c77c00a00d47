"""Settlement lines and exceptions made of uses: pure, and the same whatever batch they come in.

Guarantees: each use comes out once, as a line or as an exception with a reason. A return takes the rate, the version
and the currency of its original; returning all units returns exactly what was settled, corrections included. A
business's own use is a line of amount 0, so that its reports show it. Nothing is read and nothing is written here.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from redemption.settlement.definitions import Agreement, Agreements, Proportion
from redemption.settlement.rating import amounts, still_to_give_back
from redemption.settlement.uses import Use

Kind = Literal["use", "return", "correction"]
Reason = Literal["no_agreement", "currency_unknown", "face_value_unknown", "original_not_settled", "exceeds_original"]


class Line(NamedTuple):
    """The issuer owes the acceptor amount + tax; negative: it gets that back. The columns of settlement_line."""

    line_id: str
    kind: Kind
    bucket: int
    epoch: int
    entry_ms: int
    entry_seq: int
    ledger_kind: str
    subject_id: str
    issuer: str
    acceptor: str
    asset: str
    units: int
    face_value_minor: int
    amount_minor: int
    tax_minor: int
    currency: str
    agreement_id: str | None
    agreement_version: int | None
    reference: str | None
    belongs_to: str | None
    outlet: str | None
    bill_reference: str | None
    occurred_at: datetime.datetime
    local_day: datetime.date
    period_month: int


class Unsettled(NamedTuple):
    """A use that has no line yet, and why."""

    use: Use
    reason: Reason


@dataclass(slots=True)
class Original:
    """A settled use and what was given back of it. Amounts include its corrections."""

    line: Line
    amount_minor: int
    tax_minor: int
    returned_units: int = 0
    returned_face_minor: int = 0
    returned_amount_minor: int = 0
    returned_tax_minor: int = 0

    def give_back(self, line: Line) -> None:
        """Count a return of it."""
        self.returned_units -= line.units
        self.returned_face_minor -= line.face_value_minor
        self.returned_amount_minor -= line.amount_minor
        self.returned_tax_minor -= line.tax_minor


Key = tuple[str, str, str, str]


def key_of(use: Use | Line) -> Key:
    """Return the key that a return shares with its original."""
    return (use.subject_id, use.asset, use.issuer, use.acceptor)


def originals_of(lines: Iterable[Line]) -> dict[Key, Original]:
    """Return the originals among lines in the order they were written in, with their returns and corrections."""
    originals: dict[Key, Original] = {}
    by_line: dict[str, Original] = {}
    for line in lines:
        if line.kind == "use":
            original = Original(line, line.amount_minor, line.tax_minor)
            by_line[line.line_id] = original
            originals.setdefault(key_of(line), original)
        elif line.kind == "return" and key_of(line) in originals:
            originals[key_of(line)].give_back(line)
        elif line.kind == "correction" and line.reference in by_line:
            by_line[line.reference].amount_minor += line.amount_minor
            by_line[line.reference].tax_minor += line.tax_minor
    return originals


def settle(
    uses: Sequence[Use], agreements: Agreements, originals: dict[Key, Original], closed_through: int
) -> tuple[list[Line], list[Unsettled]]:
    """Return lines and exceptions of uses in ledger order.

    `originals` are the settled originals of the returns among them; the mapping is kept up to date, so a return may
    follow its original in the same batch.
    """
    lines: list[Line] = []
    unsettled: list[Unsettled] = []
    for _, group in groupby(uses, key=lambda use: (use.epoch, use.entry_ms, use.entry_seq, use.asset, use.acceptor)):
        taken: list[Use] = []
        for use in group:
            if use.units > 0:
                taken.append(use)
                continue
            result = _return(use, originals.get(key_of(use)), closed_through)
            if isinstance(result, Unsettled):
                unsettled.append(result)
            else:
                originals[key_of(use)].give_back(result)
                lines.append(result)
        for result in _uses_of_one_asset(taken, agreements, closed_through) if taken else ():
            if isinstance(result, Unsettled):
                unsettled.append(result)
            else:
                originals.setdefault(key_of(result), Original(result, result.amount_minor, result.tax_minor))
                lines.append(result)
    return lines, unsettled


def _uses_of_one_asset(taken: list[Use], agreements: Agreements, closed_through: int) -> list[Line | Unsettled]:
    """Rate uses of one asset together where one agreement counts for several issuers, so that the parts sum to the
    whole."""
    results: list[Line | Unsettled] = []
    by_agreement: dict[int, tuple[Agreement, list[Use]]] = {}
    for use in taken:
        agreement = agreements.find(use.issuer, use.acceptor, use.asset, use.local_day)
        if use.currency is None:
            results.append(Unsettled(use, "currency_unknown"))
        elif use.issuer == use.acceptor:
            results.append(_line(use, "use", use.face_value_minor or 0, (0, 0), None, closed_through))
        elif agreement is None:
            results.append(Unsettled(use, "no_agreement"))
        elif use.face_value_minor is None and isinstance(agreement.definition.rule, Proportion):
            results.append(Unsettled(use, "face_value_unknown"))
        else:
            by_agreement.setdefault(agreement.serial, (agreement, []))[1].append(use)
    for agreement, group in by_agreement.values():
        shares = [(use.units, use.face_value_minor or 0) for use in group]
        rated = amounts(agreement.definition, shares, group[0].units_in_use)
        for use, share, amount in zip(group, shares, rated, strict=True):
            results.append(_line(use, "use", share[1], amount, agreement, closed_through))
    return results


def _return(use: Use, original: Original | None, closed_through: int) -> Line | Unsettled:
    if original is None:
        return Unsettled(use, "original_not_settled")
    units = original.line.units
    returned_units = original.returned_units - use.units
    if returned_units > units:
        return Unsettled(use, "exceeds_original")

    def back(settled: int, returned: int) -> int:
        return -still_to_give_back(settled, units, returned_units, returned)

    face = back(original.line.face_value_minor, original.returned_face_minor)
    amount = back(original.amount_minor, original.returned_amount_minor)
    tax = back(original.tax_minor, original.returned_tax_minor)
    line = _line(use, "return", face, (amount, tax), None, closed_through)
    return line._replace(
        currency=original.line.currency,
        agreement_id=original.line.agreement_id,
        agreement_version=original.line.agreement_version,
        reference=original.line.line_id,
    )


def _line(
    use: Use, kind: Kind, face: int, amount: tuple[int, int], agreement: Agreement | None, closed_through: int
) -> Line:
    month = month_of(use.local_day)
    late = month <= closed_through
    return Line(
        line_id=use.line_id,
        kind=kind,
        bucket=use.bucket,
        epoch=use.epoch,
        entry_ms=use.entry_ms,
        entry_seq=use.entry_seq,
        ledger_kind=use.ledger_kind,
        subject_id=use.subject_id,
        issuer=use.issuer,
        acceptor=use.acceptor,
        asset=use.asset,
        units=use.units,
        face_value_minor=face,
        amount_minor=amount[0],
        tax_minor=amount[1],
        currency=use.currency or "XXX",
        agreement_id=agreement.agreement_id if agreement else None,
        agreement_version=agreement.version if agreement else None,
        reference=None,
        belongs_to=period_id(month, use.issuer, use.acceptor) if late else None,
        outlet=use.outlet,
        bill_reference=use.bill_reference,
        occurred_at=use.occurred_at,
        local_day=use.local_day,
        period_month=month_after(closed_through) if late else month,
    )


def month_of(day: datetime.date) -> int:
    """Return the month of a day as yyyymm."""
    return day.year * 100 + day.month


def month_after(month: int) -> int:
    """Return the month after a yyyymm."""
    return month + 1 if month % 100 < 12 else month + 89


def period_id(month: int, one: str, other: str) -> str:
    """Return the name of the period of two businesses: `<yyyymm>.<first in the alphabet>.<second>`."""
    low, high = sorted((one, other))
    return f"{month}.{low}.{high}"
