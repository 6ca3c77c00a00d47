"""What settlement answers and takes, as types: gateway/api/settlement/serializers.py makes them of the domain's values,
so what is described is what is sent. Money is in minor units of the named currency; negative amounts are given back.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.scans.schemas import Instant
from redemption.domain.commands import Currency
from redemption.domain.text import LINES_PATTERN, ONE_LINE_PATTERN
from redemption.settlement.definitions import AgreementDefinition, AgreementId
from redemption.settlement.disputes import TEXT_CHARACTERS_MAX
from redemption.settlement.lines import Reason
from redemption.settlement.periods import REFERENCE_CHARACTERS_MAX, Status

PERIOD_ID_PATTERN: Final = r"^[0-9]{6}\.[a-z][a-z0-9_-]{0,31}\.[a-z][a-z0-9_-]{0,31}$"
PERIOD_ID_EXAMPLE: Final = "202611.hotel.mall"
LINE_ID_EXAMPLE: Final = "stl_17-1-1763780645678-0-1"
DISPUTE_ID_EXAMPLE: Final = "dsp_stl_17-1-1763780645678-0-1-1"

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


class CloseRequest(Struct, forbid_unknown_fields=True):
    """Nothing more is to be said."""


class ApproveRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which side consents; a key of one business may leave it out."""

    business: Business | None = None


class PayRequest(Struct, forbid_unknown_fields=True):
    """That it was paid."""

    reference: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=REFERENCE_CHARACTERS_MAX,
            pattern=ONE_LINE_PATTERN,
            description="the bank's reference of the payment",
        ),
    ]


class DisputeRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is wrong with a line, and which side says so; a key of one business may leave the side out."""

    reason: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=LINES_PATTERN)]
    business: Business | None = None


class ResolveRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How a dispute ends."""

    note: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=LINES_PATTERN)]
    amount_minor: Annotated[
        Annotated[int, Meta(ge=-(10**12), le=10**12)] | None,
        Meta(description="what the line counts from now on, before tax; null or absent: it stands"),
    ] = None


class AgreementVersion(Struct):
    """One version of an agreement. It never changes."""

    agreement_id: AgreementId
    version: Annotated[int, Meta(ge=1)]
    definition: AgreementDefinition
    superseded: Annotated[bool, Meta(description="a higher version is there")]
    added_by: Who
    added_at: Instant


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


class Payment(Struct):
    """Who pays whom. The amount is positive, tax is in it."""

    payer: Business
    payee: Business
    currency: Currency
    amount_minor: Annotated[int, Meta(ge=1)]


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


class LinesAnswer(Struct):
    """In the order that the period's hash takes them."""

    lines: list[LineAnswer]
    next_cursor: Cursor


class ExceptionAnswer(Struct):
    """A use that has no line yet. It is tried again when an agreement is added."""

    line_id: LineId
    reason: Reason
    ledger_kind: str
    redemption_id: str
    issuer: Business
    acceptor: Business
    asset: Asset
    units: int
    face_value_minor: int | None
    currency: str | None
    outlet: str | None
    bill_reference: str | None
    occurred_at: Instant
    local_day: Day


class ExceptionsAnswer(Struct):
    """Oldest first."""

    exceptions: list[ExceptionAnswer]
    next_cursor: Cursor


class BusinessNet(Struct):
    """What a business receives over all its pairs; negative: pays."""

    business: Business
    currency: Currency
    amount_minor: Minor


class NetsAnswer(Struct):
    """Who pays whom in a month. A key of one business sees its own part."""

    month: SettledMonth
    provisional: Annotated[bool, Meta(description="the month is not closed: this changes yet")]
    pairs: Annotated[list[Payment], Meta(description="one for each pair and currency")]
    businesses: list[BusinessNet]
    transfers: Annotated[
        list[Payment], Meta(description="a proposal: these few transfers bring every net of the group to zero")
    ]


class DisputeAnswer(Struct):
    """A dispute on a line. Resolved when `resolved_at` is there; without a correction the line stands."""

    dispute_id: Annotated[str, Meta(examples=[DISPUTE_ID_EXAMPLE])]
    line_id: LineId
    businesses: Annotated[list[Business], Meta(min_length=2, max_length=2)]
    raised_by: Business
    reason: str
    opened_by: Who
    opened_at: Instant
    correction_id: str | None
    note: str | None
    resolved_by: Who | None
    resolved_at: Instant | None


class DisputesAnswer(Struct):
    """Oldest first."""

    disputes: list[DisputeAnswer]
    next_cursor: Cursor
