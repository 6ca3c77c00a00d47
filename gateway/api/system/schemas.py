"""Schemas of health, readiness, public keys, the group and the terminal, each with what builds it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct

from gateway.scans.schemas import BusinessId, Tier
from redemption.configuration.current import Configuration, Terminal
from redemption.configuration.display_names import GroupNames, NamedBusiness, NamedOutlet
from redemption.domain.commands import BenefitId, Category, Currency
from redemption.domain.limits import HOLD_SECONDS_MAX
from redemption.domain.store_warnings import ConfigurationWarning
from redemption.rules.catalogue import categories_at, may_be_used_at


class HealthAnswer(Struct):
    """The process is running."""

    status: Literal["ok"]


class WeaknessAnswer(Struct):
    """A setting of a store that promises less than the product does."""

    setting: Annotated[str, Meta(examples=["appendfsync"])]
    found: str
    wanted: str
    meaning: str

    @classmethod
    def of(cls, warning: ConfigurationWarning) -> Self:
        """Build it of a warning of the start."""
        return cls(setting=warning.setting, found=warning.found, wanted=warning.wanted, meaning=warning.meaning)


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
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: Annotated[str, Meta(examples=["dev-1"])]
    x: str


class PublicKeysAnswer(Struct):
    """A JWK set (RFC 7517); empty while codes are signed with HS256, whose keys are secret."""

    keys: tuple[PublicKey, ...]


Names = Annotated[Mapping[str, str], Meta(description="by language: zh-Hant, zh-Hans, en; at least one of them")]


class GroupTier(Struct):
    """A level, lowest first."""

    tier: Tier
    rank: int
    name: Names


class GroupOutlet(Struct):
    """An outlet of a business."""

    outlet_id: str
    name: Names

    @classmethod
    def of(cls, outlet: NamedOutlet) -> Self:
        """Build it of an outlet and its names."""
        return cls(outlet_id=outlet.outlet_id, name=outlet.name)


class GroupBusiness(Struct):
    """A business."""

    business_id: BusinessId
    currency: Currency
    name: Names
    outlets: tuple[GroupOutlet, ...]

    @classmethod
    def of(cls, business: NamedBusiness) -> Self:
        """Build it of a business and its outlets in force."""
        return cls(
            business_id=business.business_id,
            currency=business.currency,
            name=business.name,
            outlets=tuple(GroupOutlet.of(outlet) for outlet in business.outlets if not outlet.retired),
        )


class GroupBenefit(Struct):
    """A benefit of the pool."""

    benefit_id: BenefitId
    name: Names


class GroupAnswer(Struct):
    """The names of everything in force."""

    version: Annotated[int, Meta(description="of the configuration; names are the same while it is")]
    tiers: tuple[GroupTier, ...]
    businesses: tuple[GroupBusiness, ...]
    benefits: tuple[GroupBenefit, ...]

    @classmethod
    def of(cls, names: GroupNames) -> Self:
        """Build it of the names of what is in force."""
        return cls(
            version=names.version,
            tiers=tuple(
                GroupTier(tier=tier.tier_id, rank=tier.rank, name=tier.name) for tier in names.tiers if not tier.retired
            ),
            businesses=tuple(GroupBusiness.of(business) for business in names.businesses if not business.retired),
            benefits=tuple(
                GroupBenefit(benefit_id=benefit_id, name=name)
                for benefit_id, name in sorted((names.benefits or {}).items())
                if benefit_id not in names.benefits_retired
            ),
        )


class TerminalBusiness(Struct):
    """The business a terminal belongs to."""

    business_id: BusinessId
    currency: Currency
    name: Names


class TerminalHolds(Struct):
    """The lengths of holds."""

    default_seconds: Annotated[int, Meta(ge=1, description="of a hold without `hold_seconds`")]
    maximum_seconds: Annotated[int, Meta(ge=1, description="the longest `hold_seconds`")]


class TerminalAnswer(Struct):
    """The terminal that a key belongs to."""

    terminal_id: Annotated[str, Meta(examples=["trm_hotel_1"])]
    outlet: GroupOutlet
    business: TerminalBusiness
    time_zone: Annotated[str, Meta(description="of the outlet, IANA", examples=["Asia/Shanghai"])]
    categories: Annotated[tuple[Category, ...], Meta(description="that rules name here, for the lines of a bill")]
    counts_stays: Annotated[
        bool, Meta(description="whether a benefit that may be used here is counted per stay and wants `bill.stay`")
    ]
    holds: TerminalHolds

    @classmethod
    def of(cls, terminal: Terminal, business: NamedBusiness, outlet: NamedOutlet, configuration: Configuration) -> Self:
        """Build it of a terminal, the names of its place and the rules in force there."""
        return cls(
            terminal_id=terminal.terminal_id,
            outlet=GroupOutlet.of(outlet),
            business=TerminalBusiness(business_id=business.business_id, currency=business.currency, name=business.name),
            time_zone=terminal.time_zone.key,
            categories=categories_at(terminal.place, terminal.business.earn, configuration.benefits),
            counts_stays=any(
                benefit.per_stay is not None and may_be_used_at(terminal.place, benefit)
                for benefit in configuration.benefits.values()
            ),
            holds=TerminalHolds(default_seconds=configuration.policy.hold_seconds, maximum_seconds=HOLD_SECONDS_MAX),
        )
