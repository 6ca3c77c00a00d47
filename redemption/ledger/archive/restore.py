"""The latest archived month, put back into the ledger: `tong ledger restore`.

Guarantees: files and manifest are verified before, the chain over PostgreSQL's rows after, all in
front of the commit; rows come back and opening balances go in one transaction. Killed at any point the month is either
archived or in the ledger, whole. Writers and readers are not waited for.
"""

from pathlib import Path
from typing import Final

from redemption.database import Connection, Pool
from redemption.ledger.archive.archiving import drop_detached
from redemption.ledger.archive.export import ArchiveRefused, Say
from redemption.ledger.archive_files import check_files, read_manifest, unpacked
from redemption.ledger.chain import QUERY_SECONDS, Place, SealKey, all_links
from redemption.ledger.entries import TRANSACTION_COLUMNS
from redemption.ledger.manifest import FORMAT, ArchiveDamaged, BucketPart, Manifest, Segment, read_parts
from redemption.queries import named_queries

COLUMNS_OF_FORMAT_1: Final = ["occurred_us", *TRANSACTION_COLUMNS[1:-2], "context"]


class Restorer:
    """A restorer over one pool, with the key of the chain."""

    def __init__(self, pool: Pool, key: SealKey, *, say: Say) -> None:
        self._pool = pool
        self._key = key
        self._say = say
        self._queries = named_queries("ledger", "archive")

    async def restore(self, folder: Path) -> Manifest:
        """Put back the last part.

        Raises `ArchiveRefused` where there is none, `ArchiveDamaged` where its files were changed, and PostgreSQL's
        faults; then nothing was changed.
        """
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(self._queries["lock"]):
                raise ArchiveRefused("another archive or restore is running")
            parts = await read_parts(connection)
            if not parts:
                raise ArchiveRefused("nothing is archived")
            manifest, name = parts[-1].manifest, parts[-1].manifest.name
            if not parts[-1].signed_with(self._key):
                raise ArchiveDamaged(f"the manifest of {name} is not signed with this key")
            if read_manifest(folder / name)[1] != parts[-1].text:
                raise ArchiveDamaged(f"{folder / name} is not the archive that the ledger knows as {name}")
            check_files(folder / name, manifest)
            # It has its own transaction, so that it exists before it is needed, and late entries of the month do not
            # wait.
            await connection.execute(named_queries("ledger", "writer")["ensure_month"], manifest.first_day)
            async with connection.transaction():
                await self._put_back(connection, folder / name, manifest)
        return manifest

    async def _put_back(self, connection: Connection, folder: Path, manifest: Manifest) -> None:
        await connection.execute(self._queries["stage"])
        transaction_columns = None if manifest.format == FORMAT else COLUMNS_OF_FORMAT_1
        for part in manifest.buckets:
            for file, table, columns, query in (
                (part.transactions, "staged_transaction", transaction_columns, "unstage_transactions"),
                (part.postings, "staged_posting", None, "unstage_postings"),
            ):
                source = unpacked(folder / file.name)
                await connection.copy_to_table(
                    table, source=source, columns=columns, format="text", timeout=QUERY_SECONDS
                )
                await connection.execute(self._queries[query], timeout=QUERY_SECONDS)
            self._say(f"{manifest.name}: bucket {part.bucket}, {part.transactions.rows} transactions are back")
        for part in manifest.buckets:
            for segment in part.segments:
                await self._check(connection, part, segment)
        await connection.execute(self._queries["remove_part"], manifest.part)
        for query in ("clear_balances", "clear_members"):
            await connection.execute(self._queries[query], manifest.part, timeout=QUERY_SECONDS)
        await drop_detached(connection, manifest)

    async def _check(self, connection: Connection, part: BucketPart, segment: Segment) -> None:
        """Check the chain over the rows that PostgreSQL has now."""
        mac, rows = bytes.fromhex(segment.before), 0
        just_before = Place(segment.epoch, segment.first[0], segment.first[1] - 1)
        async for batch in all_links(connection, part.bucket, just_before, segment.ends):
            for link in batch:
                mac, rows = self._key.next(mac, link.content), rows + 1
        if (mac.hex(), rows) != (segment.after, segment.rows):
            raise ArchiveDamaged(f"bucket {part.bucket}: the rows put back are not those of the chain")
