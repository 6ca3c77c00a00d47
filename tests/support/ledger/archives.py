"""Months of a ledger without a hot store, archived: `Book` writes them, a sealer seals them, a clock stands far later.

As a program, `python -m tests.support.ledger.archives <archive|restore> <dsn> <folder>` does that until nothing is
left, step by step: it says each step and waits for a line before it goes on, for tests that kill it.
"""

import asyncio
import datetime
import random
import sys
from pathlib import Path

from redemption.database import Pool, open_pool
from redemption.ledger.archive.archiving import Archiver, ArchiveReport
from redemption.ledger.archive.restore import Restorer
from redemption.ledger.audit.ledger import BucketSnapshot, Evidence, read_bucket
from redemption.ledger.chain import SealKey
from redemption.ledger.sealer import Sealer
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from tests.support.settlement.settlement import BUSINESSES, Book, at

KEY = SealKey(bytes(range(32)))
BUCKETS = 4
FIRST_OF_2027 = at("2027-01-01T00:00")
JUNE = datetime.date(2026, 6, 1)


async def fill(pool: Pool, chance: random.Random, redemptions: int = 120, old_until: float = 0) -> Book:
    """January to May: points issued, redeemed, held over ends of months, refunded; sealed and settled."""
    book = Book(pool, old_until)
    step = 150 * 86_400 / redemptions
    for number in range(redemptions):
        bucket, when = number % BUCKETS, at("2026-01-01T00:00") + number * step
        lots = [f"202712.{issuer}" for issuer in chance.sample(BUSINESSES, 2)]
        amounts = [(lot, chance.randint(1, 900)) for lot in lots]
        business = chance.choice(BUSINESSES)

        def add(kind: str, source: str, target: str, later: float, number: int = number) -> None:
            moves = [("points", lot, source, target, amount) for lot, amount in amounts]  # noqa: B023 - called at once
            legs = [{"kind": "points", "points": sum(n for _, n in amounts), "value_minor": 10}]  # noqa: B023
            subject = f"iss_{number}" if kind == "issue" else f"rdm_{number}"
            book.add(kind, subject, business, moves, when + later, legs=legs, bucket=bucket)  # noqa: B023

        add("issue", "I", "A", 0)
        if number % 3 == 0:
            add("hold", "A", "H", 1)
            add("capture", "H", "R", step)  # some in the next month
        else:
            add("redeem", "A", "R", 1)
        if number % 5 == 0:
            add("refund", "R", "A", 1.5 * step)
    await book.flush()
    await settled_and_sealed(pool)
    return book


async def settled_and_sealed(pool: Pool) -> None:
    await Projector(pool, registered_projections()).run()
    while await Sealer(pool, KEY, range(BUCKETS)).round():
        pass


def archiver(pool: Pool, now: float = FIRST_OF_2027) -> Archiver:
    return Archiver(pool, KEY, say=lambda _: None, clock=lambda: now)


async def archived(pool: Pool, folder: Path, before: datetime.date = JUNE, **options: bool) -> ArchiveReport:
    return await archiver(pool).archive(before, folder, **options)


async def restored(pool: Pool, folder: Path) -> str:
    return (await Restorer(pool, KEY, say=lambda _: None).restore(folder)).name


async def snapshots(pool: Pool, folder: Path | None = None) -> list[BucketSnapshot]:
    """What an audit reads of each bucket."""
    found = []
    for bucket in range(BUCKETS):
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            found.append(await read_bucket(connection, bucket, Evidence(KEY, (), folder), lambda _: None))
    return found


async def findings(pool: Pool, folder: Path | None = None) -> list[str]:
    return [str(finding) for each in await snapshots(pool, folder) for finding in each.findings]


async def rows(pool: Pool) -> tuple[int, int]:
    """Transactions and postings in the ledger."""
    row = await pool.fetchrow("SELECT (SELECT count(*) FROM ledger_transaction), (SELECT count(*) FROM ledger_posting)")
    assert row is not None
    return row[0], row[1]


def in_step(text: str) -> None:
    """Says how far it is and waits to be told to go on."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    sys.stdin.readline()


async def main(what: str, dsn: str, folder: str) -> None:
    pool = await open_pool(dsn)
    if what == "archive":
        archiver = Archiver(pool, KEY, say=in_step, clock=lambda: FIRST_OF_2027)
        report = await archiver.archive(JUNE, Path(folder), drop=True)
        assert all(month.refused is None for month in report.months), report
    else:
        while await pool.fetchval("SELECT count(*) FROM ledger_archive"):
            await Restorer(pool, KEY, say=in_step).restore(Path(folder))
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
