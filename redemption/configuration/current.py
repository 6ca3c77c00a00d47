"""Callers and the rules they act under: the configuration, held in memory and followed.

Guarantees: a scan looks up terminal, outlet, business and rules without leaving the process; a change in PostgreSQL is
seen by every worker within `POLL_SECONDS` plus one query. While PostgreSQL is away the last snapshot stays in force
(scans go on) and `stale_seconds` grows, which readiness reports.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from redemption.credentials import SignatureKey, note_use
from redemption.database import FAULTS, Connection, Pool
from redemption.domain.clock import Clock
from redemption.domain.errors import ConfigurationError
from redemption.rules.definitions import BenefitDefinition, EarnRules, PointRules, TierRules
from redemption.rules.eligibility import Place
from redemption.rules.policy import Policy
from redemption.waiting import end_tasks

POLL_SECONDS = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Business:
    """One of the group's businesses and its rules."""

    business_id: str
    currency: str
    points: PointRules
    earn: EarnRules


@dataclass(frozen=True, slots=True)
class Tier:
    """A level. Ranks order the levels; everybody starts at the smallest."""

    tier_id: str
    rank: int
    rules: TierRules


@dataclass(frozen=True, slots=True)
class Terminal:
    """A till or scanner, and the outlet and business it is bound to. `time_zone` is the outlet's."""

    terminal_id: str
    outlet_id: str
    business: Business
    time_zone: ZoneInfo
    place: Place


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The holder and rights of an API key. Only the key's SHA-256 is known."""

    key_id: str
    fingerprint: bytes = field(repr=False)
    revoked: bool
    terminal: Terminal | None
    roles: frozenset[str]
    business: str | None
    """The one business of a back-office key; None: the whole group (or a terminal's key)."""
    scopes: frozenset[str]
    """The rights of a terminal's key (redemption/credentials.py)."""
    ends_at: float | None
    """Unix seconds from which on the key is refused."""
    signature: SignatureKey | None
    """The key that must sign every request with this one; None: no signature is required."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One consistent snapshot of the configuration.

    `businesses` has the retired ones too: they have no terminal that works, and their settlement goes on. Levels and
    benefits are those in force.
    `terms` are the benefits' caps and levels as functions/redeem.lua reads them: `<day>,<month>,<stay>,<tiers>`.
    """

    version: int
    buckets: int
    time_zone: ZoneInfo
    policy: Policy
    tiers: tuple[Tier, ...]
    benefits: Mapping[str, BenefitDefinition]
    terms: Mapping[str, str]
    businesses: Mapping[str, Business]
    keys: Mapping[str, KeyHolder]


class NotInstalled(ConfigurationError):
    """The database has no group yet: `tong load GROUP.yaml` comes first."""


async def read_configuration(connection: Connection) -> Configuration:
    """Read the whole configuration in one snapshot. Raises `NotInstalled` before the first `tong load`."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await connection.fetchval("SELECT version FROM configuration_version")
        installation = await connection.fetchrow("SELECT buckets, time_zone, policy FROM installation")
        if installation is None:
            raise NotInstalled("no group is loaded; run `tong load GROUP.yaml` first")
        zone = ZoneInfo(installation["time_zone"])
        tiers = tuple(
            Tier(row["tier_id"], row["rank"], msgspec.convert(row["rules"], TierRules))
            for row in await connection.fetch(
                "SELECT tier_id, rank, rules FROM tier WHERE retired_at IS NULL ORDER BY rank"
            )
        )
        benefits = {
            row["benefit_id"]: msgspec.convert(row["definition"], BenefitDefinition)
            for row in await connection.fetch(
                "SELECT benefit_id, definition FROM benefit WHERE retired_at IS NULL ORDER BY benefit_id"
            )
        }
        businesses = {
            row["business_id"]: Business(
                row["business_id"],
                row["currency"],
                msgspec.convert(row["rules"].get("points", {}), PointRules),
                msgspec.convert(row["rules"].get("earn", {}), EarnRules),
            )
            for row in await connection.fetch("SELECT business_id, currency, rules FROM business")
        }
        terminals = {
            row["terminal_id"]: _terminal(row, businesses[row["business_id"]], zone)
            for row in await connection.fetch(
                "SELECT terminal_id, outlet_id, business_id, time_zone FROM terminal JOIN outlet USING (outlet_id)"
            )
        }
        keys = {
            row["key_id"]: KeyHolder(
                row["key_id"],
                row["fingerprint"],
                row["revoked"],
                terminals.get(row["terminal_id"]),
                frozenset(row["roles"]),
                row["business_id"],
                frozenset(row["scopes"]),
                row["ends_at"],
                SignatureKey(row["signature_algorithm"], row["signature_key"]) if row["signature_key"] else None,
            )
            for row in await connection.fetch(
                # The keys of a retired terminal do not work; they work again when the terminal is restored.
                "SELECT key_id, fingerprint, terminal_id, roles, business_id, scopes,"
                " revoked_at IS NOT NULL OR retired_at IS NOT NULL AS revoked,"
                " extract(epoch FROM expires_at)::float8 AS ends_at, signature_algorithm, signature_key"
                " FROM api_key LEFT JOIN terminal USING (terminal_id)"
            )
        }
    terms = {benefit_id: _terms(definition, tiers) for benefit_id, definition in benefits.items()}
    return Configuration(
        version,
        installation["buckets"],
        zone,
        msgspec.convert(installation["policy"], Policy),
        tiers,
        benefits,
        terms,
        businesses,
        keys,
    )


def _terminal(row: asyncpg.Record, business: Business, zone: ZoneInfo) -> Terminal:
    place = Place(business.business_id, row["outlet_id"], business.currency, business.points)
    outlet_zone = ZoneInfo(row["time_zone"]) if row["time_zone"] else zone
    return Terminal(row["terminal_id"], row["outlet_id"], business, outlet_zone, place)


def _terms(definition: BenefitDefinition, tiers: tuple[Tier, ...]) -> str:
    caps = f"{definition.per_day or 0},{definition.per_month or 0},{definition.per_stay or 0}"
    if definition.minimum_tier is None:
        return f"{caps},*"
    least = next(tier.rank for tier in tiers if tier.tier_id == definition.minimum_tier)
    return f"{caps},{'|'.join(tier.tier_id for tier in tiers if tier.rank >= least)}"


class ConfigurationFollower:
    """A follower that keeps `current` up to date. `start` reads the first snapshot and raises when that fails."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._seen_at = clock()
        self.current: Configuration

    async def start(self) -> None:
        async with self._pool.acquire() as connection:
            self.current = await read_configuration(connection)
        self._seen_at = self._clock()
        self._task = asyncio.create_task(self._follow(), name="configuration")

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    @property
    def stale_seconds(self) -> float:
        """Return how long ago PostgreSQL last confirmed the snapshot."""
        return max(0.0, self._clock() - self._seen_at)

    async def note_use(self, key_ids: Collection[str]) -> None:
        """Note that these keys were used now. A failure is ignored; the next use is noted again."""
        try:
            async with asyncio.timeout(2.0), self._pool.acquire() as connection:
                await note_use(connection, key_ids)
        except FAULTS as fault:
            logger.debug("the use of %d keys could not be noted: %r", len(key_ids), fault)

    async def has_member_outside(self, buckets: Collection[int]) -> bool | None:
        """Return whether a member is in none of these buckets; None when PostgreSQL does not say."""
        try:
            async with asyncio.timeout(2.0), self._pool.acquire() as connection:
                found: bool = await connection.fetchval(
                    "SELECT EXISTS (SELECT 1 FROM member WHERE NOT member_number % $1 = ANY ($2::integer[]))",
                    self.current.buckets,
                    sorted(buckets),
                )
                return found
        except FAULTS as fault:
            logger.warning("it is not known whether members are outside of the frozen buckets: %r", fault)
            return None

    async def _follow(self) -> None:
        reachable = True
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                async with asyncio.timeout(2.0), self._pool.acquire() as connection:
                    version = await connection.fetchval("SELECT version FROM configuration_version")
                    if version != self.current.version:
                        self.current = await read_configuration(connection)
                        logger.info("configuration %s in force", self.current.version)
                self._seen_at = self._clock()
                if not reachable:
                    logger.warning("configuration is followed again")
                reachable = True
            except (*FAULTS, NotInstalled, msgspec.ValidationError) as fault:
                if reachable:
                    logger.error("configuration cannot be followed, version %s stays: %r", self.current.version, fault)
                reachable = False
