"""Members and their opening balances, loaded into both stores in batches.

Guarantees: repeating it issues nothing twice. A member's opening balance is one issue with an id of its own
(`iss_opening_<member>`): the hot store knows the id for 30 days, `member.opened_at` and the ledger for ever, and a
member without `opened_at` is looked up in the ledger before anything is issued. A batch is bounded, so memory is. What
the stores refuse of one member is reported with its place; the others go on.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from redemption.configuration.group import MemberEntry, faults_of_member, masked
from redemption.configuration.state import State
from redemption.database import Connection, Pool
from redemption.domain import members
from redemption.domain.clock import Clock
from redemption.domain.limits import MEMBER_NAME_CHARACTERS_MAX
from redemption.domain.outcomes import Outcome
from redemption.domain.redemptions import BENEFIT_PREFIX
from redemption.hot import keys
from redemption.hot.store import HotStore

BATCH_MEMBERS: Final = 1_000
MEMBERS_IN_FLIGHT_MAX: Final = 500
"""Members in flight, each with two calls: many at once share a write to disk of the hot store."""
CALL_SECONDS: Final = 10.0

_STORE_MEMBERS: Final = """
INSERT INTO member (member_number, member_id, tier_id, display_name)
SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[])
ON CONFLICT (member_number) DO UPDATE SET tier_id = excluded.tier_id, display_name = excluded.display_name
WHERE (member.tier_id, member.display_name) IS DISTINCT FROM (excluded.tier_id, excluded.display_name)
RETURNING member_number, xmax = 0 AS fresh
"""


class Placed(NamedTuple):
    """A member of a file and its place there: `members[3]`, `line 17`."""

    place: str
    entry: MemberEntry


@dataclass(frozen=True, slots=True)
class Known:
    """Things that members may name: levels, the currency of each business, who grants each benefit, the group's
    zone."""

    tiers: frozenset[str]
    currencies: Mapping[str, str]
    grantors: Mapping[str, str]
    zone: ZoneInfo

    @classmethod
    def of(cls, state: State) -> "Known":
        """Return the things of a configuration in force."""
        assert state.installation is not None
        return cls(
            frozenset(state.things["tier"]),
            {business: row["currency"] for business, row in state.things["business"].items()},
            {benefit: row["definition"]["granted_by"] for benefit, row in state.things["benefit"].items()},
            ZoneInfo(state.installation["time_zone"]),
        )

    def faults_of(self, entry: MemberEntry) -> Iterator[str]:
        """Find what a member names that is missing here, or has too much of."""
        return faults_of_member(entry, self.tiers, self.currencies, self.grantors)


@dataclass(slots=True)
class MemberReport:
    """The result of loading members. `faults` are sentences with the place in the file."""

    read: int = 0
    new: int = 0
    changed: int = 0
    balances_issued: int = 0
    balances_waiting: int = 0
    """Opening balances that a dry run found not issued yet."""
    faults: list[str] = field(default_factory=list)


async def store_members(connection: Connection, batch: Sequence[Placed], report: MemberReport) -> None:
    """Write members to PostgreSQL, in the caller's transaction: the new ones, and those whose level or name differs."""
    rows = await connection.fetch(
        _STORE_MEMBERS,
        [each.entry.number for each in batch],
        [members.member_id(each.entry.number) for each in batch],
        [each.entry.tier for each in batch],
        [masked(each.entry.name)[:MEMBER_NAME_CHARACTERS_MAX] for each in batch],
    )
    fresh = sum(row["fresh"] for row in rows)
    report.new += fresh
    report.changed += len(rows) - fresh
    report.read += len(batch)


async def count_waiting(connection: Connection, batch: Sequence[Placed], report: MemberReport) -> None:
    """Count the opening balances of stored members that were not issued yet."""
    holders = [each.entry.number for each in batch if _holds_anything(each.entry)]
    report.balances_waiting += await connection.fetchval(
        "SELECT count(*) FROM member WHERE member_number = ANY ($1) AND opened_at IS NULL", holders
    )


async def open_members(
    batch: Sequence[Placed], known: Known, pool: Pool, store: HotStore, buckets: int, clock: Clock, report: MemberReport
) -> None:
    """Put stored members into the hot store, and issue the opening balances that were not issued before."""
    rows = {
        row["member_number"]: row
        for row in await pool.fetch(
            "SELECT member_number, display_name, status, opened_at IS NOT NULL AS opened FROM member"
            " WHERE member_number = ANY ($1)",
            [each.entry.number for each in batch],
        )
    }
    waiting = [each for each in batch if not rows[each.entry.number]["opened"] and _holds_anything(each.entry)]
    issued_before = await _issued_before(pool, [each.entry.number for each in waiting])
    to_issue = {each.entry.number for each in waiting} - issued_before
    opened: list[int] = list(issued_before)
    work = iter(batch)

    async def carry() -> None:
        for place, entry in work:
            fault = await _carry(entry, rows[entry.number], entry.number in to_issue, known, store, buckets, clock)
            if fault is not None:
                report.faults.append(f"{place}: member {entry.number}: {fault}")
            elif entry.number in to_issue:
                opened.append(entry.number)
                report.balances_issued += 1

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(MEMBERS_IN_FLIGHT_MAX, len(batch))):
                tasks.create_task(carry())
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None  # the hot store went away, and one fault is enough to report it
    finally:
        await pool.execute("UPDATE member SET opened_at = now() WHERE member_number = ANY ($1)", opened)


def _holds_anything(entry: MemberEntry) -> bool:
    return bool(entry.points or entry.benefits or entry.stored_value)


async def _issued_before(pool: Pool, numbers: Sequence[int]) -> set[int]:
    """Return the members whose opening balance is in the ledger, of a load that ended before it could note so."""
    if not numbers:
        return set()
    ids = {_issue_id(members.member_id(number)): number for number in numbers}
    rows = await pool.fetch("SELECT subject_id FROM ledger_transaction WHERE subject_id = ANY ($1)", list(ids))
    return {ids[row["subject_id"]] for row in rows}


def _issue_id(member_id: str) -> str:
    return f"iss_opening_{member_id.removeprefix(members.MEMBER_PREFIX)}"


async def _carry(
    entry: MemberEntry, row: Any, issue: bool, known: Known, store: HotStore, buckets: int, clock: Clock
) -> str | None:
    """Load one member into the hot store. Returns the reason where it is refused."""
    member_id = members.member_id(entry.number)
    bucket = members.bucket_of(entry.number, buckets)
    upserted = store.call(
        "upsert_member",
        member=keys.member(bucket, member_id),
        tier=entry.tier,
        name=row["display_name"],
        status=row["status"],
        deadline_seconds=CALL_SECONDS,
    )
    if not issue:
        await upserted
        return None
    issue_id = _issue_id(member_id)
    lots = _opening_lots(entry, known, clock())
    issued = store.call(
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
    # Both are sent at once, in this order, on one connection; neither needs the other's answer.
    reply: list[Any] = (await asyncio.gather(upserted, issued))[1]
    if reply[1] == Outcome.UNAVAILABLE:
        return f"bucket {bucket} is frozen until it is rebuilt"
    return None if reply[1] == 0 else "more lots or points than a member may have"


def month_after(moment: float, months: int, time_zone: ZoneInfo) -> int:
    """Return yyyymm of the month `months` after that of `moment`."""
    here = datetime.fromtimestamp(moment, time_zone)
    index = here.year * 12 + here.month - 1 + months
    return index // 12 * 100 + index % 12 + 1


def _opening_lots(entry: MemberEntry, known: Known, moment: float) -> Counter[str]:
    """Return a member's opening lots: `<asset>/<lot>` to amount."""
    lots: Counter[str] = Counter()
    for lot in entry.points:
        lots[f"points/{month_after(moment, lot.expires_in_months, known.zone)}.{lot.business}"] += lot.points
    for grant in entry.benefits:
        month = month_after(moment, grant.expires_in_months, known.zone)
        lots[f"{BENEFIT_PREFIX}{grant.benefit}/{month}.{known.grantors[grant.benefit]}"] += grant.uses
    for paid_in in entry.stored_value:
        lots[f"{known.currencies[paid_in.business]}/-.{paid_in.business}"] += paid_in.amount_minor
    return lots
