"""The status of every registered projection, and the beginning of one that was registered after an archive."""

import datetime
from dataclasses import dataclass

from redemption.database import Pool
from redemption.queries import named_queries


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """One projection: buckets of the ledger that it has not read to their end, and the age of the oldest row unread.

    `begun_at` is None where nobody has decided how it begins; `complete_from` is the first month that it knows, None
    for all of the ledger; `stopped_because` says why it is stopped by itself.
    """

    name: str
    begun_at: datetime.datetime | None
    complete_from: datetime.date | None
    stopped_at: datetime.datetime | None
    stopped_because: str | None
    buckets_behind: int
    lag_seconds: float


async def read_status(pool: Pool) -> list[ProjectionStatus]:
    """Return the status of every projection, by name."""
    rows = await pool.fetch(named_queries("projections", "projector")["status"])
    return [ProjectionStatus(*row) for row in rows]


async def begin(pool: Pool, name: str) -> bool:
    """Let a projection begin with what is in the ledger now. Returns False where it has begun, or is unknown."""
    return await pool.fetchval(named_queries("projections", "projector")["begin"], name) is not None
