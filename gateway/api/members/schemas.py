"""What the gateway answers about what members earn and have, as types: the rest of gateway/api/schemas.py."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.api.schemas import (
    DisplayName,
    Held,
    Instant,
    LotPart,
    MemberHead,
    MemberId,
    Month,
    MonthOrNever,
    PointsCount,
    Tier,
    UsesCount,
)
from redemption.domain.commands import AmountMinor, BenefitId, Category, Currency, Reference
from redemption.rules.definitions import Discount, Hours

ACCRUAL_ID_PATTERN: Final = "^acr_[0-9a-z]{18}$"
ACCRUAL_ID_EXAMPLE: Final = "acr_01cpdy4mps91c8bp2w"

AccrualId = Annotated[str, Meta(pattern=ACCRUAL_ID_PATTERN, examples=[ACCRUAL_ID_EXAMPLE])]
BusinessId = Annotated[str, Meta(description="id of a business", examples=["hotel"])]
Owed = Annotated[
    PointsCount, Meta(description="spent before their accrual was reversed; the next points earned pay it first")
]


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


class IssuedCode(Struct):
    """One code in its two forms; whichever is used first uses both."""

    code: Annotated[str, Meta(max_length=512, description="the text of the QR symbol")]
    digits: Annotated[
        str, Meta(pattern="^9[0-9]{17}$", description="for Code 128 and typing in", examples=["974229897691788465"])
    ]
    expires_at: Annotated[Instant, Meta(description="no till takes it afterwards")]
    refresh_at: Annotated[Instant, Meta(description="show the next one from here on")]


class CodesAnswer(Struct):
    """Codes to show one after the other."""

    codes: tuple[IssuedCode, ...]


class StoredValueBalance(Struct):
    """Money paid in, of one currency."""

    currency: Currency
    amount_minor: AmountMinor


class MemberBalance(Struct):
    """What a member has."""

    points: PointsCount
    points_held: Held
    points_owed: Owed
    stored_value: tuple[StoredValueBalance, ...]


class MeAnswer(Struct):
    """The member's own view."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName
    status: Annotated[
        Literal["active", "blocked"],
        Meta(description="a blocked member sees what is there and gets no codes; tills answer `member_blocked`"),
    ]
    growth_value: Annotated[int, Meta(description="counts towards the next level")]
    balance: MemberBalance
    lots: Annotated[tuple[LotPart, ...], Meta(description="points, first to expire first")]


class BenefitLot(Struct):
    """Uses that expire together."""

    uses: UsesCount
    expires_month: MonthOrNever


class MemberBenefit(Struct):
    """A benefit the member has, with its terms. Null: no such restriction."""

    benefit_id: BenefitId
    name: Annotated[str, Meta(description="in the language of Accept-Language")]
    granted_by: BusinessId
    discount: Annotated[Discount, Meta(description="what one use takes off")]
    remaining_uses: Annotated[UsesCount, Meta(description="in all lots together")]
    uses_now: Annotated[UsesCount, Meta(description="what hours, level and caps leave of them at this moment")]
    not_now: Annotated[
        Literal["benefit_not_now", "benefit_exhausted", "tier_too_low"] | None,
        Meta(description="what a till would be told at this moment; null: it may be used"),
    ]
    used_today: UsesCount
    used_this_month: UsesCount
    per_day: int | None
    per_month: int | None
    businesses: Annotated[tuple[BusinessId, ...] | None, Meta(description="where it may be used")]
    outlets: Annotated[tuple[str, ...] | None, Meta(description="only at these outlets of them")]
    categories: Annotated[tuple[Category, ...] | None, Meta(description="what of a bill it takes something off")]
    weekdays: Annotated[tuple[int, ...] | None, Meta(description="ISO: 1 is Monday")]
    hours: Annotated[tuple[Hours, ...] | None, Meta(description="wall-clock time of the outlet; any of them")]
    first_day: Annotated[str | None, Meta(description="the first day, YYYY-MM-DD")]
    last_day: Annotated[str | None, Meta(description="the last day, YYYY-MM-DD")]
    minimum_spend_minor: AmountMinor
    minimum_tier: Annotated[str | None, Meta(description="the lowest level that may use it")]
    lots: Annotated[tuple[BenefitLot, ...], Meta(description="first to expire first")]


class MyBenefitsAnswer(Struct):
    """Everything the member can use."""

    benefits: tuple[MemberBenefit, ...]
