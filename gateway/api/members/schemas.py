"""Schemas of a member's own view: balance, codes, devices, benefits, each with what builds it."""

import datetime
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from msgspec import Meta, Struct

from gateway.http.responses import extended
from gateway.problems.kinds import Language
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
    month_text,
)
from redemption.devices.store import Device as StoredDevice
from redemption.domain.clock import instant
from redemption.domain.commands import AmountMinor, BenefitId, Category, Currency
from redemption.domain.limits import DEVICE_NAME_CHARACTERS_MAX
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS
from redemption.domain.text import ONE_LINE_PATTERN
from redemption.memberships import Lot, MemberState, MemberStatus
from redemption.rules.definitions import BenefitDefinition, Discount, Hours
from tokens import base64url
from tokens.codec import IssuedCode as MadeCode
from tokens.offline import STEP_SECONDS, EnrolledKey

DEVICE_ID_PATTERN: Final = "^dvc_[0-9a-z]{7}$"
DEVICE_ID_EXAMPLE: Final = "dvc_000000a"

DeviceId = Annotated[str, Meta(pattern=DEVICE_ID_PATTERN, examples=[DEVICE_ID_EXAMPLE])]

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

    @classmethod
    def of(cls, code: MadeCode) -> Self:
        """Build it of a code that was just issued."""
        return cls(
            code=code.code,
            digits=code.digits,
            expires_at=instant(code.expires_at * 1000),
            refresh_at=instant(code.refresh_at * 1000),
        )


class CodesAnswer(Struct):
    """Codes to show one after the other."""

    codes: tuple[IssuedCode, ...]


class StoredValueBalance(Struct):
    """Money paid in, of one currency."""

    currency: Currency
    amount_minor: AmountMinor

    @classmethod
    def all_of(cls, member: MemberState) -> tuple[Self, ...]:
        """Build one for each currency that the member holds, in the order of their names."""
        sums: dict[str, int] = {}
        for lot in member.lots:
            if lot.asset != POINTS and not lot.asset.startswith(BENEFIT_PREFIX):
                sums[lot.asset] = sums.get(lot.asset, 0) + lot.amount
        return tuple(cls(currency=currency, amount_minor=amount) for currency, amount in sorted(sums.items()))


class MemberBalance(Struct):
    """A member's points and stored value."""

    points: PointsCount
    points_held: Held
    points_owed: Owed
    stored_value: tuple[StoredValueBalance, ...]

    @classmethod
    def of(cls, member: MemberState) -> "MemberBalance":
        """Build it of a member as the hot store knows it."""
        return MemberBalance(
            points=member.sum_of(POINTS),
            points_held=member.points_held,
            points_owed=member.owed,
            stored_value=StoredValueBalance.all_of(member),
        )


class MeAnswer(Struct):
    """The member's own view."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName
    status: Annotated[
        MemberStatus,
        Meta(description="a blocked member sees what is there and gets no codes; tills answer `member_blocked`"),
    ]
    growth_value: Annotated[int, Meta(description="counts towards the next level")]
    balance: MemberBalance
    lots: Annotated[tuple[LotPart, ...], Meta(description="points, first to expire first")]

    @classmethod
    def of(cls, member: MemberState) -> Self:
        """Build it of a member as the hot store knows it."""
        return cls(
            member_id=member.member_id,
            tier=member.tier,
            display_name=member.display_name,
            status=member.status,
            growth_value=member.growth,
            balance=MemberBalance.of(member),
            lots=tuple(LotPart.of(lot) for lot in member.lots if lot.asset == POINTS),
        )


class BenefitLot(Struct):
    """Uses that expire together."""

    uses: UsesCount
    expires_month: MonthOrNever

    @classmethod
    def of(cls, lot: Lot) -> Self:
        """Build it of a lot that a member holds."""
        return cls(uses=lot.amount, expires_month=month_text(lot.expires_month))


NotNow = Literal["benefit_not_now", "benefit_exhausted", "tier_too_low"]


class MemberBenefit(Struct):
    """A benefit the member has, with its terms. Null: no such restriction."""

    benefit_id: BenefitId
    name: Annotated[str, Meta(description="in the language of Accept-Language")]
    granted_by: BusinessId
    discount: Annotated[Discount, Meta(description="what one use takes off")]
    remaining_uses: Annotated[UsesCount, Meta(description="in all lots together")]
    uses_now: Annotated[UsesCount, Meta(description="what hours, level and caps leave of them at this moment")]
    not_now: Annotated[
        NotNow | None,
        Meta(description="why a till would refuse it at this moment; null: it may be used"),
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

    @classmethod
    def of(
        cls,
        benefit_id: str,
        definition: BenefitDefinition,
        member: MemberState,
        lots: Sequence[Lot],
        language: Language,
        *,
        uses_now: int,
        not_now: NotNow | None,
    ) -> Self:
        """Build it of a definition and the member's `lots` of it. `uses_now` and `not_now` depend on the moment."""
        return cls(
            benefit_id=benefit_id,
            name=definition.name.get(language) or next(iter(definition.name.values())),
            granted_by=definition.granted_by,
            discount=definition.discount,
            remaining_uses=sum(lot.amount for lot in lots),
            uses_now=uses_now,
            not_now=not_now,
            used_today=member.used_today.get(benefit_id, 0),
            used_this_month=member.used_month.get(benefit_id, 0),
            per_day=definition.per_day,
            per_month=definition.per_month,
            businesses=definition.businesses,
            outlets=definition.outlets,
            categories=definition.categories,
            weekdays=definition.weekdays,
            hours=definition.hours,
            first_day=_day_text(definition.first_day),
            last_day=_day_text(definition.last_day),
            minimum_spend_minor=definition.minimum_spend_minor,
            minimum_tier=definition.minimum_tier,
            lots=tuple(BenefitLot.of(lot) for lot in lots),
        )


class MyBenefitsAnswer(Struct):
    """Everything the member can use."""

    benefits: tuple[MemberBenefit, ...]


def _day_text(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()


class DeviceRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/me/devices`: a device that is to make codes without network."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=DEVICE_NAME_CHARACTERS_MAX,
            pattern=ONE_LINE_PATTERN,
            description="as the member knows it",
            examples=["Chan's phone"],
        ),
    ]
    replaces: DeviceId | None = None


class Device(Struct):
    """A device of the member."""

    device_id: DeviceId
    name: str
    created_at: Instant
    revoked_at: Instant | None
    key_current: Annotated[bool, Meta(description="false: enrol it again, the group's key was rotated")]

    @classmethod
    def of(cls, device: StoredDevice, current_kid: str) -> "Device":
        """Build it of a device as it is stored. `current_kid` names the key that devices are enrolled with now."""
        revoked_at = device.revoked_at
        return Device(
            device_id=device.device_id,
            name=device.name,
            created_at=instant(round(device.created_at.timestamp() * 1000)),
            revoked_at=None if revoked_at is None else instant(round(revoked_at.timestamp() * 1000)),
            key_current=device.kid == current_kid,
        )


class EnrolledDevice(Device):
    """A device that was just enrolled, with its key."""

    key: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$", description="base64url; given here and never again")]
    code_prefix: Annotated[str, Meta(description="every code of the device begins so", examples=["o1.dev-1.1001.10."])]
    step_seconds: Annotated[int, Meta(examples=[30])]

    @classmethod
    def with_key(cls, device: Device, key: EnrolledKey) -> Self:
        """Build it of the device and the key that was made for it."""
        return extended(
            cls, device, key=base64url.encode(key.secret), code_prefix=key.code_prefix, step_seconds=STEP_SECONDS
        )


class DevicesAnswer(Struct):
    """The member's devices."""

    devices: tuple[Device, ...]
