"""Schemas of a member's own view: balance, codes, benefits."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.scans.schemas import (
    BusinessId,
    DisplayName,
    Held,
    Instant,
    LotPart,
    MemberId,
    MonthOrNever,
    PointsCount,
    Tier,
    UsesCount,
)
from redemption.domain.commands import AmountMinor, BenefitId, Category, Currency
from redemption.rules.definitions import Discount, Hours

Owed = Annotated[
    PointsCount, Meta(description="spent before their accrual was reversed; the next points earned pay it first")
]


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
