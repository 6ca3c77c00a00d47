"""Agreements in PostgreSQL: added, superseded, listed, read as a snapshot. Never edited.

Guarantees: an agreement is one scope for ever; what changes is a new version. Adding what is in force already changes
nothing, so loading a group file again adds no version.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from redemption.database import Connection, Pool
from redemption.queries import named_queries
from redemption.settlement.business_days import OutletDay
from redemption.settlement.definitions import (
    AGREEMENTS_MAX,
    Agreement,
    AgreementDefinition,
    Agreements,
    Scope,
    faults_of,
    scope_of,
)
from redemption.settlement.uses import Places


@dataclass(frozen=True, slots=True)
class Added:
    """The version in force from now on. `fresh` is False where it existed already."""

    agreement_id: str
    version: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class AgreementRefused:
    """An agreement was not taken; nothing was written."""

    reason: Literal["not_well_formed", "scope_taken", "scope_differs", "too_many"]
    detail: str


@dataclass(frozen=True, slots=True)
class ListedAgreement:
    """A version with who added it. `superseded`: there is a higher version."""

    agreement_id: str
    version: int
    definition: AgreementDefinition
    added_by: str
    added_at: datetime.datetime
    superseded: bool


async def add_agreement(
    connection: Connection, agreement_id: str, definition: AgreementDefinition, added_by: str
) -> Added | AgreementRefused:
    """Add the agreement or a further version of it, in a transaction of its own or the caller's."""
    queries = named_queries("settlement", "agreements")
    async with connection.transaction():
        await connection.execute(queries["lock"])
        businesses = {row["business_id"] for row in await connection.fetch(queries["businesses"])}
        wrong = faults_of(definition, businesses)
        if wrong:
            return AgreementRefused("not_well_formed", "; ".join(wrong))
        scope = scope_of(definition)
        holder = await connection.fetchval(queries["same_scope"], *scope)
        if holder is not None and holder != agreement_id:
            return AgreementRefused("scope_taken", f"{holder} is the agreement for this already; supersede that one")
        if holder is None and await connection.fetchval(queries["known"], agreement_id):
            return AgreementRefused("scope_differs", f"{agreement_id} is for other businesses or another instrument")
        latest = await connection.fetchrow(queries["latest"], agreement_id)
        stored = msgspec.to_builtins(definition)
        if latest is not None and latest["definition"] == stored:
            return Added(agreement_id, latest["version"], fresh=False)
        if await connection.fetchval(queries["count_versions"]) >= AGREEMENTS_MAX:
            return AgreementRefused("too_many", f"there are {AGREEMENTS_MAX} versions already")
        if holder is None:
            await connection.execute(queries["add_agreement"], agreement_id, *scope)
        version = 1 if latest is None else latest["version"] + 1
        await connection.execute(queries["add_version"], agreement_id, version, stored, added_by)
        return Added(agreement_id, version, fresh=True)


async def add_agreements(
    connection: Connection, definitions: Mapping[str, AgreementDefinition], added_by: str
) -> list[AgreementRefused]:
    """Add several in one transaction of the caller's. Returns the refused ones, with the agreement's id before the
    detail."""
    refused = []
    for agreement_id, definition in definitions.items():
        result = await add_agreement(connection, agreement_id, definition, added_by)
        if isinstance(result, AgreementRefused):
            refused.append(AgreementRefused(result.reason, f"{agreement_id}: {result.detail}"))
    return refused


async def list_agreements(pool: Pool) -> list[ListedAgreement]:
    """Return every version of every agreement, by id and version."""
    return [
        ListedAgreement(
            agreement_id=row["agreement_id"],
            version=row["version"],
            definition=msgspec.convert(row["definition"], AgreementDefinition),
            added_by=row["added_by"],
            added_at=row["added_at"],
            superseded=row["superseded"],
        )
        for row in await pool.fetch(named_queries("settlement", "agreements")["listed"])
    ]


async def read_agreements(connection: Connection) -> Agreements:
    """Return every version by scope, within the caller's transaction."""
    queries = named_queries("settlement", "agreements")
    by_scope: dict[Scope, list[Agreement]] = {}
    serial = 0
    for row in await connection.fetch(queries["all_versions"]):
        definition = msgspec.convert(row["definition"], AgreementDefinition)
        agreement = Agreement(row["agreement_id"], row["version"], row["serial"], definition)
        by_scope.setdefault(scope_of(definition), []).append(agreement)
        serial = max(serial, agreement.serial)
    categories = {row["benefit_id"]: row["categories"] for row in await connection.fetch(queries["categories"])}
    return Agreements(by_scope, categories, serial)


async def read_places(connection: Connection) -> Places:
    """Read currencies and when the outlets' days begin. A group that is not loaded yet is at UTC."""
    queries = named_queries("settlement", "agreements")
    zone = ZoneInfo(await connection.fetchval(queries["group_zone"]) or "UTC")
    return Places(
        {row["business_id"]: row["currency"] for row in await connection.fetch(queries["businesses"])},
        {
            row["outlet_id"]: OutletDay(ZoneInfo(row["time_zone"]) if row["time_zone"] else zone, row["cut_off_hour"])
            for row in await connection.fetch(queries["zones"])
        },
        zone,
    )
