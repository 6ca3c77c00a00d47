"""A projection of the test suite only: uses by outlet and hour, in one file with its migration.

`python -m tests.support.ledger.outlet_hours <dsn> [<rows>]` fills an empty ledger, a migrated database of its own, with
that many old rows (1 000 000), registers it and fills it while the shipped projections follow the ledger, which grows;
it ends with status 1 where the counter is not that of the ledger.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence

from redemption.database import Connection, Pool
from redemption.projections.projection import Projection
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from redemption.projections.rows import LedgerRow
from redemption.projections.status import read_status
from tests.support.settlement.settlement import BUSINESSES, Book, at, group_pool

MIGRATION = """
CREATE TABLE test_outlet_hour (
    outlet text, hour timestamptz, uses bigint NOT NULL, PRIMARY KEY (outlet, hour)
);
SELECT projection_register('test_outlet_hours');
"""
ROWS = 1_000_000
BUCKETS = 8


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"{text}\n")


class OutletHours(Projection):
    """Counts redemptions and captures by outlet and hour (UTC)."""

    name = "test_outlet_hours"

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        counts = Counter(
            (row.outlet, row.occurred_at.replace(minute=0, second=0, microsecond=0))
            for row in rows
            if row.kind in ("redeem", "capture") and row.outlet is not None
        )
        taken = sorted((outlet, hour, count) for (outlet, hour), count in counts.items() if outlet is not None)
        await connection.execute(
            "INSERT INTO test_outlet_hour SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::bigint[])"
            " ON CONFLICT (outlet, hour) DO UPDATE SET uses = test_outlet_hour.uses + excluded.uses",
            *(list(column) for column in zip(*taken, strict=True)) if taken else ([], [], []),
        )


async def differences(pool: Pool) -> int:
    """Count outlets and hours whose counter is not the one computed afresh from the ledger."""
    return int(
        await pool.fetchval(
            """
            SELECT count(*) FROM test_outlet_hour AS kept FULL JOIN (
                SELECT outlet, date_trunc('hour', occurred_at, 'UTC') AS hour, count(*) AS uses
                FROM ledger_transaction WHERE kind IN ('redeem', 'capture') AND outlet IS NOT NULL GROUP BY 1, 2
            ) AS afresh USING (outlet, hour) WHERE kept.uses IS DISTINCT FROM afresh.uses
            """
        )
    )


async def add_redemptions(book: Book, first: int, count: int) -> None:
    """Write redemptions of points over the buckets, some of them days apart, in batches of 5 000."""
    for number in range(first, first + count):
        business = BUSINESSES[number % len(BUSINESSES)]
        moves = [("points", "202912.hotel", "A", "R", 1 + number % 900)]
        leg = {"kind": "points", "points": 1 + number % 900, "value_minor": 10}
        when = at("2026-11-01T00:00") + number % (20 * 86_400)
        book.add("redeem", f"rdm_{number}", business, moves, when, legs=[leg], bucket=number % BUCKETS)
        if (number + 1) % 5_000 == 0:
            await book.flush()
    await book.flush()


async def main(dsn: str, rows: int) -> int:
    """Fill, register, follow; print what was seen. Returns the exit status."""
    async with group_pool(dsn) as pool:
        book = Book(pool)
        await add_redemptions(book, 0, rows)
        await Projector(pool, registered_projections()).run(say)
        await pool.execute(MIGRATION)
        stop, most, longest, written = asyncio.Event(), 0, 0.0, rows
        following = asyncio.create_task(Projector(pool, (*registered_projections(), OutletHours())).follow(stop))
        while True:
            await add_redemptions(book, written, 100)
            written += 100
            await asyncio.sleep(1)
            status = {each.name: each for each in await read_status(pool)}
            for each in status.values():
                if each.name != OutletHours.name:
                    most, longest = max(most, each.buckets_behind), max(longest, each.lag_seconds)
            if not status[OutletHours.name].buckets_behind:
                break
        stop.set()
        await following
        await Projector(pool, (OutletHours(),)).run()
        wrong = await differences(pool)
        say(f"{written} rows; {wrong} differences of outlets and hours")
        say(f"the others meanwhile: at most {most} of {BUCKETS} buckets and {longest:.1f} s behind")
        return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else ROWS)))
