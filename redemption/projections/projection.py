"""The contract between the projector and a projection."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from redemption.database import Connection
from redemption.projections.rows import LedgerRow


class Projection(ABC):
    """Something made of the ledger's rows, in tables of its own.

    `name` is registered by the migration that makes its tables (`SELECT projection_register('<name>')`). The result may
    depend on the rows and their order in a bucket only, not on how they are cut into batches or how buckets interleave:
    that is what makes it equal to one computed afresh. Two processes may apply rows of different buckets at once; rows
    that both update are locked in one order (sorted).
    """

    name: str

    @abstractmethod
    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        """Write what follows from rows of one bucket, given once and in order, in the transaction of the mark."""

    async def buckets_to_retry(self, connection: Connection) -> Sequence[int]:
        """Return the buckets in which rows applied before are to be looked at again."""
        return ()

    async def retry(self, connection: Connection, bucket: int) -> bool:
        """Look at a batch of them again, under the lock of the mark. Returns False where nothing is left."""
        return False
