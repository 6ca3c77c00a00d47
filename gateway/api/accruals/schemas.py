"""Schemas of accruals."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.scans.schemas import (
    BusinessId,
    Instant,
    MemberHead,
    Month,
    PointsCount,
)
from redemption.domain.commands import AmountMinor, Currency, Reference

ACCRUAL_ID_PATTERN: Final = "^acr_[0-9a-z]{18}$"

ACCRUAL_ID_EXAMPLE: Final = "acr_01cpdy4mps91c8bp2w"

AccrualId = Annotated[str, Meta(pattern=ACCRUAL_ID_PATTERN, examples=[ACCRUAL_ID_EXAMPLE])]


class EarningBill(Struct):
    """The bill that earned."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency


class EarnedBalance(Struct):
    """What the member has now."""

    points: PointsCount


class Accrual(Struct):
    """What every view of an accrual tells."""

    accrual_id: AccrualId
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


class AccrualAnswer(Accrual):
    """Points a purchase earned."""

    status: Literal["accrued"]


class AccrualReversedAnswer(Accrual):
    """An accrual taken back."""

    status: Literal["reversed"]
    points_taken_back: Annotated[PointsCount, Meta(description="what was left of them")]
    points_owed: Annotated[PointsCount, Meta(description="the rest: paid from the next points earned")]
