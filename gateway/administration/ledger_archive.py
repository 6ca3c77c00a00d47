"""`tong ledger archive`, `restore`, `parts`: composed from the settings.

Results go to standard output, progress to standard error.
"""

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.administration.ledger_audit import progress
from gateway.formats.printing import show, table
from gateway.settings import Settings
from gateway.workers.sealer import ledger_pool
from redemption.domain.clock import system_clock
from redemption.ledger.archive.archiving import Archiver, ArchiveReport, MonthReport
from redemption.ledger.archive.export import ArchiveRefused
from redemption.ledger.archive.restore import Restorer
from redemption.ledger.chain import read_seal_key
from redemption.ledger.manifest import Manifest, read_parts

DONE = 0
NOT_ALL = 1


async def archive(
    settings: Settings, before: datetime.date, folder: Path, *, dry_run: bool, drop: bool
) -> ArchiveReport:
    """Archive the months before this one, or say what would be archived."""
    key = read_seal_key(settings.seal_key_path())
    pool = await ledger_pool(settings, "tong-archive")
    try:
        archiver = Archiver(pool, key, say=progress, clock=system_clock)
        return await archiver.archive(before, folder, dry_run=dry_run, drop=drop)
    finally:
        await pool.close()


def archive_lines(report: ArchiveReport, before: datetime.date, folder: Path) -> list[str]:
    """Return the result of an archive run, line by line."""
    lines = [_month_line(month) for month in report.months]
    lines += [f"{name} dropped: its rows are in {folder / name} only" for name in report.dropped]
    lines += [f"not dropped: {reason}" for reason in report.not_dropped]
    return lines if report.months else [*lines, f"no month before {before:%Y-%m} has rows in the ledger"]


def archive_status(report: ArchiveReport) -> int:
    """Return the exit status: 1 where a month cannot go yet or a detached one cannot be dropped."""
    refused = any(month.refused is not None for month in report.months)
    return NOT_ALL if refused or report.not_dropped else DONE


def archive_document(report: ArchiveReport) -> dict[str, Any]:
    """Return a report for JSON; months as `2026-01`."""
    return {
        **asdict(report),
        "months": [{**asdict(month), "month": f"{month.month:%Y-%m}"} for month in report.months],
    }


def _month_line(month: MonthReport) -> str:
    what = f"{month.month:%Y-%m}: {month.transactions} transactions"
    if month.refused is not None:
        return f"{what} stay: {month.refused}"
    return f"{what} archived as {month.part}" if month.part else f"{what} would be archived"


async def last_part(settings: Settings) -> Manifest:
    """Return the manifest of the part that was archived last. Raises `ArchiveRefused` where there is none."""
    parts = await _parts(settings)
    if not parts:
        raise ArchiveRefused("nothing is archived")
    return parts[-1]


async def restore(settings: Settings, folder: Path) -> Manifest:
    """Put the last part back. Raises the reason where it cannot run."""
    key = read_seal_key(settings.seal_key_path())
    pool = await ledger_pool(settings, "tong-archive")
    try:
        return await Restorer(pool, key, say=progress).restore(folder)
    finally:
        await pool.close()


async def listed(settings: Settings, *, as_json: bool) -> int:
    """Print a line for each part."""
    parts = await _parts(settings)
    rows = [
        (part.name, f"{part.transactions}", f"{part.postings}", f"{len(part.buckets)}", part.key_id) for part in parts
    ]
    show(
        [part_document(part) for part in parts],
        table(("part", "transactions", "postings", "buckets", "key"), rows),
        as_json=as_json,
    )
    return DONE


def part_document(manifest: Manifest) -> dict[str, Any]:
    """Return the identity of a part, for JSON."""
    return {
        "part": manifest.name,
        "transactions": manifest.transactions,
        "postings": manifest.postings,
        "buckets": len(manifest.buckets),
        "key_id": manifest.key_id,
    }


async def _parts(settings: Settings) -> list[Manifest]:
    pool = await ledger_pool(settings, "tong-archive")
    try:
        async with pool.acquire() as connection:
            return [part.manifest for part in await read_parts(connection)]
    finally:
        await pool.close()
