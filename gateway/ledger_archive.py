"""`tong ledger archive`, `restore`, `parts`: composed from the settings.

Results go to standard output, progress to standard error.
"""

import datetime
import sys
from pathlib import Path

from gateway.ledger_audit import progress, write
from gateway.ledger_seal import ledger_pool
from gateway.settings import Settings
from redemption.domain.clock import system_clock
from redemption.ledger.archive import Archiver, MonthReport
from redemption.ledger.archive_restore import Restorer
from redemption.ledger.chain import read_seal_key
from redemption.ledger.manifest import read_parts

DONE = 0
NOT_ALL = 1


async def archive(settings: Settings, before: datetime.date, folder: Path, *, dry_run: bool, drop: bool) -> int:
    """The exit status: 1 where a month cannot go yet or a detached one cannot be dropped."""
    key = read_seal_key(settings.seal_key_path())
    pool = await ledger_pool(settings, "tong-archive")
    try:
        archiver = Archiver(pool, key, say=progress, clock=system_clock)
        report = await archiver.archive(before, folder, dry_run=dry_run, drop=drop)
    finally:
        await pool.close()
    for month in report.months:
        write(_told(month))
    for name in report.dropped:
        write(f"{name} dropped: its rows are in {folder / name} only")
    for reason in report.not_dropped:
        write(f"not dropped: {reason}")
    if not report.months:
        write(f"no month before {before:%Y-%m} has rows in the ledger")
    refused = any(month.refused is not None for month in report.months)
    return NOT_ALL if refused or report.not_dropped else DONE


def _told(month: MonthReport) -> str:
    what = f"{month.month:%Y-%m}: {month.transactions} transactions"
    if month.refused is not None:
        return f"{what} stay: {month.refused}"
    return f"{what} archived as {month.part}" if month.part else f"{what} would be archived"


async def restore(settings: Settings, folder: Path) -> int:
    """The exit status. Raises what keeps it from running."""
    key = read_seal_key(settings.seal_key_path())
    pool = await ledger_pool(settings, "tong-archive")
    try:
        manifest = await Restorer(pool, key, say=progress).restore(folder)
    finally:
        await pool.close()
    write(f"{manifest.name}: {manifest.transactions} transactions are back in the ledger")
    return DONE


async def listed(settings: Settings) -> int:
    """A line a part."""
    pool = await ledger_pool(settings, "tong-archive")
    try:
        async with pool.acquire() as connection:
            parts = await read_parts(connection)
    finally:
        await pool.close()
    for part in parts:
        manifest = part.manifest
        write(
            f"{manifest.name}  {manifest.transactions} transactions  {manifest.postings} postings"
            f"  {len(manifest.buckets)} buckets  key {manifest.key_id}"
        )
    sys.stdout.flush()
    return DONE
