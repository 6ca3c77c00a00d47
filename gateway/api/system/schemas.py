"""Schemas of health, readiness, public keys, the group and the terminal."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.scans.schemas import BusinessId, Tier
from redemption.domain.commands import BenefitId, Category, Currency


class HealthAnswer(Struct):
    """The process is alive."""

    status: Literal["ok"]


class WeaknessAnswer(Struct):
    """A setting of a store that promises less than the product does."""

    setting: Annotated[str, Meta(examples=["appendfsync"])]
    found: str
    wanted: str
    meaning: str


class FrozenBucket(Struct):
    """A part of the members for whom every call that moves value is answered `unavailable` until a rebuild."""

    bucket: int
    reason: str


class ReadinessAnswer(Struct):
    """Scans sent here can be decided."""

    status: Literal["ready"]
    configuration_version: int
    configuration_stale: Annotated[bool, Meta(description="the configuration in force could not be refreshed lately")]
    frozen_buckets: tuple[FrozenBucket, ...]
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


Names = Annotated[dict[str, str], Meta(description="by language: zh-Hant, zh-Hans, en; at least one of them")]


class GroupTier(Struct):
    """A level, lowest first."""

    tier: Tier
    rank: int
    name: Names


class GroupOutlet(Struct):
    """An outlet of a business."""

    outlet_id: str
    name: Names


class GroupBusiness(Struct):
    """A business."""

    business_id: BusinessId
    currency: Currency
    name: Names
    outlets: tuple[GroupOutlet, ...]


class GroupBenefit(Struct):
    """A benefit of the pool."""

    benefit_id: BenefitId
    name: Names


class GroupAnswer(Struct):
    """What everything is called."""

    version: Annotated[int, Meta(description="of the configuration; names are the same while it is")]
    tiers: tuple[GroupTier, ...]
    businesses: tuple[GroupBusiness, ...]
    benefits: tuple[GroupBenefit, ...]


class TerminalBusiness(Struct):
    """The business a terminal belongs to."""

    business_id: BusinessId
    currency: Currency
    name: Names


class TerminalHolds(Struct):
    """How long holds may last."""

    default_seconds: Annotated[int, Meta(ge=1, description="of a hold without `hold_seconds`")]
    maximum_seconds: Annotated[int, Meta(ge=1, description="the longest `hold_seconds`")]


class TerminalAnswer(Struct):
    """Which till this key is of."""

    terminal_id: Annotated[str, Meta(examples=["trm_hotel_1"])]
    outlet: GroupOutlet
    business: TerminalBusiness
    categories: Annotated[
        tuple[Category, ...], Meta(description="that rules name here: what the lines of a bill may be told as")
    ]
    time_zone: Annotated[str, Meta(description="of the outlet, IANA", examples=["Asia/Shanghai"])]
    counts_stays: Annotated[
        bool, Meta(description="whether a benefit that may be used here is counted per stay and wants `bill.stay`")
    ]
    holds: TerminalHolds
