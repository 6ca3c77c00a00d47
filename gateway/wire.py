"""What the gateway answers, as types: the shapes of contract.md that rendering.py writes.

They describe, they do not render: an answer is built from the domain's values in gateway/rendering.py, and a test holds
real answers against the schemas made from these types, in both directions (nothing missing, nothing undocumented).
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.problems import Retry
from redemption.domain.commands import AmountMinor, Currency, Reference
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
PointsCount = Annotated[int, Meta(ge=0, le=POINTS_MAX, description="a whole number of points")]
MemberId = Annotated[str, Meta(pattern="^mem_[0-9a-z]{7}$", examples=["mem_0000001"])]
RedemptionId = Annotated[str, Meta(pattern=REDEMPTION_ID_PATTERN, examples=[REDEMPTION_ID_EXAMPLE])]
DisplayName = Annotated[str, Meta(description="shortened for the screen of a till", examples=["陳**"])]
Tier = Annotated[str, Meta(description="id of the member's level", examples=["gold"])]


class LotPart(Struct):
    """Points of one lot: the business that issued them and the month in which they expire."""

    issuer: Annotated[str, Meta(description="the business that issued them", examples=["hotel"])]
    points: PointsCount
    expires_month: Month


class RedeemedMember(Struct):
    """Whose code it was: as much as a cashier needs."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName


class PointsTaken(Struct, tag_field="kind", tag="points"):
    """A points leg as it was applied."""

    points: PointsCount
    value_minor: Annotated[AmountMinor, Meta(description="what it takes off the bill, minor units")]
    lots: Annotated[tuple[LotPart, ...], Meta(description="where they came from, first to expire first")]


LegTaken = PointsTaken


class BillAnswer(Struct):
    """The bill after the legs: charge `payable_minor`."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    discount_minor: Annotated[AmountMinor, Meta(description="the sum of the legs' value_minor")]
    payable_minor: Annotated[AmountMinor, Meta(description="what is left to charge")]


class Balance(Struct):
    """What the member has left."""

    points: PointsCount
    points_held: Annotated[PointsCount, Meta(description="set aside by holds")]
    stored_value_minor: AmountMinor


class RedemptionAnswer(Struct):
    """One redemption, as first answered, as repeated and as looked up."""

    redemption_id: RedemptionId
    status: Literal["captured"]
    created_at: Instant
    hold_expires_at: Annotated[Instant | None, Meta(description="when a hold ends by itself; null when captured")]
    member: RedeemedMember
    legs: tuple[LegTaken, ...]
    bill: Annotated[BillAnswer | None, Meta(description="null when the request had none")]
    balance: Balance


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


class MemberBalance(Struct):
    """A member's points."""

    points: PointsCount
    points_held: Annotated[PointsCount, Meta(description="set aside by holds")]


class MeAnswer(Struct):
    """The member's own view."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName
    balance: MemberBalance
    lots: Annotated[tuple[LotPart, ...], Meta(description="first to expire first")]


class HealthAnswer(Struct):
    """The process is alive."""

    status: Literal["ok"]


class WeaknessAnswer(Struct):
    """A setting of a store that promises less than the product does."""

    setting: Annotated[str, Meta(examples=["appendfsync"])]
    found: str
    wanted: str
    meaning: str


class ReadinessAnswer(Struct):
    """Whether scans sent here can be decided."""

    status: Literal["ready", "not_ready"]
    reasons: Annotated[tuple[str, ...], Meta(description="why not; empty when ready")]
    configuration_version: int
    configuration_stale: Annotated[bool, Meta(description="the configuration in force could not be refreshed lately")]
    weaknesses: tuple[WeaknessAnswer, ...]


class PublicKey(Struct):
    """One public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: Annotated[str, Meta(examples=["dev-1"])]
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class PublicKeysAnswer(Struct):
    """A JWK set (RFC 7517); empty while codes are signed with HS256, whose keys are secret."""

    keys: tuple[PublicKey, ...]


class FieldFault(Struct):
    """One place of a request that cannot be read."""

    field: Annotated[str, Meta(description="path in the body, or the header", examples=["legs[0].points"])]
    reason: str


class ProblemAnswer(Struct, omit_defaults=True):
    """Why a request was not answered as asked (RFC 9457), with what the till may do and what the cashier reads."""

    type: Annotated[str, Meta(description="identifies the kind; not an address", extra_json_schema={"format": "uri"})]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    code: Annotated[str, Meta(description="what a program decides by", examples=["points_insufficient"])]
    outcome: Annotated[
        Literal["not_applied", "unknown"],
        Meta(description="unknown: it may have been applied; the same key finds out. Only with 5xx"),
    ]
    retry: Annotated[Retry, Meta(description="what makes another attempt sensible")]
    detail: Annotated[str, Meta(description="this occurrence, for logs and developers")]
    operator_hint: Annotated[str, Meta(description="for the cashier, in the language of Accept-Language")]
    leg: Annotated[int, Meta(ge=0, description="index of the leg at fault")] | UnsetType = UNSET
    asked: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    available: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    errors: Annotated[tuple[FieldFault, ...], Meta(description="with `malformed`")] | UnsetType = UNSET
