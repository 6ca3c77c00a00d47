"""What live pages, histories and devices are asked and answered, as types: the rest of gateway/api/schemas.py."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.scans.schemas import Instant, MonthOrNever, PointsCount, UsesCount
from redemption.domain.commands import AmountMinor, BenefitId, Currency, Reference
from redemption.domain.limits import DEVICE_NAME_CHARACTERS_MAX
from redemption.domain.text import ONE_LINE_PATTERN

DEVICE_ID_PATTERN: Final = "^dvc_[0-9a-z]{7}$"
DEVICE_ID_EXAMPLE: Final = "dvc_000000a"

Name = Annotated[str, Meta(description="in the language of Accept-Language")]
DeviceId = Annotated[str, Meta(pattern=DEVICE_ID_PATTERN, examples=[DEVICE_ID_EXAMPLE])]
EventId = Annotated[str, Meta(description="position in the stream; of rising order", examples=["1795346948396-0"])]
Count = Annotated[int, Meta(ge=0)]
Figure = Annotated[float | None, Meta(description="null: not known")]
Signed = Annotated[int, Meta(description="more for the member is positive")]


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


class EnrolledDevice(Device):
    """A device that was just enrolled, with its key."""

    key: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$", description="base64url; told here and never again")]
    code_prefix: Annotated[str, Meta(description="every code of the device begins so", examples=["o1.dev-1.1001.10."])]
    step_seconds: Annotated[int, Meta(examples=[30])]


class DevicesAnswer(Struct):
    """The member's devices."""

    devices: tuple[Device, ...]


class BusinessName(Struct):
    """A business and what it is called."""

    business_id: str
    name: Name


class OutletName(Struct):
    """An outlet and what it is called."""

    outlet_id: str
    name: Name


class UsedScanCode(Struct, tag_field="form", tag="scan"):
    """A code that the gateway made was used."""

    expires_at: Annotated[Instant, Meta(description="as `POST /v1/me/codes` told it: which of them it was")]


class UsedOfflineCode(Struct, tag_field="form", tag="offline"):
    """A code that a device made by itself was used."""

    device_id: DeviceId
    step: Count


class NoticeBill(Struct):
    """The bill, and what came off it where that is known."""

    reference: Reference | None
    amount_minor: AmountMinor
    discount_minor: AmountMinor | None
    payable_minor: AmountMinor | None
    currency: Currency


class NoticePointsLeg(Struct, tag_field="kind", tag="points"):
    """Points of a basket."""

    points: PointsCount
    value_minor: AmountMinor


class NoticeBenefitLeg(Struct, tag_field="kind", tag="benefit"):
    """A benefit of a basket."""

    benefit_id: BenefitId
    name: Name
    uses: UsesCount
    value_minor: AmountMinor


class NoticeStoredValueLeg(Struct, tag_field="kind", tag="stored_value"):
    """Stored value of a basket."""

    amount_minor: AmountMinor
    currency: Currency | None
    value_minor: AmountMinor


class LotMoved(Struct):
    """How much of one lot moved."""

    issuer: str
    issuer_name: Name
    amount: Count
    expires_month: MonthOrNever


class PointsChange(Struct, tag_field="kind", tag="points"):
    """More or less points."""

    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


class BenefitChange(Struct, tag_field="kind", tag="benefit"):
    """More or less uses of a benefit."""

    benefit_id: BenefitId
    name: Name
    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


class StoredValueChange(Struct, tag_field="kind", tag="stored_value"):
    """More or less stored value, minor units."""

    currency: Currency
    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


class PointsBack(Struct, tag_field="kind", tag="points"):
    """Points that came back."""

    amount: Count


class BenefitBack(Struct, tag_field="kind", tag="benefit"):
    """Uses that came back."""

    benefit_id: BenefitId
    name: Name
    amount: Count


class StoredValueBack(Struct, tag_field="kind", tag="stored_value"):
    """Stored value that came back, minor units."""

    currency: Currency
    amount: Count


class Movement(Struct):
    """One movement, as live notices and the history tell it."""

    event_id: EventId
    kind: Literal[
        "identify", "redeem", "hold", "capture", "release", "refund", "reverse", "accrue", "issue", "expire", "adjust"
    ]
    reason: Literal["voided", "expired", "cancelled", "accrual_reversed"] | None
    at: Instant
    title: Name
    explanation: Name
    subject_id: Annotated[str, Meta(description="the redemption, accrual or issue it belongs to")]
    business: BusinessName | None
    outlet: OutletName | None
    code: UsedScanCode | UsedOfflineCode | None
    bill: NoticeBill | None
    legs: tuple[NoticePointsLeg | NoticeBenefitLeg | NoticeStoredValueLeg, ...]
    changes: tuple[PointsChange | BenefitChange | StoredValueChange, ...]
    hold_expires_at: Annotated[
        Instant | None, Meta(description="when a hold ends by itself; null for anything else, and once it has ended")
    ]


class ActivityEntry(Movement):
    """A movement and what became of it."""

    status: (
        Literal[
            "identified",
            "held",
            "captured",
            "partially_refunded",
            "refunded",
            "voided",
            "expired",
            "reversed",
            "accrued",
        ]
        | None
    )
    given_back: tuple[PointsBack | BenefitBack | StoredValueBack, ...]


class ActivityAnswer(Struct):
    """A page of the member's history, newest first."""

    as_of: Annotated[Instant, Meta(description="everything up to this moment is in the ledger")]
    activity: tuple[ActivityEntry, ...]
    next_cursor: Annotated[str | None, Meta(description="for the next page; null at the end")]
