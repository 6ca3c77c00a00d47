"""Settlement lines: a projection of the ledger, and `Production`, which runs it alone.

Guarantees: the lines and exceptions of a batch and the mark behind them are committed in one transaction, by the
projector (redemption/projections/projector.py). A batch holds the books' row shared: a month cannot close between
choosing a line's period and writing it. Exceptions are tried again once for every newer agreement. Does not guarantee
to see what the ledger does not have yet: that is late then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redemption.database import Connection, Pool
from redemption.domain.contexts import legs_of
from redemption.projections.projection import Projection
from redemption.projections.projector import BATCH_TRANSACTIONS, TAKEOVER_SECONDS, Pace, Projector, Say, silent
from redemption.projections.rows import LedgerRow
from redemption.queries import named_queries
from redemption.settlement.agreements import read_agreements, read_places
from redemption.settlement.lines import Key, Line, Original, Unsettled, originals_of, settle
from redemption.settlement.uses import Use, uses_of

EXCEPTION_COLUMNS: Final = (*Use._fields, "reason", "tried_serial")


@dataclass(slots=True)
class Produced:
    """The result of a run: ledger transactions read, lines and exceptions written, exceptions that got their line."""

    transactions: int = 0
    lines: int = 0
    exceptions: int = 0
    exceptions_settled: int = 0


class SettlementLines(Projection):
    """Settlement lines and exceptions of the ledger's uses. `produced` counts what was written, committed or not."""

    name = "settlement_lines"

    def __init__(self, *, retry_transactions: int = BATCH_TRANSACTIONS) -> None:
        self.produced = Produced()
        self._retry_transactions = retry_transactions
        self._queries = named_queries("settlement", "production")

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        closed_through = await connection.fetchval(self._queries["hold_books"])
        uses = await self._uses(connection, rows)
        if not uses:
            return
        agreements = await read_agreements(connection)
        originals = await self._originals(connection, uses)
        lines, unsettled = settle(uses, agreements, originals, closed_through)
        await self._write(connection, lines, unsettled, agreements.serial)
        self.produced.lines += len(lines)
        self.produced.exceptions += len(unsettled)

    async def _uses(self, connection: Connection, rows: Sequence[LedgerRow]) -> list[Use]:
        """Return the uses of these transactions, in order."""
        taken = [row for row in rows if any("R" in (move.source, move.target) for move in row.moves)]
        captured = [row.subject_id for row in taken if row.kind == "capture"]
        held_legs: dict[str, object] = {}
        if captured:
            for row in await connection.fetch(self._queries["legs_of_holds"], captured):
                held_legs[row["subject_id"]] = legs_of(row)
        places = await read_places(connection) if taken else None
        uses: list[Use] = []
        for each in taken:
            assert places is not None
            legs = held_legs.get(each.subject_id) if each.kind == "capture" else each.legs
            uses += uses_of(each, legs, places)
        return uses

    async def _originals(self, connection: Connection, uses: Sequence[Use]) -> dict[Key, Original]:
        subjects = sorted({use.subject_id for use in uses if use.units < 0})
        if not subjects:
            return {}
        rows = await connection.fetch(self._queries["lines_of_subjects"], subjects)
        return originals_of(Line(*row) for row in rows)

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        if lines:
            await connection.copy_records_to_table("settlement_line", records=lines, columns=list(Line._fields))
        if unsettled:
            await connection.copy_records_to_table(
                "settlement_exception",
                records=[(*use, reason, serial) for use, reason in unsettled],
                columns=list(EXCEPTION_COLUMNS),
            )

    async def buckets_to_retry(self, connection: Connection) -> Sequence[int]:
        serial = await connection.fetchval(named_queries("settlement", "agreements")["latest_serial"])
        return [row["bucket"] for row in await connection.fetch(self._queries["buckets_with_exceptions"], serial)]

    async def retry(self, connection: Connection, bucket: int) -> bool:
        """Retry a batch of a bucket's exceptions. Returns False where all were tried with this state."""
        closed_through = await connection.fetchval(self._queries["hold_books"])
        agreements = await read_agreements(connection)
        batch = self._retry_transactions
        rows: Sequence[Any] = await connection.fetch(self._queries["open_exceptions"], bucket, agreements.serial, batch)
        if not rows:
            return False
        uses = [Use(*row) for row in rows]
        lines, unsettled = settle(uses, agreements, await self._originals(connection, uses), closed_through)
        await self._write(connection, lines, (), agreements.serial)
        await connection.execute(self._queries["exceptions_settled"], [line.line_id for line in lines])
        await connection.execute(
            self._queries["exceptions_tried"],
            [item.use.line_id for item in unsettled],
            [item.reason for item in unsettled],
            agreements.serial,
        )
        self.produced.exceptions_settled += len(lines)
        self.produced.lines += len(lines)
        return True


class Production:
    """A run of the settlement alone, over one pool of `redemption.database.open_pool`. Several may run at once."""

    def __init__(
        self,
        pool: Pool,
        *,
        batch_transactions: int = BATCH_TRANSACTIONS,
        takeover_seconds: float = TAKEOVER_SECONDS,
        lines: SettlementLines | None = None,
    ) -> None:
        self._lines = lines or SettlementLines(retry_transactions=batch_transactions)
        self._projector = Projector(
            pool, (self._lines,), batch_transactions=batch_transactions, takeover_seconds=takeover_seconds
        )

    async def run(self, say: Say = silent, pace: Pace | None = None) -> Produced:
        """Settle what the ledger has now (with a `pace`: bucket by bucket) and retry exceptions after a new agreement.

        Raises PostgreSQL's faults; nothing is lost or done twice by calling it again.
        """
        self._lines.produced = produced = Produced()
        produced.transactions = await self._projector.run(say, pace)
        return produced
