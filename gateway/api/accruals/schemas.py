"""Schemas of accruals, each with what builds it: a new field of an answer is a change of this file only."""

from typing import Annotated, Final, Literal, Self

from msgspec import Meta, Struct

from gateway.http.responses import extended
from gateway.scans.schemas import (
    BusinessId,
    Instant,
    MemberHead,
    Month,
    PointsCount,
    month_text,
)
from redemption.accruals import Reversed
from redemption.domain.clock import instant
from redemption.domain.commands import AmountMinor, Currency, Reference
from redemption.domain.redemptions import Accrual

ACCRUAL_ID_PATTERN: Final = "^acr_[0-9a-z]{18}$"

ACCRUAL_ID_EXAMPLE: Final = "acr_01cpdy4mps91c8bp2w"

AccrualId = Annotated[str, Meta(pattern=ACCRUAL_ID_PATTERN, examples=[ACCRUAL_ID_EXAMPLE])]


class EarningBill(Struct):
    """The bill that earned."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency

    @classmethod
    def of(cls, accrual: Accrual) -> Self:
        """Build it of the bill in the accrual's context."""
        bill = accrual.context["bill"]
        return cls(reference=bill["reference"], amount_minor=bill["amount_minor"], currency=bill["currency"])


class EarnedBalance(Struct):
    """The member's balance now."""

    points: PointsCount


class AnyAccrual(Struct):
    """The fields of every view of an accrual."""

    accrual_id: AccrualId
    status: Literal["accrued", "reversed"]
    created_at: Instant
    member: MemberHead
    points: Annotated[PointsCount, Meta(description="earned, with level and bonus")]
    points_settled: Annotated[PointsCount, Meta(description="of these, paid what was owed")]
    crossing_bonus: Annotated[bool, Meta(description="the purchase before was at another business")]
    issuer: BusinessId
    expires_month: Month
    growth_value: Annotated[int, Meta(ge=0, description="counted towards the next level")]
    growth_value_total: Annotated[int, Meta(ge=0)]
    bill: EarningBill
    balance: EarnedBalance


class AccrualAnswer(AnyAccrual):
    """Points a purchase earned."""

    status: Literal["accrued"]

    @classmethod
    def of(cls, accrual: Accrual) -> Self:
        """Build it of an accrual as it was made."""
        return cls(
            accrual_id=accrual.accrual_id,
            status="accrued",
            created_at=instant(accrual.at_ms),
            member=MemberHead.of(accrual),
            points=accrual.points,
            points_settled=accrual.settled,
            crossing_bonus=accrual.crossing,
            issuer=accrual.business_id,
            expires_month=month_text(int(accrual.lot.partition(".")[0])),
            growth_value=accrual.growth,
            growth_value_total=accrual.growth_after,
            bill=EarningBill.of(accrual),
            balance=EarnedBalance(points=accrual.balance_points),
        )


class AccrualReversedAnswer(AnyAccrual):
    """An accrual taken back."""

    status: Literal["reversed"]
    points_taken_back: Annotated[PointsCount, Meta(description="what was left of them")]
    points_owed: Annotated[PointsCount, Meta(description="the rest: paid from the next points earned")]

    @classmethod
    def of(cls, done: Reversed) -> Self:
        """Build it of an accrual as it was made and what was taken back of it."""
        return extended(
            cls,
            AccrualAnswer.of(done.accrual),
            status="reversed",
            balance=EarnedBalance(points=done.balance_points),
            points_taken_back=done.taken_back,
            points_owed=done.owed,
        )
