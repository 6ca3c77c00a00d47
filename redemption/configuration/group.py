"""The group file's content: businesses, outlets, terminals, levels, benefits, members, and the rules among them.

Guarantees: a `Group` without findings of `faults_of_group` names only what it has, each id once, in currencies that
there are. Reading the file is in redemption/configuration/group_file.py, bringing it into the stores in
redemption/configuration/load.py.
"""

import unicodedata
from collections import Counter
from collections.abc import Container, Iterator
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from redemption.configuration.document_faults import Fault
from redemption.domain.currencies import is_currency
from redemption.domain.errors import RefusedError
from redemption.domain.limits import (
    BUSINESSES_MAX,
    CUT_OFF_HOUR_MAX,
    GROUP_FILE_MEMBERS_MAX,
    LOTS_MAX,
    MEMBER_NUMBERS,
    NAME_CHARACTERS_MAX,
    NAME_LANGUAGES_MAX,
    OUTLETS_PER_BUSINESS_MAX,
    POINTS_MAX,
    TERMINALS_PER_OUTLET_MAX,
    TIERS_MAX,
)
from redemption.rules.catalogue import check_catalogue
from redemption.rules.definitions import BENEFITS_MAX, BenefitDefinition, EarnRules, PointRules, TierRules
from redemption.rules.policy import Policy
from redemption.settlement.definitions import AGREEMENTS_MAX, AgreementDefinition, faults_of

Slug = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
LanguageTag = Annotated[str, Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="BCP 47")]
Names = Annotated[dict[LanguageTag, Name], Meta(min_length=1, max_length=NAME_LANGUAGES_MAX)]


class GroupFileRefused(RefusedError):
    """The group file, or what it would change, is not usable; the text says where and why."""


class TierEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Slug
    rank: Annotated[int, Meta(ge=0, le=100)]
    name: Names
    rules: TierRules = TierRules()


class TerminalEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^trm_[a-z0-9_-]{1,40}$")]
    name: Name


class OutletEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^out_[a-z0-9_-]{1,40}$")]
    name: Names
    terminals: Annotated[tuple[TerminalEntry, ...], Meta(max_length=TERMINALS_PER_OUTLET_MAX)]
    time_zone: str | None = None
    cut_off_hour: Annotated[int, Meta(ge=0, le=CUT_OFF_HOUR_MAX)] = 0


class BusinessRules(Struct, frozen=True, forbid_unknown_fields=True):
    points: PointRules = PointRules()
    earn: EarnRules = EarnRules()


class BusinessEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Slug
    name: Names
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
    outlets: Annotated[tuple[OutletEntry, ...], Meta(max_length=OUTLETS_PER_BUSINESS_MAX)]
    rules: BusinessRules = BusinessRules()


class LotEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Points issued by `business`, valid to the end of the month that is this many months from now."""

    business: Slug
    points: Annotated[int, Meta(ge=1, le=POINTS_MAX)]
    expires_in_months: Annotated[int, Meta(ge=0, le=120)]


class GrantEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Uses of a benefit, valid to the end of the month that is this many months from now."""

    benefit: Slug
    uses: Annotated[int, Meta(ge=1, le=1_000_000)]
    expires_in_months: Annotated[int, Meta(ge=0, le=120)]


class StoredValueEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Money paid in at `business`, in its currency. It never expires."""

    business: Slug
    amount_minor: Annotated[int, Meta(ge=1, le=POINTS_MAX)]


class MemberEntry(Struct, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=0, lt=MEMBER_NUMBERS)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    tier: Slug
    points: tuple[LotEntry, ...] = ()
    benefits: tuple[GrantEntry, ...] = ()
    stored_value: tuple[StoredValueEntry, ...] = ()


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    time_zone: str
    tiers: Annotated[tuple[TierEntry, ...], Meta(min_length=1, max_length=TIERS_MAX)]
    businesses: Annotated[tuple[BusinessEntry, ...], Meta(max_length=BUSINESSES_MAX)]
    members: Annotated[tuple[MemberEntry, ...], Meta(max_length=GROUP_FILE_MEMBERS_MAX)] = ()
    benefits: Annotated[dict[Slug, BenefitDefinition], Meta(max_length=BENEFITS_MAX)] = {}
    policy: Policy = Policy()
    agreements: Annotated[dict[Slug, AgreementDefinition], Meta(max_length=AGREEMENTS_MAX)] = {}


def faults_of_group(group: Group) -> Iterator[Fault]:
    """Find what does not fit together: references to missing things, ids used twice, unknown currencies and zones."""
    yield from _faults_of_places(group)
    yield from _faults_of_ids(group)
    yield from _faults_of_definitions(group)
    tiers, businesses = {tier.id for tier in group.tiers}, {business.id for business in group.businesses}
    for number, member in enumerate(group.members):
        for reason in faults_of_member(member, tiers, businesses, group.benefits):
            yield Fault(f"members[{number}]", reason)


def faults_of_member(
    member: MemberEntry,
    tiers: Container[str],
    businesses: Container[str],
    benefits: Container[str],
) -> Iterator[str]:
    """Find what a member names that the configuration does not have."""
    if member.tier not in tiers:
        yield f"no tier {member.tier!r}"
    for business in sorted(
        {*(lot.business for lot in member.points), *(paid.business for paid in member.stored_value)}
    ):
        if business not in businesses:
            yield f"no business {business!r}"
    for grant in member.benefits:
        if grant.benefit not in benefits:
            yield f"no benefit {grant.benefit!r}"
    lots = len(member.points) + len(member.benefits) + len(member.stored_value)
    if lots > LOTS_MAX:
        yield f"{lots} lots; a member may have {LOTS_MAX}"


def _faults_of_places(group: Group) -> Iterator[Fault]:
    zones = {"time_zone": group.time_zone}
    for number, business in enumerate(group.businesses):
        if not is_currency(business.currency):
            place = f"businesses[{number}].currency"
            yield Fault(place, f"{business.currency} is not a currency of ISO 4217 with a minor unit")
        for at, outlet in enumerate(business.outlets):
            if outlet.time_zone is not None:
                zones[f"businesses[{number}].outlets[{at}].time_zone"] = outlet.time_zone
    for place, name in zones.items():
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a name of a folder of zones raises OSError
            yield Fault(place, f"{name!r} is not an IANA time zone")


def _faults_of_ids(group: Group) -> Iterator[Fault]:
    outlets = [outlet for business in group.businesses for outlet in business.outlets]
    named: tuple[tuple[str, list[str]], ...] = (
        ("tier", [tier.id for tier in group.tiers]),
        ("rank of a tier", [str(tier.rank) for tier in group.tiers]),
        ("business", [business.id for business in group.businesses]),
        ("outlet", [outlet.id for outlet in outlets]),
        ("terminal", [terminal.id for outlet in outlets for terminal in outlet.terminals]),
        ("member number", [str(member.number) for member in group.members]),
    )
    for what, names in named:
        for name, count in Counter(names).items():
            if count > 1:
                yield Fault("", f"{what} {name} is given {count} times")


def _faults_of_definitions(group: Group) -> Iterator[Fault]:
    wrong = check_catalogue(
        group.benefits,
        currencies={business.id: business.currency for business in group.businesses},
        outlets={outlet.id: business.id for business in group.businesses for outlet in business.outlets},
        tiers={tier.id for tier in group.tiers},
    )
    yield from (Fault("", sentence) for sentence in wrong)
    businesses = {business.id for business in group.businesses}
    for agreement_id, agreement in group.agreements.items():
        for sentence in faults_of(agreement, businesses):
            yield Fault(f"agreements.{agreement_id}", sentence)


def masked(name: str) -> str:
    """Return a name as a till may show it: its first character and stars (陳大文 is 陳**)."""
    visible = unicodedata.normalize("NFC", name).strip()
    return visible[:1] + "*" * min(max(len(visible) - 1, 1), 4)
