"""Display names of levels, businesses, outlets and benefits, in the group's languages.

Nothing is decided by a name, so names are not part of the configuration that every scan looks at. Guarantees: they are
those of the configuration's version of the moment, read once per version; while PostgreSQL is away the latest ones stay
in force.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from redemption.database import FAULTS, Pool
from redemption.domain.errors import StorageError

READ_SECONDS: Final = 2.0
logger = logging.getLogger(__name__)

Names = Mapping[str, str]
"""Names by language: zh-Hant, zh-Hans, en; at least one."""


@dataclass(frozen=True, slots=True)
class NamedTier:
    """A level, by rank. `retired`: out of force; records still refer to its name."""

    tier_id: str
    rank: int
    name: Names
    retired: bool = False


@dataclass(frozen=True, slots=True)
class NamedOutlet:
    """An outlet of a business."""

    outlet_id: str
    name: Names
    retired: bool = False


@dataclass(frozen=True, slots=True)
class NamedBusiness:
    """A business with its outlets."""

    business_id: str
    currency: str
    name: Names
    outlets: tuple[NamedOutlet, ...]
    retired: bool = False


@dataclass(frozen=True, slots=True)
class GroupNames:
    """All names of one version of the configuration, retired ones included."""

    version: int
    tiers: tuple[NamedTier, ...] = ()
    businesses: tuple[NamedBusiness, ...] = ()
    benefits: Mapping[str, Names] | None = None
    benefits_retired: frozenset[str] = frozenset()


class NamesAway(StorageError):
    """PostgreSQL did not answer and no names were read before."""


class DisplayNames:
    """The names of the version that `version` returns, read on demand."""

    def __init__(self, pool: Pool, version: Callable[[], int]) -> None:
        self._pool = pool
        self._version = version
        self._kept: GroupNames | None = None
        self._reading = asyncio.Lock()

    async def current(self) -> GroupNames:
        """Return the names. Raises `NamesAway`."""
        if self._kept is not None and self._kept.version == self._version():
            return self._kept
        async with self._reading:
            wanted = self._version()
            if self._kept is None or self._kept.version != wanted:
                try:
                    self._kept = await self._read(wanted)
                except FAULTS as fault:
                    if self._kept is None:
                        raise NamesAway(type(fault).__name__) from fault
                    logger.warning("names are those of version %d: %s", self._kept.version, type(fault).__name__)
        return self._kept

    async def _read(self, version: int) -> GroupNames:
        async with self._pool.acquire(timeout=READ_SECONDS) as connection, connection.transaction(readonly=True):
            tiers = await connection.fetch("SELECT tier_id, rank, name, retired_at FROM tier ORDER BY rank")
            businesses = await connection.fetch(
                "SELECT business_id, currency, name, retired_at FROM business ORDER BY business_id"
            )
            outlets = await connection.fetch(
                "SELECT outlet_id, business_id, name, retired_at FROM outlet ORDER BY outlet_id"
            )
            benefits = await connection.fetch(
                "SELECT benefit_id, definition -> 'name' AS name, retired_at FROM benefit"
            )
        return GroupNames(
            version,
            tuple(NamedTier(row["tier_id"], row["rank"], row["name"], _retired(row)) for row in tiers),
            tuple(
                NamedBusiness(
                    row["business_id"],
                    row["currency"],
                    row["name"],
                    tuple(
                        NamedOutlet(outlet["outlet_id"], outlet["name"], _retired(outlet))
                        for outlet in outlets
                        if outlet["business_id"] == row["business_id"]
                    ),
                    _retired(row),
                )
                for row in businesses
            ),
            {row["benefit_id"]: row["name"] for row in benefits},
            frozenset(row["benefit_id"] for row in benefits if _retired(row)),
        )


def _retired(row: asyncpg.Record) -> bool:
    return row["retired_at"] is not None
