"""Schemas of scans: the answer of verify, later views of a redemption, and parts that other features' schemas share.

Every answer is built where it is described, by `of`, so a new field is a change of this file only. The answer of verify
is the exception: gateway/hot_path/scan_answer.py writes it, for speed, and a test holds it equal to `RedemptionAnswer`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self, overload

from msgspec import Meta, Struct

from redemption.domain.clock import instant
from redemption.domain.commands import AmountMinor, BenefitId, Currency, Reference
from redemption.domain.limits import POINTS_MAX
from redemption.domain.redemptions import UNIT, Accrual, Part, Redemption, Status
from redemption.memberships import Lot, MemberState

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


@overload
def month_text(yyyymm: int) -> str: ...


@overload
def month_text(yyyymm: int | None) -> str | None: ...


def month_text(yyyymm: int | None) -> str | None:
    """Return 202711 as 2027-11; None, which never ends, as None."""
    return None if yyyymm is None else f"{yyyymm // 100:04d}-{yyyymm % 100:02d}"


def month_of_points(yyyymm: int | None) -> str:
    """Return the month of a lot of points, which always ends."""
    assert yyyymm is not None
    return month_text(yyyymm)


class LotPart(Struct):
    """Points of one lot: the business that issued them and the month in which they expire."""

    issuer: Annotated[str, Meta(description="the business that issued them", examples=["hotel"])]
    points: PointsCount
    expires_month: Month

    @classmethod
    def of(cls, lot: Lot) -> Self:
        """Build it of a lot that a member holds."""
        return cls(issuer=lot.issuer, points=lot.amount, expires_month=month_of_points(lot.expires_month))


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
    """The member of a code, as far as a cashier needs it."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName

    @classmethod
    def of(cls, whose: MemberState | Redemption | Accrual) -> Self:
        """Build it of a member, or of a record that names one."""
        return cls(member_id=whose.member_id, tier=whose.tier, display_name=whose.display_name)


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

_NOTHING_TAKEN: Final[frozenset[Status]] = frozenset({"voided", "expired", "reversed", "refunded"})


class PointsProgress(PointsTaken, tag_field="kind", tag="points"):
    """A points leg with its captures and refunds."""

    captured_points: Annotated[PointsCount, Meta(description=_CAPTURED)]
    refunded_points: Annotated[PointsCount, Meta(description=_REFUNDED)]


class BenefitProgress(BenefitTaken, tag_field="kind", tag="benefit"):
    """A benefit leg with its captures and refunds."""

    captured_uses: Annotated[UsesCount, Meta(description=_CAPTURED)]
    refunded_uses: Annotated[UsesCount, Meta(description=_REFUNDED)]


class StoredValueProgress(StoredValueTaken, tag_field="kind", tag="stored_value"):
    """A stored-value leg with its captures and refunds."""

    captured_amount_minor: Annotated[AmountMinor, Meta(description=_CAPTURED)]
    refunded_amount_minor: Annotated[AmountMinor, Meta(description=_REFUNDED)]


LegProgress = PointsProgress | BenefitProgress | StoredValueProgress


def _progress(leg: dict[str, Any], parts: Sequence[Part]) -> LegProgress:
    """Build a leg with its captures and refunds, of the leg as asked for and the parts that were taken for it."""
    captured, refunded = sum(part.captured for part in parts), sum(part.refunded for part in parts)
    if leg["kind"] == "points":
        return PointsProgress(
            points=leg["points"],
            value_minor=leg["value_minor"],
            lots=tuple(
                LotPart(issuer=part.issuer, points=part.taken, expires_month=month_of_points(part.expires_month))
                for part in parts
            ),
            captured_points=captured,
            refunded_points=refunded,
        )
    if leg["kind"] == "benefit":
        return BenefitProgress(
            benefit_id=leg["benefit_id"],
            uses=leg["uses"],
            value_minor=leg["value_minor"],
            lots=tuple(
                BenefitLotPart(issuer=part.issuer, uses=part.taken, expires_month=month_text(part.expires_month))
                for part in parts
            ),
            captured_uses=captured,
            refunded_uses=refunded,
        )
    return StoredValueProgress(
        amount_minor=leg["amount_minor"],
        value_minor=leg["value_minor"],
        lots=tuple(
            StoredValueLotPart(
                issuer=part.issuer, amount_minor=part.taken, expires_month=month_text(part.expires_month)
            )
            for part in parts
        ),
        captured_amount_minor=captured,
        refunded_amount_minor=refunded,
    )


def _taken_off(leg: dict[str, Any], parts: Sequence[Part], status: Status) -> int:
    """Return what a leg takes off the bill now, minor units. A part's share of the value is rounded down."""
    value: int = leg["value_minor"]
    if status == "held":
        return value
    if status in _NOTHING_TAKEN:
        return 0
    left = sum(part.captured - part.refunded for part in parts)
    asked: int = leg[UNIT[leg["kind"]]]
    return value * left // asked


class BillAnswer(Struct):
    """The bill after the legs: charge `payable_minor`."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    discount_minor: Annotated[AmountMinor, Meta(description="what the legs take off it")]
    payable_minor: Annotated[AmountMinor, Meta(description="what is left to charge")]

    @classmethod
    def of(cls, bill: dict[str, Any], discount_minor: int) -> Self:
        """Build it of a bill as a record has it."""
        return cls(
            reference=bill["reference"],
            amount_minor=bill["amount_minor"],
            currency=bill["currency"],
            discount_minor=discount_minor,
            payable_minor=bill["amount_minor"] - discount_minor,
        )


class Balance(Struct):
    """The member's balance after this call."""

    points: PointsCount
    points_held: Held
    stored_value_minor: Annotated[AmountMinor, Meta(description="in the currency of the business")]

    @classmethod
    def of_member(cls, member: MemberState, currency: str) -> Self:
        """Build it of what a member holds now."""
        return cls(
            points=member.sum_of("points"),
            points_held=member.points_held,
            stored_value_minor=member.sum_of(currency),
        )


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
    """One redemption now: what was taken, captured and refunded."""

    redemption_id: RedemptionId
    status: Status
    created_at: Instant
    hold_expires_at: HoldEnd
    member: MemberHead
    legs: tuple[LegProgress, ...]
    bill: Annotated[
        BillAnswer | None, Meta(description="with the discount left after capture and refunds; null when it had none")
    ]
    balance: Annotated[Balance, Meta(description="after this step; in a look-up, after the scan")]

    @classmethod
    def of(cls, redemption: Redemption) -> "RedemptionView":
        """Build it of a redemption at any time after its scan."""
        parts = [[part for part in redemption.parts if part.leg == index] for index in range(len(redemption.legs))]
        legs = list(zip(redemption.legs, parts, strict=True))
        discount_minor = sum(_taken_off(leg, of_leg, redemption.status) for leg, of_leg in legs)
        hold_until_ms = redemption.hold_until_ms if redemption.status == "held" else None
        balance = redemption.balance
        return RedemptionView(
            redemption_id=redemption.redemption_id,
            status=redemption.status,
            created_at=instant(redemption.at_ms),
            hold_expires_at=None if hold_until_ms is None else instant(hold_until_ms),
            member=MemberHead.of(redemption),
            legs=tuple(_progress(leg, of_leg) for leg, of_leg in legs),
            bill=None if redemption.bill is None else BillAnswer.of(redemption.bill, discount_minor),
            balance=Balance(
                points=balance.points,
                points_held=balance.points_held,
                stored_value_minor=balance.stored_value_minor,
            ),
        )


BusinessId = Annotated[str, Meta(description="id of a business", examples=["hotel"])]
