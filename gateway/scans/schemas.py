"""Schemas of scans: what verify answers, and the words that other features' schemas share."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from redemption.domain.commands import AmountMinor, BenefitId, Currency, Reference
from redemption.domain.limits import POINTS_MAX

REDEMPTION_ID_PATTERN: Final = "^rdm_[0-9a-z]{18}$"

REDEMPTION_ID_EXAMPLE: Final = "rdm_016hwa54cwdz9zr9mv"

Instant = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC, milliseconds",
        examples=["2026-11-22T03:04:05.678Z"],
        extra_json_schema={"format": "date-time"},
    ),
]

Month = Annotated[
    str, Meta(pattern="^[0-9]{4}-[0-9]{2}$", description="the last month they count in", examples=["2027-11"])
]

MonthOrNever = Annotated[Month | None, Meta(description="the last month it counts in; null never ends")]

PointsCount = Annotated[int, Meta(ge=0, le=POINTS_MAX, description="a whole number of points")]

UsesCount = Annotated[int, Meta(ge=0, description="uses of the benefit")]

MemberId = Annotated[str, Meta(pattern="^mem_[0-9a-z]{7}$", examples=["mem_0000001"])]

RedemptionId = Annotated[str, Meta(pattern=REDEMPTION_ID_PATTERN, examples=[REDEMPTION_ID_EXAMPLE])]

DisplayName = Annotated[str, Meta(description="shortened for the screen of a till", examples=["陳**"])]

Tier = Annotated[str, Meta(description="id of the member's level", examples=["gold"])]

Held = Annotated[PointsCount, Meta(description="set aside by holds")]


class LotPart(Struct):
    """Points of one lot: the business that issued them and the month in which they expire."""

    issuer: Annotated[str, Meta(description="the business that issued them", examples=["hotel"])]
    points: PointsCount
    expires_month: Month


class BenefitLotPart(Struct):
    """Uses of one lot of a benefit."""

    issuer: Annotated[str, Meta(description="the business that granted it", examples=["restaurant"])]
    uses: UsesCount
    expires_month: MonthOrNever


class StoredValueLotPart(Struct):
    """Money of one lot of stored value."""

    issuer: Annotated[str, Meta(description="the business it was paid in at", examples=["mall"])]
    amount_minor: AmountMinor
    expires_month: MonthOrNever


class MemberHead(Struct):
    """Whose code it was: as much as a cashier needs."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName


Value = Annotated[AmountMinor, Meta(description="what it takes off the bill, minor units")]

_FROM: Final = "where it came from, first to expire first"


class PointsTaken(Struct, tag_field="kind", tag="points"):
    """A points leg as it was applied."""

    points: PointsCount
    value_minor: Value
    lots: Annotated[tuple[LotPart, ...], Meta(description=_FROM)]


class BenefitTaken(Struct, tag_field="kind", tag="benefit"):
    """A benefit leg as it was applied."""

    benefit_id: BenefitId
    uses: UsesCount
    value_minor: Value
    lots: Annotated[tuple[BenefitLotPart, ...], Meta(description=_FROM)]


class StoredValueTaken(Struct, tag_field="kind", tag="stored_value"):
    """A stored-value leg as it was applied."""

    amount_minor: AmountMinor
    value_minor: Value
    lots: Annotated[tuple[StoredValueLotPart, ...], Meta(description=_FROM)]


LegTaken = PointsTaken | BenefitTaken | StoredValueTaken

_CAPTURED: Final = "what of it was captured; 0 while it is held"

_REFUNDED: Final = "what of that was given back"


class PointsProgress(PointsTaken, tag_field="kind", tag="points"):
    """A points leg as it stands."""

    captured_points: Annotated[PointsCount, Meta(description=_CAPTURED)]
    refunded_points: Annotated[PointsCount, Meta(description=_REFUNDED)]


class BenefitProgress(BenefitTaken, tag_field="kind", tag="benefit"):
    """A benefit leg as it stands."""

    captured_uses: Annotated[UsesCount, Meta(description=_CAPTURED)]
    refunded_uses: Annotated[UsesCount, Meta(description=_REFUNDED)]


class StoredValueProgress(StoredValueTaken, tag_field="kind", tag="stored_value"):
    """A stored-value leg as it stands."""

    captured_amount_minor: Annotated[AmountMinor, Meta(description=_CAPTURED)]
    refunded_amount_minor: Annotated[AmountMinor, Meta(description=_REFUNDED)]


LegProgress = PointsProgress | BenefitProgress | StoredValueProgress


class BillAnswer(Struct):
    """The bill after the legs: charge `payable_minor`."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    discount_minor: Annotated[AmountMinor, Meta(description="what the legs take off it")]
    payable_minor: Annotated[AmountMinor, Meta(description="what is left to charge")]


class Balance(Struct):
    """What the member has left."""

    points: PointsCount
    points_held: Held
    stored_value_minor: Annotated[AmountMinor, Meta(description="in the currency of the business")]


HoldEnd = Annotated[Instant | None, Meta(description="when a hold ends by itself; null when it is none")]


class RedemptionAnswer(Struct):
    """One redemption as verify answers it, the first time and every time."""

    redemption_id: RedemptionId
    status: Annotated[Literal["captured", "held"], Meta(description="held: with `capture: false`")]
    created_at: Instant
    hold_expires_at: HoldEnd
    member: MemberHead
    legs: tuple[LegTaken, ...]
    bill: Annotated[BillAnswer | None, Meta(description="null when the request had none")]
    balance: Balance


class RedemptionView(Struct):
    """One redemption as it stands: what was taken, and what became of it."""

    redemption_id: RedemptionId
    status: Literal["held", "captured", "partially_refunded", "refunded", "voided", "expired", "reversed"]
    created_at: Instant
    hold_expires_at: HoldEnd
    member: MemberHead
    legs: tuple[LegProgress, ...]
    bill: Annotated[
        BillAnswer | None, Meta(description="with what is off it now, after capture and refunds; null when it had none")
    ]
    balance: Annotated[Balance, Meta(description="after this step; in a look-up, after the scan")]


BusinessId = Annotated[str, Meta(description="id of a business", examples=["hotel"])]
