"""Schemas of disputes on lines and of uses without a line, each with what builds it."""

from typing import Annotated, Final, Self

from msgspec import Meta, Struct

from gateway.api.settlement.schemas import Asset, Business, Cursor, Day, LineId, Who, moment
from gateway.scans.schemas import Instant
from redemption.domain.text import LINES_PATTERN
from redemption.settlement.browsing import DisputeOfLine
from redemption.settlement.disputes import TEXT_CHARACTERS_MAX
from redemption.settlement.lines import Reason, Unsettled
from redemption.settlement.reconciliation import instant

DISPUTE_ID_EXAMPLE: Final = "dsp_stl_17-1-1763780645678-0-1-1"


class DisputeRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The fault of a line, and the side that raises it; a key of one business may leave the side out."""

    reason: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=LINES_PATTERN)]
    business: Business | None = None


class ResolveRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The end of a dispute."""

    note: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=LINES_PATTERN)]
    amount_minor: Annotated[
        Annotated[int, Meta(ge=-(10**12), le=10**12)] | None,
        Meta(description="the line's amount from now on, before tax; null or absent: unchanged"),
    ] = None


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

    @classmethod
    def of(cls, unsettled: Unsettled) -> Self:
        """Build it of a use without a line."""
        use = unsettled.use
        return cls(
            line_id=use.line_id,
            reason=unsettled.reason,
            ledger_kind=use.ledger_kind,
            redemption_id=use.subject_id,
            issuer=use.issuer,
            acceptor=use.acceptor,
            asset=use.asset,
            units=use.units,
            face_value_minor=use.face_value_minor,
            currency=use.currency,
            outlet=use.outlet,
            bill_reference=use.bill_reference,
            occurred_at=moment(use.occurred_at),
            local_day=use.local_day.isoformat(),
        )


class ExceptionsAnswer(Struct):
    """Oldest first."""

    exceptions: list[ExceptionAnswer]
    next_cursor: Cursor


class DisputeAnswer(Struct):
    """A dispute on a line. Resolved when `resolved_at` is not null; without a correction the line is unchanged."""

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

    @classmethod
    def of(cls, found: DisputeOfLine) -> Self:
        """Build it of a dispute and the two sides of its line."""
        dispute = found.dispute
        return cls(
            dispute_id=dispute.dispute_id,
            line_id=dispute.line_id,
            businesses=sorted((found.issuer, found.acceptor)),
            raised_by=dispute.raised_by,
            reason=dispute.reason,
            opened_by=dispute.opened_by,
            opened_at=moment(dispute.opened_at),
            correction_id=dispute.correction_id,
            note=dispute.note,
            resolved_by=dispute.resolved_by,
            resolved_at=instant(dispute.resolved_at),
        )


class DisputesAnswer(Struct):
    """Oldest first."""

    disputes: list[DisputeAnswer]
    next_cursor: Cursor
