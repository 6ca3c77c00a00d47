"""The group file: businesses, outlets, terminals, tiers and opening balances, and bringing them into both stores.

Guarantees: loading is repeatable. Configuration is brought to what the file says; a member's opening balance is issued
once, through the same function and stream as every later movement, so that the ledger is whole from its first row.
"""

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import orjson
import yaml
from msgspec import Meta, Struct

from redemption.database import Connection, Pool
from redemption.domain import members
from redemption.domain.clock import Clock
from redemption.domain.limits import CUT_OFF_HOUR_MAX, MEMBER_NAME_CHARACTERS_MAX, MEMBER_NUMBERS, POINTS_MAX
from redemption.domain.outcomes import Outcome
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.rules.catalogue import check_catalogue
from redemption.rules.definitions import BenefitDefinition, EarnRules, PointRules, TierRules
from redemption.rules.policy import Policy
from redemption.settlement.agreements import add_agreements
from redemption.settlement.definitions import AgreementDefinition, faults_of

GROUP_FILE_BYTES_MAX = 16 * 1024 * 1024
LOADS_IN_FLIGHT_MAX = 64
CALL_SECONDS = 10.0

Slug = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
Names = dict[str, str]


class GroupFileRefused(Exception):
    """The group file is not usable; the text says where and why."""


class TierEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Slug
    rank: Annotated[int, Meta(ge=0, le=100)]
    name: Names
    rules: TierRules = TierRules()


class TerminalEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^trm_[a-z0-9_-]{1,40}$")]
    name: str


class OutletEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^out_[a-z0-9_-]{1,40}$")]
    name: Names
    terminals: tuple[TerminalEntry, ...]
    time_zone: str | None = None
    cut_off_hour: Annotated[int, Meta(ge=0, le=CUT_OFF_HOUR_MAX)] = 0


class BusinessRules(Struct, frozen=True, forbid_unknown_fields=True):
    points: PointRules = PointRules()
    earn: EarnRules = EarnRules()


class BusinessEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: Slug
    name: Names
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    outlets: tuple[OutletEntry, ...]
    rules: BusinessRules = BusinessRules()


class LotEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Points issued by `business`, good to the end of the month that is so many months from now."""

    business: Slug
    points: Annotated[int, Meta(ge=1, le=POINTS_MAX)]
    expires_in_months: Annotated[int, Meta(ge=0, le=120)]


class GrantEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """So many uses of a benefit, good to the end of the month that is so many months from now."""

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
    tiers: tuple[TierEntry, ...]
    businesses: tuple[BusinessEntry, ...]
    members: tuple[MemberEntry, ...] = ()
    benefits: dict[Slug, BenefitDefinition] = {}
    policy: Policy = Policy()
    agreements: dict[Slug, AgreementDefinition] = {}


@dataclass(slots=True)
class LoadReport:
    """What a load did."""

    businesses: int = 0
    terminals: int = 0
    members: int = 0
    balances_issued: int = 0


def read_group(path: Path) -> Group:
    """The file's content, checked. Raises `GroupFileRefused`."""
    try:
        if path.stat().st_size > GROUP_FILE_BYTES_MAX:
            raise GroupFileRefused(f"{path} is larger than {GROUP_FILE_BYTES_MAX} bytes")
        group = msgspec.convert(yaml.safe_load(path.read_bytes()), Group)
    except OSError as fault:
        raise GroupFileRefused(f"{path} cannot be read: {fault.strerror}") from None
    except (yaml.YAMLError, msgspec.ValidationError) as fault:
        raise GroupFileRefused(f"{path}: {fault}") from None
    _check(group)
    return group


def _check(group: Group) -> None:
    zones = [outlet.time_zone for business in group.businesses for outlet in business.outlets]
    for name in {group.time_zone, *(zone for zone in zones if zone is not None)}:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise GroupFileRefused(f"time_zone: {name!r} is not an IANA time zone") from None
    tiers = {tier.id for tier in group.tiers}
    businesses = {business.id for business in group.businesses}
    outlets = [outlet.id for business in group.businesses for outlet in business.outlets]
    terminals = [
        terminal.id for business in group.businesses for outlet in business.outlets for terminal in outlet.terminals
    ]
    named: tuple[tuple[str, list[str]], ...] = (
        ("tier", [tier.id for tier in group.tiers]),
        ("business", [business.id for business in group.businesses]),
        ("outlet", outlets),
        ("terminal", terminals),
        ("member number", [str(member.number) for member in group.members]),
    )
    for what, names in named:
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise GroupFileRefused(f"{what} stands twice: {twice[0]}")
    wrong = check_catalogue(
        group.benefits,
        currencies={business.id: business.currency for business in group.businesses},
        outlets={outlet.id: business.id for business in group.businesses for outlet in business.outlets},
        tiers=tiers,
    )
    for agreement_id, agreement in group.agreements.items():
        wrong += [f"agreement {agreement_id}: {fault}" for fault in faults_of(agreement, businesses)]
    if wrong:
        raise GroupFileRefused("; ".join(wrong))
    for member in group.members:
        if member.tier not in tiers:
            raise GroupFileRefused(f"member {member.number}: no tier {member.tier!r}")
        for business in {*(lot.business for lot in member.points), *(paid.business for paid in member.stored_value)}:
            if business not in businesses:
                raise GroupFileRefused(f"member {member.number}: no business {business!r}")
        for grant in member.benefits:
            if grant.benefit not in group.benefits:
                raise GroupFileRefused(f"member {member.number}: no benefit {grant.benefit!r}")


def masked(name: str) -> str:
    """A name as a till may show it: the first character of it and stars (陳大文 is 陳**)."""
    visible = unicodedata.normalize("NFC", name).strip()
    return visible[:1] + "*" * min(max(len(visible) - 1, 1), 4)


def month_after(moment: float, months: int, time_zone: ZoneInfo) -> int:
    """yyyymm of the month `months` after the one `moment` lies in."""
    here = datetime.fromtimestamp(moment, time_zone)
    index = here.year * 12 + here.month - 1 + months
    return index // 12 * 100 + index % 12 + 1


async def load_group(
    group: Group, pool: Pool, store: HotStore, *, buckets: int, clock: Clock, say: Callable[[str], None]
) -> LoadReport:
    """Brings the file into PostgreSQL and the hot store. Raises the stores' faults; repeating it is safe."""
    report = LoadReport()
    async with pool.acquire() as connection, connection.transaction():
        await _load_configuration(connection, group, buckets, report)
        for refused in await add_agreements(connection, group.agreements, "group file"):
            raise GroupFileRefused(f"agreement {refused.detail}")
        await _load_members(connection, group)
    say(f"{report.businesses} businesses, {report.terminals} terminals")
    gate = asyncio.Semaphore(LOADS_IN_FLIGHT_MAX)

    async def one(member: MemberEntry) -> None:
        async with gate:
            issued = await _open_member(member, group, pool, store, buckets, clock)
            report.balances_issued += issued
            report.members += 1
            if report.members % 1000 == 0:
                say(f"{report.members} of {len(group.members)} members")

    async with asyncio.TaskGroup() as tasks:
        for member in group.members:
            tasks.create_task(one(member))
    say(f"{report.members} members, {report.balances_issued} opening balances issued")
    return report


async def _load_configuration(connection: Connection, group: Group, buckets: int, report: LoadReport) -> None:
    await connection.execute(
        "INSERT INTO installation (buckets, time_zone, policy) VALUES ($1, $2, $3) "
        "ON CONFLICT (only_row) DO UPDATE SET time_zone = excluded.time_zone, policy = excluded.policy",
        buckets,
        group.time_zone,
        msgspec.to_builtins(group.policy),
    )
    found = await connection.fetchval("SELECT buckets FROM installation")
    if found != buckets:
        raise GroupFileRefused(f"this installation has {found} buckets, the settings say {buckets}")
    await connection.executemany(
        "INSERT INTO tier (tier_id, rank, name, rules) VALUES ($1, $2, $3, $4) ON CONFLICT (tier_id) "
        "DO UPDATE SET rank = excluded.rank, name = excluded.name, rules = excluded.rules",
        [(tier.id, tier.rank, tier.name, msgspec.to_builtins(tier.rules)) for tier in group.tiers],
    )
    await connection.executemany(
        "INSERT INTO benefit (benefit_id, definition) VALUES ($1, $2) "
        "ON CONFLICT (benefit_id) DO UPDATE SET definition = excluded.definition",
        [(benefit_id, msgspec.to_builtins(definition)) for benefit_id, definition in group.benefits.items()],
    )
    for business in group.businesses:
        await connection.execute(
            "INSERT INTO business (business_id, name, currency, rules) VALUES ($1, $2, $3, $4) ON CONFLICT "
            "(business_id) DO UPDATE SET name = excluded.name, currency = excluded.currency, rules = excluded.rules",
            business.id,
            business.name,
            business.currency,
            msgspec.to_builtins(business.rules),
        )
        report.businesses += 1
        for outlet in business.outlets:
            await connection.execute(
                "INSERT INTO outlet (outlet_id, business_id, name, time_zone, cut_off_hour) "
                "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (outlet_id) DO UPDATE SET "
                "business_id = excluded.business_id, name = excluded.name, time_zone = excluded.time_zone, "
                "cut_off_hour = excluded.cut_off_hour",
                outlet.id,
                business.id,
                outlet.name,
                outlet.time_zone,
                outlet.cut_off_hour,
            )
            for terminal in outlet.terminals:
                await connection.execute(
                    "INSERT INTO terminal (terminal_id, outlet_id, name) VALUES ($1, $2, $3) ON CONFLICT "
                    "(terminal_id) DO UPDATE SET outlet_id = excluded.outlet_id, name = excluded.name",
                    terminal.id,
                    outlet.id,
                    terminal.name,
                )
                report.terminals += 1


async def _load_members(connection: Connection, group: Group) -> None:
    await connection.executemany(
        "INSERT INTO member (member_number, member_id, tier_id, display_name) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (member_number) DO UPDATE SET tier_id = excluded.tier_id, display_name = excluded.display_name",
        [
            (entry.number, members.member_id(entry.number), entry.tier, masked(entry.name)[:MEMBER_NAME_CHARACTERS_MAX])
            for entry in group.members
        ],
    )


async def _open_member(
    entry: MemberEntry, group: Group, pool: Pool, store: HotStore, buckets: int, clock: Clock
) -> bool:
    """Puts one member into the hot store, with the opening balance when it was not issued before; True when it was."""
    row = await pool.fetchrow(
        "SELECT display_name, status, opened_at IS NOT NULL AS opened FROM member WHERE member_number = $1",
        entry.number,
    )
    assert row is not None
    member_id = members.member_id(entry.number)
    bucket = members.bucket_of(entry.number, buckets)
    await store.call(
        "enrol",
        member=keys.member(bucket, member_id),
        tier=entry.tier,
        name=row["display_name"],
        status=row["status"],
        deadline_seconds=CALL_SECONDS,
    )
    lots = _opening_lots(entry, group, clock())
    if row["opened"] or not lots:
        return False
    issue_id = f"iss_opening_{member_id.removeprefix(members.MEMBER_PREFIX)}"
    reply = await store.call(
        "issue",
        issued=keys.issued(bucket, issue_id),
        lots=keys.lots(bucket, member_id),
        ledger=keys.ledger_stream(bucket),
        issue_id=issue_id,
        member_id=member_id,
        context=orjson.dumps({"reason": "opening balance"}),
        lots_text=";".join(f"{name}={amount}" for name, amount in sorted(lots.items())),
        deadline_seconds=CALL_SECONDS,
    )
    if reply[1] == Outcome.UNAVAILABLE:
        raise GroupFileRefused(f"member {entry.number}: bucket {bucket} is frozen until it is rebuilt")
    if reply[1] != 0:
        raise GroupFileRefused(f"member {entry.number}: more lots or points than a member may have")
    await pool.execute("UPDATE member SET opened_at = now() WHERE member_number = $1", entry.number)
    return True


def _opening_lots(entry: MemberEntry, group: Group, moment: float) -> Counter[str]:
    """What a member starts with: `<asset>/<lot>` to amount."""
    zone = ZoneInfo(group.time_zone)
    currencies = {business.id: business.currency for business in group.businesses}
    lots: Counter[str] = Counter()
    for lot in entry.points:
        lots[f"points/{month_after(moment, lot.expires_in_months, zone)}.{lot.business}"] += lot.points
    for grant in entry.benefits:
        month = month_after(moment, grant.expires_in_months, zone)
        lots[f"benefit:{grant.benefit}/{month}.{group.benefits[grant.benefit].granted_by}"] += grant.uses
    for paid_in in entry.stored_value:
        lots[f"{currencies[paid_in.business]}/-.{paid_in.business}"] += paid_in.amount_minor
    return lots
