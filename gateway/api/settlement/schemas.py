"""Schemas of settlement, each with what builds it.

Money is in minor units of the named currency; negative amounts are given back.
"""

import datetime
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, Self

from msgspec import Meta, Struct

from gateway.scans.schemas import Instant, month_text
from redemption.domain.commands import Currency
from redemption.domain.text import ONE_LINE_PATTERN
from redemption.settlement import netting
from redemption.settlement.agreements import ListedAgreement
from redemption.settlement.definitions import AgreementDefinition, AgreementId
from redemption.settlement.lines import Line
from redemption.settlement.periods import REFERENCE_CHARACTERS_MAX, Period, Status
from redemption.settlement.reconciliation import instant

PERIOD_ID_PATTERN: Final = r"^[0-9]{6}\.[a-z][a-z0-9_-]{0,31}\.[a-z][a-z0-9_-]{0,31}$"
PERIOD_ID_EXAMPLE: Final = "202611.hotel.mall"
LINE_ID_EXAMPLE: Final = "stl_17-1-1763780645678-0-1"


Business = Annotated[str, Meta(description="id of a business", examples=["hotel"])]
PeriodId = Annotated[str, Meta(pattern=PERIOD_ID_PATTERN, examples=[PERIOD_ID_EXAMPLE])]
LineId = Annotated[str, Meta(examples=[LINE_ID_EXAMPLE])]
SettledMonth = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}$", examples=["2026-11"])]
Day = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-11-22"])]
Minor = Annotated[int, Meta(description="minor units")]
Count = Annotated[int, Meta(ge=0)]
Asset = Annotated[str, Meta(description="`points`, `benefit:<id>` or a currency", examples=["points"])]
Who = Annotated[str, Meta(description="who did it: `key <id>` or a name", examples=["key Ab3dE5gH7jK9"])]
Cursor = Annotated[str | None, Meta(description="`cursor` of the next page; null on the last")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]


def moment(value: datetime.datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    return str(instant(value))


class CloseRequest(Struct, forbid_unknown_fields=True):
    """An empty object."""


class ApproveRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The side that consents; a key of one business may leave it out."""

    business: Business | None = None


class PayRequest(Struct, forbid_unknown_fields=True):
    """The bank's reference of a payment that was made."""

    reference: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=REFERENCE_CHARACTERS_MAX,
            pattern=ONE_LINE_PATTERN,
            description="the bank's reference of the payment",
        ),
    ]


class AgreementVersion(Struct):
    """One version of an agreement. It never changes."""

    agreement_id: AgreementId
    version: Annotated[int, Meta(ge=1)]
    definition: AgreementDefinition
    superseded: Annotated[bool, Meta(description="a higher version is there")]
    added_by: Who
    added_at: Instant

    @classmethod
    def of(cls, listed: ListedAgreement) -> Self:
        """Build it of a version as it is stored."""
        return cls(
            agreement_id=listed.agreement_id,
            version=listed.version,
            definition=listed.definition,
            superseded=listed.superseded,
            added_by=listed.added_by,
            added_at=moment(listed.added_at),
        )


class AgreementsAnswer(Struct):
    """Versions by agreement and number."""

    agreements: list[AgreementVersion]
    next_cursor: Cursor


class AgreementAdded(Struct):
    """The version that is in force from its first day on."""

    agreement_id: AgreementId
    version: Annotated[int, Meta(ge=1)]


class PeriodTotal(Struct):
    """The lines of one direction and asset: the issuer owes the acceptor amount + tax."""

    issuer: Business
    acceptor: Business
    asset: Asset
    currency: Currency
    lines: Count
    units: int
    face_value_minor: Annotated[int, Meta(description="what was taken off bills")]
    amount_minor: Minor
    tax_minor: Minor

    @classmethod
    def of(cls, total: netting.Total) -> Self:
        """Build it of a total of the period."""
        return cls(
            issuer=total.issuer,
            acceptor=total.acceptor,
            asset=total.asset,
            currency=total.currency,
            lines=total.lines,
            units=total.units,
            face_value_minor=total.face_value_minor,
            amount_minor=total.amount_minor,
            tax_minor=total.tax_minor,
        )


class Payment(Struct):
    """A payment from one business to another. The amount is positive, tax is in it."""

    payer: Business
    payee: Business
    currency: Currency
    amount_minor: Annotated[int, Meta(ge=1)]

    @classmethod
    def all_of(cls, found: Iterable[netting.Payment]) -> list[Self]:
        """Build them in the order they were computed."""
        return [
            cls(payer=each.payer, payee=each.payee, currency=each.currency, amount_minor=each.amount_minor)
            for each in found
        ]


class PeriodAnswer(Struct):
    """The period of two businesses (of one: its own use) in a month. An open one has no number and no hash yet."""

    period_id: PeriodId
    month: SettledMonth
    businesses: Annotated[list[Business], Meta(min_length=1, max_length=2)]
    status: Status
    number: int | None
    sha256: Annotated[Sha256 | None, Meta(description="over the file that /export gives")]
    lines: Count
    totals: list[PeriodTotal]
    nets: Annotated[list[Payment], Meta(description="what is left to pay, one for each currency")]
    closed_by: Who | None
    closed_at: Instant | None
    approved_by: list[Business]
    payment_reference: str | None
    open_disputes: Count

    @classmethod
    def of(cls, period: Period) -> Self:
        """Build it of a period, open or closed."""
        businesses = [period.party_low, period.party_high]
        return cls(
            period_id=period.period_id,
            month=month_text(period.month),
            businesses=businesses if businesses[0] != businesses[1] else businesses[:1],
            status=period.status,
            number=period.number,
            sha256=period.sha256,
            lines=period.lines,
            totals=[PeriodTotal.of(total) for total in period.totals],
            nets=Payment.all_of(netting.pair_nets(period.totals)),
            closed_by=period.closed_by,
            closed_at=instant(period.closed_at),
            approved_by=list(period.approved_by),
            payment_reference=period.payment_reference,
            open_disputes=period.open_disputes,
        )


class PeriodsAnswer(Struct):
    """Newest month first, then by the names of the businesses."""

    periods: list[PeriodAnswer]
    next_cursor: Cursor


class MonthClosed(Struct):
    """A closed month of the whole group."""

    month: SettledMonth
    periods: Count
    lines: Count
    exceptions: Annotated[int, Meta(ge=0, description="uses up to its end without a line yet: they will be late")]


class LineAnswer(Struct):
    """The issuer owes the acceptor amount + tax."""

    line_id: LineId
    kind: Literal["use", "return", "correction"]
    ledger_kind: str
    redemption_id: str
    issuer: Business
    acceptor: Business
    asset: Asset
    units: int
    face_value_minor: Minor
    amount_minor: Minor
    tax_minor: Minor
    currency: Currency
    agreement_id: str | None
    agreement_version: int | None
    reference: Annotated[str | None, Meta(description="the line that a return or a correction is about")]
    belongs_to: Annotated[str | None, Meta(description="the closed period of a late entry")]
    outlet: str | None
    bill_reference: str | None
    occurred_at: Instant
    local_day: Day
    month: SettledMonth

    @classmethod
    def of(cls, line: Line) -> Self:
        """Build it of a line."""
        return cls(
            line_id=line.line_id,
            kind=line.kind,
            ledger_kind=line.ledger_kind,
            redemption_id=line.subject_id,
            issuer=line.issuer,
            acceptor=line.acceptor,
            asset=line.asset,
            units=line.units,
            face_value_minor=line.face_value_minor,
            amount_minor=line.amount_minor,
            tax_minor=line.tax_minor,
            currency=line.currency,
            agreement_id=line.agreement_id,
            agreement_version=line.agreement_version,
            reference=line.reference,
            belongs_to=line.belongs_to,
            outlet=line.outlet,
            bill_reference=line.bill_reference,
            occurred_at=moment(line.occurred_at),
            local_day=line.local_day.isoformat(),
            month=month_text(line.period_month),
        )


class LinesAnswer(Struct):
    """In the order that the period's hash takes them."""

    lines: list[LineAnswer]
    next_cursor: Cursor


class BusinessNet(Struct):
    """The amount that a business receives over all its pairs; negative: it pays."""

    business: Business
    currency: Currency
    amount_minor: Minor


class NetsAnswer(Struct):
    """The payments of a month. A key of one business sees its own part."""

    month: SettledMonth
    provisional: Annotated[bool, Meta(description="the month is not closed: this changes yet")]
    pairs: Annotated[list[Payment], Meta(description="one for each pair and currency")]
    businesses: list[BusinessNet]
    transfers: Annotated[
        list[Payment], Meta(description="a proposal: these few transfers bring every net of the group to zero")
    ]

    @classmethod
    def of(cls, month: int, *, provisional: bool, totals: Sequence[netting.Total], business: str | None) -> Self:
        """Build it of the totals of a month: all of the group, or the part of which `business` is a side."""
        pairs = netting.pair_nets(totals)
        nets = netting.business_nets(pairs)

        def seen(found: Iterable[netting.Payment]) -> list[Payment]:
            return Payment.all_of(each for each in found if business in (None, each.payer, each.payee))

        return cls(
            month=month_text(month),
            provisional=provisional,
            pairs=seen(pairs),
            businesses=[
                BusinessNet(business=name, currency=currency, amount_minor=net)
                for currency, of_currency in sorted(nets.items())
                for name, net in sorted(of_currency.items())
                if business in (None, name)
            ],
            transfers=seen(netting.settle_up(nets)),
        )
