"""A dispute on a line, and its end: a correcting line in an open period, or none where the line is confirmed.

Guarantees: the disputed line never changes. The correction is a line of the same two businesses with the difference, so
both views of the pair stay equal and opposite; it goes to the month it is written in, or the first open one. A line has
at most one open dispute. A return that is settled after the correction gives the corrected amount back.
"""

import datetime
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.projections.projector import LOCK_WAIT_RATIO, TAKEOVER_SECONDS
from redemption.queries import named_queries
from redemption.settlement.agreements import read_places
from redemption.settlement.definitions import AgreementDefinition
from redemption.settlement.lines import Line, month_after, month_of
from redemption.settlement.rating import tax_of

DISPUTES_LISTED_MAX: Final = 10_000
TEXT_CHARACTERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute; resolved where `resolved_at` is set, with a correction or without."""

    dispute_id: str
    line_id: str
    raised_by: str
    reason: str
    opened_by: str
    opened_at: datetime.datetime
    correction_id: str | None
    note: str | None
    resolved_by: str | None
    resolved_at: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class DisputeRefused:
    """Nothing was done: the reason as a word and a sentence."""

    reason: Literal["not_found", "not_a_party", "own_use", "disputed_already", "resolved_already", "not_well_formed"]
    detail: str


class Disputes:
    """Disputes over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._queries = named_queries("settlement", "disputes")

    async def open(self, line_id: str, raised_by: str, reason: str, opened_by: str) -> Dispute | DisputeRefused:
        """Open a dispute. `raised_by` is one of the line's two businesses. A repeat answers the open dispute."""
        if not 0 < len(reason) <= TEXT_CHARACTERS_MAX:
            return DisputeRefused("not_well_formed", f"a reason has 1 to {TEXT_CHARACTERS_MAX} characters")
        async with self._pool.acquire() as connection, connection.transaction():
            await self._lock(connection, line_id)
            line = await connection.fetchrow(self._queries["parties"], line_id)
            if line is None:
                return DisputeRefused("not_found", f"there is no line {line_id}")
            if raised_by not in (line["issuer"], line["acceptor"]):
                return DisputeRefused("not_a_party", f"{raised_by} is no side of {line_id}")
            if line["issuer"] == line["acceptor"]:
                return DisputeRefused("own_use", f"{line_id} is a business's own use: nothing is owed")
            standing = await connection.fetchval(self._queries["open_of_line"], line_id)
            if standing is not None:
                found = await self._one(connection, standing)
                if (found.raised_by, found.reason) == (raised_by, reason):
                    return found
                return DisputeRefused("disputed_already", f"{line_id} is disputed in {standing}")
            number = await connection.fetchval(self._queries["count_of_line"], line_id) + 1
            dispute_id = f"dsp_{line_id}-{number}"
            await connection.execute(
                self._queries["open_dispute"], dispute_id, line_id, raised_by, reason, opened_by, self._now()
            )
            return await self._one(connection, dispute_id)

    async def resolve(
        self, dispute_id: str, amount_minor: int | None, note: str, resolved_by: str
    ) -> Dispute | DisputeRefused:
        """End a dispute: from now on the line counts as `amount_minor` before tax; None confirms it.

        Tax follows at the rate of the line's agreement version. A repeat answers the dispute as it was resolved.

        Tax follows at the rate of the line's agreement version. The same again answers the dispute as it was resolved.
        """
        if not 0 < len(note) <= TEXT_CHARACTERS_MAX:
            return DisputeRefused("not_well_formed", f"a note has 1 to {TEXT_CHARACTERS_MAX} characters")
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetchrow(self._queries["dispute"], dispute_id)
            if found is None:
                return DisputeRefused("not_found", f"there is no dispute {dispute_id}")
            await self._lock(connection, found["line_id"])
            standing = await self._one(connection, dispute_id)
            if standing.resolved_at is not None:
                if standing.note == note and await self._ended_so(connection, standing, amount_minor):
                    return standing
                return DisputeRefused("resolved_already", f"{dispute_id} was resolved by {standing.resolved_by}")
            correction = None
            if amount_minor is not None:
                correction = await self._correction(connection, standing, amount_minor)
            if correction is not None:
                await connection.copy_records_to_table(
                    "settlement_line", records=[correction], columns=list(Line._fields)
                )
            await connection.execute(
                self._queries["resolve"],
                dispute_id,
                correction.line_id if correction else None,
                note,
                resolved_by,
                self._now(),
            )
            return await self._one(connection, dispute_id)

    async def listed(self, *, resolved: bool = False) -> list[Dispute]:
        """Return the open disputes, oldest first; with `resolved`, all. At most DISPUTES_LISTED_MAX."""
        rows = await self._pool.fetch(self._queries["listed"], resolved, DISPUTES_LISTED_MAX)
        return [Dispute(*row) for row in rows]

    async def _ended_so(self, connection: Connection, dispute: Dispute, amount_minor: int | None) -> bool:
        """Return whether a resolved dispute ended with the line at this amount; None: confirmed."""
        if amount_minor is None or dispute.correction_id is None:
            return (amount_minor is None) == (dispute.correction_id is None)
        stood = await connection.fetchval(self._queries["amount_through"], dispute.line_id, dispute.correction_id)
        return bool(stood == amount_minor)

    async def _lock(self, connection: Connection, line_id: str) -> None:
        idle_ms = int(TAKEOVER_SECONDS * 1000)
        lock_ms = int(idle_ms * LOCK_WAIT_RATIO)
        await connection.fetch(self._queries["limit_transaction"], f"{lock_ms}ms", f"{idle_ms}ms")
        await connection.fetch(self._queries["lock_line"], line_id)

    async def _one(self, connection: Connection, dispute_id: str) -> Dispute:
        row: Any = await connection.fetchrow(self._queries["dispute"], dispute_id)
        return Dispute(*row)

    async def _correction(self, connection: Connection, dispute: Dispute, amount_minor: int) -> Line | None:
        """Return the line that makes up the difference; None where there is no difference."""
        row: Any = await connection.fetchrow(self._queries["line"], dispute.line_id)
        line = Line(*row)
        stands: Any = await connection.fetchrow(self._queries["corrected"], line.line_id, line.subject_id)
        definition = msgspec.convert(
            await connection.fetchval(self._queries["definition"], line.agreement_id, line.agreement_version),
            AgreementDefinition,
        )
        amount = amount_minor - stands["amount_minor"]
        tax = tax_of(definition, amount_minor) - stands["tax_minor"]
        if amount == tax == 0:
            return None
        closed_through = await connection.fetchval(self._queries["hold_books"])
        now = self._now()
        day = (await read_places(connection)).local_day(line.outlet, now)
        return line._replace(
            line_id=dispute.dispute_id.replace("dsp_", "stc_", 1),
            kind="correction",
            units=0,
            face_value_minor=0,
            amount_minor=amount,
            tax_minor=tax,
            reference=line.line_id,
            belongs_to=None,
            occurred_at=now,
            local_day=day,
            period_month=max(month_of(day), month_after(closed_through)) if closed_through else month_of(day),
        )

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
