"""Every projection against one computed afresh from the ledger; as a program a projector for tests that kill it.

`python -m tests.support.ledger.projections <dsn>` says "ready" and follows the ledger in small batches until stopped.
"""

import asyncio
import signal
import sys

from redemption.database import Pool, open_pool
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from tests.support.ledger.outlet_hours import OutletHours
from tests.support.ledger.outlet_hours import differences as outlet_hour_differences
from tests.support.settlement.settlement import differences as settlement_differences

BATCH = 7
TAKEOVER_SECONDS = 1.0

PURCHASES = """
WITH zone AS (SELECT time_zone AS name FROM installation), bill AS (
    SELECT member_id, business, currency, bill_amount_minor, occurred_at,
           to_char(occurred_at AT TIME ZONE zone.name, 'YYYYMM')::int AS month,
           EXISTS (SELECT FROM ledger_transaction AS back
                   WHERE back.subject_id = t.subject_id AND back.kind = 'reverse') AS reversed
    FROM ledger_transaction AS t CROSS JOIN zone WHERE kind = 'accrue' AND bill_amount_minor IS NOT NULL
), afresh AS (
    SELECT member_id, business, month, currency, count(*) FILTER (WHERE NOT reversed) AS purchases,
           coalesce(sum(bill_amount_minor) FILTER (WHERE NOT reversed), 0)::bigint AS amount_minor,
           min(occurred_at) AS first_at, max(occurred_at) AS last_at
    FROM bill GROUP BY 1, 2, 3, 4
)
SELECT (SELECT count(*) FROM (TABLE afresh EXCEPT TABLE member_purchases) AS missing)
     + (SELECT count(*) FROM (TABLE member_purchases EXCEPT TABLE afresh) AS surplus)
"""
VISITS = """
WITH afresh AS (
    SELECT DISTINCT member_id, (occurred_at AT TIME ZONE time_zone)::date AS day, outlet, business
    FROM ledger_transaction CROSS JOIN installation WHERE kind IN ('accrue', 'redeem', 'capture') AND outlet IS NOT NULL
)
SELECT (SELECT count(*) FROM (TABLE afresh EXCEPT TABLE member_visit) AS missing)
     + (SELECT count(*) FROM (TABLE member_visit EXCEPT TABLE afresh) AS surplus)
"""


async def differences(pool: Pool) -> list[str]:
    """Return what does not hold between the ledger and its projections, in sentences. Outlets' days are the group's."""
    counts = {
        "purchases": await pool.fetchval(PURCHASES),
        "visits": await pool.fetchval(VISITS),
        "outlet hours": await outlet_hour_differences(pool),
    }
    wrong = [f"{count} {name} are not those of the ledger" for name, count in counts.items() if count]
    return wrong + await settlement_differences(pool)


async def main(dsn: str) -> None:
    """Follow until SIGTERM."""
    pool = await open_pool(dsn)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    projections = (*registered_projections(), OutletHours())
    await Projector(
        pool,
        projections,
        batch_transactions=BATCH,
        catch_up_transactions=BATCH,
        takeover_seconds=TAKEOVER_SECONDS,
    ).follow(stop)
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
