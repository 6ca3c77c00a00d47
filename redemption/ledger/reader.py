"""Look-ups in the ledger for the till and the back office. Always a moment behind the hot store."""

from redemption.database import FAULTS, Pool
from redemption.queries import named_queries


class LedgerAway(Exception):
    """PostgreSQL did not answer."""


class LedgerReader:
    """Reads over one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("ledger", "reader")

    async def redemptions_of_bill(self, business_id: str, reference: str, limit: int) -> list[str]:
        """Ids of the redemptions of a business for a bill's reference, newest first. Raises `LedgerAway`."""
        try:
            rows = await self._pool.fetch(
                self._queries["redemptions_of_bill"], business_id, reference, limit, timeout=2.0
            )
        except FAULTS as fault:
            raise LedgerAway(type(fault).__name__) from fault
        return [row["subject_id"] for row in rows]
