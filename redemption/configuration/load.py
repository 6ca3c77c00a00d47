"""Loading a group file into both stores: a plan, one transaction, then the members.

    GroupFileRefused
      LoadRefused         nothing was changed, for the reasons in the plan

Guarantees: the configuration changes in one transaction or not at all, whatever state the store is in; one load at a
time, a second waits and is then refused; a currency or an outlet that bookings hang on does not change under them;
nothing that holdings or records name is deleted. Workers follow within a second
(redemption/configuration/current.py).

Members are put into the hot store after that transaction, and can be loaded again after whatever happened.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from redemption.configuration.bookings import booked
from redemption.configuration.document_faults import sentences
from redemption.configuration.group import GroupFileRefused, MemberEntry
from redemption.configuration.group_file import GroupFile, mixed_currencies
from redemption.configuration.member_file import MemberLines
from redemption.configuration.member_load import (
    BATCH_MEMBERS,
    Known,
    MemberReport,
    Placed,
    count_waiting,
    open_members,
    store_members,
)
from redemption.configuration.state import (
    AGREEMENT,
    Plan,
    State,
    apply_plan,
    plan_of,
    state_after,
    stored_state,
    wanted_state,
)
from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.domain.limits import BUSINESSES_MAX, TIERS_MAX
from redemption.hot.store import HotStore
from redemption.rules.catalogue import check_catalogue
from redemption.rules.definitions import BENEFITS_MAX, BenefitDefinition
from redemption.settlement.agreements import add_agreements

LOCK_SECONDS: Final = 10.0
LOCK_POLL_SECONDS: Final = 0.1
TOLD_EVERY: Final = 10_000
"""Members between two lines of progress."""

Say = Callable[[str], None]


class LoadRefused(GroupFileRefused):
    """Nothing was changed, for the reasons in the plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        told = sentences(plan.refused)
        super().__init__(
            "\n  ".join(["refused, nothing was changed:", *told])
            if len(told) > 1
            else f"refused, nothing was changed: {told[0]}"
        )


class LoadDeclined(GroupFileRefused):
    """The person who was asked did not agree; nothing was changed."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options of a load. `agreed` receives the plan before anything is changed and returns whether to go on."""

    prune: bool = False
    dry_run: bool = False
    members: Path | None = None
    agreed: Callable[[Plan], bool] = lambda _: True


@dataclass(slots=True)
class LoadReport:
    """The result of a load, or the expected one of a dry run."""

    plan: Plan
    members: MemberReport = field(default_factory=MemberReport)

    @property
    def changes_anything(self) -> bool:
        """Return whether the configuration, or members' levels and names, changed or would change."""
        members = self.members
        return self.plan.changes_anything or members.new + members.changed + members.balances_waiting > 0


DEFAULT_OPTIONS: Final = LoadOptions()


async def load_group(
    file: GroupFile,
    pool: Pool,
    store: HotStore,
    *,
    buckets: int,
    clock: Clock,
    say: Say,
    options: LoadOptions = DEFAULT_OPTIONS,
) -> LoadReport:
    """Bring the file, and a file of members, into both stores. Repeating it is safe.

    Raises `GroupFileRefused`, `LoadRefused`, `LoadDeclined` and the stores' faults. `pool` lends two connections.
    """
    wanted = wanted_state(file.group)
    async with _one_load(pool) as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            stored = await stored_state(connection)
        after = state_after(wanted, stored, prune=options.prune)
        lines = MemberLines(options.members, Known.of(after)) if options.members is not None else None
        if lines is not None:
            say(f"checking {lines.path}")
            say(f"{lines.check()} members in {lines.path}")
        report = LoadReport(plan_of(wanted, stored, prune=options.prune))
        report.plan.refused += [
            *_faults_together(file, wanted, stored, after, prune=options.prune),
            *await _faults_under_bookings(connection, store, buckets, report.plan),
        ]
        if report.plan.refused:
            raise LoadRefused(report.plan)
        if not options.dry_run and not options.agreed(report.plan):
            raise LoadDeclined("nothing was changed")
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _apply(connection, file, wanted, buckets, report)
            for batch in _batches(file.group.members):
                await store_members(connection, batch, report.members)
                if options.dry_run:
                    await count_waiting(connection, batch, report.members)
            await _refuse_levels_in_use(connection, report.plan)
            await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if options.dry_run and lines is not None:
                await _count_lines(connection, options.members, lines.known, report.members)
        except BaseException:
            await transaction.rollback()
            raise
        if options.dry_run:
            await transaction.rollback()
            return report
        await transaction.commit()
        known = Known.of(after)
        for batch in _batches(file.group.members):
            await open_members(batch, known, pool, store, buckets, clock, report.members)
        if lines is not None:
            await _load_lines(MemberLines(lines.path, known), pool, store, buckets, clock, report.members, say)
    return report


@asynccontextmanager
async def _one_load(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection that holds the lock of loads.

    Raises `GroupFileRefused` where another load has it for too long.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    async with pool.acquire() as connection:
        while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended('tong.load', 0))"):
            if time.monotonic() >= deadline:
                raise GroupFileRefused("another `tong load` is at work on this database; nothing was changed")
            await asyncio.sleep(LOCK_POLL_SECONDS)
        try:
            yield connection
        finally:
            if not connection.is_closed():  # a closed connection has released its lock
                await connection.execute("SELECT pg_advisory_unlock(hashtextextended('tong.load', 0))")


def _faults_together(file: GroupFile, wanted: State, stored: State, after: State, *, prune: bool) -> Iterator[str]:
    """Find what does not fit together with things that stay in force although the file does not name them."""
    if prune:
        return
    hint = "which stays in force though it is not in the file; --prune retires it"
    ranks = {row["rank"]: tier for tier, row in wanted.things["tier"].items()}
    for tier, row in stored.things["tier"].items():
        if tier not in wanted.things["tier"] and row["rank"] in ranks:
            yield f"tier {ranks[row['rank']]}: rank {row['rank']} is that of {tier}, {hint}"
    for kind, most in (("tier", TIERS_MAX), ("business", BUSINESSES_MAX), ("benefit", BENEFITS_MAX)):
        if len(after.things[kind]) > most:
            yield f"{len(after.things[kind])} of kind {kind} would be in force, {most} is the most (--prune)"
    currencies = {business: row["currency"] for business, row in after.things["business"].items()}
    yield from map(str, mixed_currencies(currencies, file.unstated))
    try:
        catalogue = {
            benefit: msgspec.convert(row["definition"], BenefitDefinition)
            for benefit, row in after.things["benefit"].items()
        }
    except msgspec.ValidationError as fault:
        yield f"a benefit in force that is not in the file is not well formed: {fault}; --prune retires it"
        return
    outlets = {outlet: row["business_id"] for outlet, row in after.things["outlet"].items()}
    yield from check_catalogue(catalogue, currencies=currencies, outlets=outlets, tiers=after.things["tier"])


async def _faults_under_bookings(connection: Connection, store: HotStore, buckets: int, plan: Plan) -> list[str]:
    """Find the changes of the plan that bookings forbid."""
    installed = await connection.fetchval("SELECT buckets FROM installation")
    if installed is not None and installed != buckets:
        return [f"this installation has {installed} buckets, the settings say {buckets}"]
    currencies = {each.thing: each for each in plan.changed if (each.kind, each.path) == ("business", "currency")}
    moved = {each.thing: each for each in plan.changed if (each.kind, each.path) == ("outlet", "business_id")}
    businesses, outlets = await booked(connection, store, installed or buckets, currencies.keys(), moved.keys())
    return [
        f"business {business}: its currency cannot change from {currencies[business].before} to"
        f" {currencies[business].after}: it has bookings in {place}. What bills in another currency is another"
        " business, with an id of its own"
        for business, place in sorted(businesses.items())
    ] + [
        f"outlet {outlet}: it cannot move from {moved[outlet].before} to {moved[outlet].after}: there are"
        " bookings at it. Give it another id there"
        for outlet in sorted(outlets)
    ]


async def _apply(connection: Connection, file: GroupFile, wanted: State, buckets: int, report: LoadReport) -> None:
    await apply_plan(connection, report.plan, wanted, buckets)
    touched = {thing for kind, thing in report.plan.added if kind == AGREEMENT}
    touched |= {change.thing for change in report.plan.changed if change.kind == AGREEMENT}
    agreements = {thing: definition for thing, definition in file.group.agreements.items() if thing in touched}
    refused = await add_agreements(connection, agreements, "group file")
    if refused:
        report.plan.refused += [f"agreement {each.detail}" for each in refused]
        raise LoadRefused(report.plan)


async def _refuse_levels_in_use(connection: Connection, plan: Plan) -> None:
    """Raise `LoadRefused` where a level would be retired that members are in."""
    retired = [tier for kind, tier in plan.retired if kind == "tier"]
    if not retired:
        return
    rows = await connection.fetch(
        "SELECT tier_id, count(*) AS members FROM member WHERE tier_id = ANY ($1) GROUP BY tier_id ORDER BY tier_id",
        retired,
    )
    plan.refused += [
        f"tier {row['tier_id']} cannot be retired: {row['members']} members are in it; load them with"
        " another level first"
        for row in rows
    ]
    if plan.refused:
        raise LoadRefused(plan)


def _batches(entries: Sequence[MemberEntry]) -> Iterator[list[Placed]]:
    for start in range(0, len(entries), BATCH_MEMBERS):
        part = entries[start : start + BATCH_MEMBERS]
        yield [Placed(f"members[{start + at}]", entry) for at, entry in enumerate(part)]


async def _count_lines(connection: Connection, path: Path | None, known: Known, report: MemberReport) -> None:
    """Count what the members of the file would change, in the transaction of a dry run that is rolled back."""
    assert path is not None
    for batch in MemberLines(path, known).batches():
        await store_members(connection, batch, report)
        await count_waiting(connection, batch, report)


async def _load_lines(
    lines: MemberLines, pool: Pool, store: HotStore, buckets: int, clock: Clock, report: MemberReport, say: Say
) -> None:
    told = 0
    for batch in lines.batches():
        async with pool.acquire() as connection, connection.transaction():
            await store_members(connection, batch, report)
        await open_members(batch, lines.known, pool, store, buckets, clock, report)
        if report.read - told >= TOLD_EVERY:
            told = report.read
            say(f"{report.read} members, {report.balances_issued} opening balances issued")
    report.faults += lines.faults  # the file was changed after it was checked
