"""Old months of the ledger, written to files and detached: `tong ledger archive`.

Guarantees:
  * A month leaves the ledger only after its files were flushed and read back, row by row the bytes of the chain, and
    the chain was found to hold up to there.
  * Rows, opening balances and the signed manifest change over in one transaction: audits and rebuilds see the month
    either in the ledger or in the archive. Killed at any point, nothing is lost; run again, it goes on.
  * Only whole months go, the oldest first, and only those of which nobody needs the rows any more: older than whatever
    the hot store remembers, sealed, read by every projection that is registered (its marks are its checkpoint), with no
    hold that is open and no redemption that was touched lately.
  * The partition is locked against readers and writers for the moment of the change only, and the wait for that moment
    is short (`LOCK_MILLISECONDS`) and repeated. DETACH … CONCURRENTLY would not be one transaction with the rest.
  * What is detached stays as tables `…_part_<n>` until `drop`, which verifies the files once more.

Late entries of an archived month get a partition again, and become a part of their own when that is archived.
Dead letters stay.
"""

import asyncio
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.domain.limits import HOLD_SECONDS_MAX, REDEMPTION_RETENTION_SECONDS, USES_SECONDS
from redemption.ledger.archive.export import ArchiveRefused, Export, Say, Tables, detached_names, last_places
from redemption.ledger.archive_files import check_files, read_manifest
from redemption.ledger.chain import QUERY_SECONDS, Place, SealKey
from redemption.ledger.manifest import ArchiveDamaged, Manifest, encoded, read_parts, signature
from redemption.ledger.store import PARTITIONED
from redemption.queries import named_queries

AGE_SECONDS: Final = max(REDEMPTION_RETENTION_SECONDS + HOLD_SECONDS_MAX, USES_SECONDS)
"""The least age of a month's end: until then the hot store may have records, keys and counters of it."""
LOCK_MILLISECONDS: Final = 500
LOCK_ATTEMPTS: Final = 120
LOCK_PAUSE_SECONDS: Final = 1.0


@dataclass(slots=True)
class MonthReport:
    """The result for a month, done or dry. `refused`: the reason why it cannot go yet."""

    month: datetime.date
    transactions: int = 0
    part: str | None = None
    refused: str | None = None


@dataclass(slots=True)
class ArchiveReport:
    """The result of an archive run, done or dry."""

    months: list[MonthReport] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    not_dropped: list[str] = field(default_factory=list)


class Archiver:
    """An archiver over one pool, with the key of the chain."""

    def __init__(self, pool: Pool, key: SealKey, *, say: Say, clock: Clock) -> None:
        self._pool = pool
        self._key = key
        self._say = say
        self._clock = clock
        self._queries = named_queries("ledger", "archive")

    async def archive(
        self, before: datetime.date, folder: Path, *, dry_run: bool = False, drop: bool = False
    ) -> ArchiveReport:
        """Archive the months before `before` (a first day), oldest first, until one cannot go.

        Raises `ArchiveRefused`, `ArchiveDamaged` and PostgreSQL's faults; call it again and it goes on.
        """
        report = ArchiveReport()
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(self._queries["lock"]):
                raise ArchiveRefused("another archive or restore is running")
            for row in await connection.fetch(self._queries["months"]):
                tables = Tables(row["month"])
                if tables.month >= before or not await self._rows(connection, tables.transactions):
                    continue
                found = await self._month(connection, tables, folder, dry_run=dry_run)
                report.months.append(found)
                if found.refused is not None:
                    break
            if drop and not dry_run:
                await self._drop(connection, folder, report)
        return report

    async def _rows(self, connection: Connection, table: str) -> int:
        count = self._queries["count"].format(table=f"public.{table}")
        return int(await connection.fetchval(count, timeout=QUERY_SECONDS))

    async def _month(self, connection: Connection, tables: Tables, folder: Path, *, dry_run: bool) -> MonthReport:
        report = MonthReport(tables.month, await self._rows(connection, tables.transactions))
        report.refused = await self._refusal(connection, tables)
        if report.refused is not None or dry_run:
            return report
        manifest = await Export(connection, self._key, tables, self._say).write(folder)
        report.part = manifest.name
        await self._detach(connection, tables, manifest)
        self._say(f"{manifest.name}: {manifest.transactions} transactions are out of the ledger")
        return report

    # These checks decide whether a month may go.

    async def _refusal(self, connection: Connection, tables: Tables) -> str | None:
        """Return why a month cannot go yet."""
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        oldest = now - datetime.timedelta(seconds=AGE_SECONDS)
        if tables.end > oldest:
            ready = tables.end + datetime.timedelta(seconds=AGE_SECONDS)
            return f"it is too young: the hot store may remember it until {ready:%Y-%m-%d}"
        seals = {row["bucket"]: Place(*row[2:5]) for row in await self._heads(connection)}
        projected: dict[int, list[tuple[str, Place]]] = {}
        for row in await connection.fetch(self._queries["projected"]):
            projected.setdefault(row["bucket"], []).append((row["name"], Place(*row[2:5])))
        for row in await last_places(connection, tables):
            last, bucket = Place(*row[1:4]), row["bucket"]
            if seals.get(bucket, Place(0, 0, 0)) < last:
                return f"bucket {bucket} is not sealed up to {last}: is `tong seal` running?"
            for name, mark in projected.get(bucket, ()):
                if mark < last:
                    return (
                        f"projection {name} has not read bucket {bucket} up to {last}: is `tong projector` running? "
                        "See `tong projections status`"
                    )
        touched = datetime.timedelta(seconds=REDEMPTION_RETENTION_SECONDS + HOLD_SECONDS_MAX)
        for name, moment, reason in (
            ("still_alive", now - touched, "had a step lately: its record may be needed in a rebuild"),
            ("still_held", None, "holds something and has no end: see `tong audit`"),
            ("begun_later", tables.end, "began in a later month by the hot store's clock, which stepped back"),
        ):
            query = self._queries[name].format(table=f"public.{tables.transactions}")
            subject = await connection.fetchval(query, *([] if moment is None else [moment]), timeout=QUERY_SECONDS)
            if subject is not None:
                return f"{subject} {reason}"
        return None

    async def _heads(self, connection: Connection) -> Sequence[Any]:
        buckets = [row["bucket"] for row in await connection.fetch("SELECT bucket FROM ledger_watermark")]
        found: Sequence[Any] = await connection.fetch(
            named_queries("ledger", "seal")["heads"], buckets, timeout=QUERY_SECONDS
        )
        return found

    # These steps take a month out of the ledger.

    async def _detach(self, connection: Connection, tables: Tables, manifest: Manifest) -> None:
        """Detach both partitions and write the manifest in one step."""
        for attempt in range(1, LOCK_ATTEMPTS + 1):
            try:
                async with connection.transaction():
                    await self._change_over(connection, tables, manifest)
                return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                if attempt % 10 == 1:
                    self._say(f"{manifest.name}: the ledger is being read; trying again")
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
        raise ArchiveRefused(f"{manifest.name} is written; its partition could not be locked: run the command again")

    async def _change_over(self, connection: Connection, tables: Tables, manifest: Manifest) -> None:
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
        # No entry comes into this month from here on; the others go on.
        await connection.execute(f"LOCK TABLE public.{tables.transactions}, public.{tables.postings} IN SHARE MODE")
        counted = (await self._rows(connection, tables.transactions), await self._rows(connection, tables.postings))
        if counted != (manifest.transactions, manifest.postings):
            raise ArchiveRefused(f"rows of {tables.month:%Y-%m} came in meanwhile: run the command again")
        text = encoded(manifest)
        await connection.execute(
            self._queries["write_part"], manifest.part, tables.month, text.decode(), signature(self._key, text)
        )
        # The locks are taken in the order in which a writer takes them.
        await connection.execute("LOCK TABLE ONLY ledger_transaction, ONLY ledger_posting_row IN ACCESS EXCLUSIVE MODE")
        names = zip(PARTITIONED, (tables.transactions, tables.postings), detached_names(manifest), strict=True)
        for parent, table, detached in names:
            await connection.execute(f"ALTER TABLE public.{parent} DETACH PARTITION public.{table}")
            await connection.execute(f"ALTER TABLE public.{table} RENAME TO {detached}")

    async def _drop(self, connection: Connection, folder: Path, report: ArchiveReport) -> None:
        """Drop detached tables whose part's files are whole."""
        kept = {row["relname"] for row in await connection.fetch(self._queries["kept_tables"])}
        for part in await read_parts(connection):
            manifest = part.manifest
            names = detached_names(manifest)
            if not kept.intersection(names):
                continue
            try:
                if read_manifest(folder / manifest.name)[1] != part.text:
                    raise ArchiveDamaged(f"{folder / manifest.name} is not the archive that the ledger knows")
                check_files(folder / manifest.name, manifest)
            except ArchiveDamaged as fault:
                report.not_dropped.append(f"{manifest.name}: {fault}")
                continue
            await drop_detached(connection, manifest)
            report.dropped.append(manifest.name)
            self._say(f"{manifest.name}: dropped")


async def drop_detached(connection: Connection, manifest: Manifest) -> None:
    """Drop the tables that were detached as a part, where they exist."""
    tables = ", ".join(f"public.{name}" for name in detached_names(manifest))
    await connection.execute(f"DROP TABLE IF EXISTS {tables}")
