"""A large ledger: time and peak memory of `tong seal`, `audit`, `ledger archive` and `ledger restore`.

    python -m loadtest.ledger_million --transactions 1000000

Makes rows of January 2026 by SQL (every member gets points once and redeems nine times, at 8 businesses), and the hot
store that belongs to them, on a private PostgreSQL and a private Valkey; then runs the shipped commands as processes,
each measured: wall clock, CPU, and the peak resident memory of the process. The audits must come out clean, so that the
figures are worth something.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
from redis import Redis

from loadtest.population import member_id
from loadtest.private_stores import private_postgres, private_valkey
from loadtest.settlement_million import AGREEMENT, BUSINESSES
from loadtest.stack import TONG, environment_with
from loadtest.waiting import wait_until

BUCKETS = 64
EACH = 10  # transactions of a member: one issue, the rest redemptions
ISSUED, REDEEMED = 10_000, 100
CHUNK = 5_000  # members
LOT = "202712.hotel"
SEAL_SECONDS = 3_600.0
# A member n: an issue and redemptions, a second apart; entry ids are the times, so that a bucket's are in order.
MADE = """
CREATE TEMP TABLE made AS
SELECT m.n, m.member_id, (m.n % 64)::smallint AS bucket, e AS step, 1 + (m.n + e) % 8 AS place,
       1767232800000 + (m.n::bigint * 10 + e) * $4::bigint AS entry_ms,
       CASE e WHEN 0 THEN 'iss_' || m.n ELSE 'rdm_' || m.n || '_' || e END AS subject_id, $3::text[] AS names
FROM unnest($1::int[], $2::text[]) AS m (n, member_id) CROSS JOIN generate_series(0, 9) AS e
"""
MEMBERS = """
INSERT INTO member (member_id, member_number, tier_id, display_name)
SELECT member_id, n, 'gold', '測試' FROM made WHERE step = 0
"""
TRANSACTIONS = """
INSERT INTO ledger_transaction (occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, business,
                                outlet, terminal, idempotency_key, bill_reference, bill_amount_minor, currency, moves,
                                details)
SELECT to_timestamp(entry_ms / 1000.0), bucket, 1, entry_ms, 0, CASE step WHEN 0 THEN 'issue' ELSE 'redeem' END,
       subject_id, member_id, names[place], 'out_' || names[place], 'trm_1', 'key-' || subject_id,
       'POS-' || subject_id, 50000, 'CNY',
       'points,202712.hotel,' || CASE step WHEN 0 THEN 'I,A,10000' ELSE 'A,R,100' END, '[1,[["p",100,100]]]'
FROM made
"""
WATERMARKS = """
INSERT INTO ledger_watermark (bucket, epoch, last_ms, last_seq, rows_in_epoch)
SELECT bucket, 1, max(entry_ms), 0, count(*) FROM ledger_transaction GROUP BY bucket
"""
CONFIGURATION = """
INSERT INTO tier (tier_id, rank, name) VALUES ('gold', 1, '{}');
SELECT ledger_ensure_month('2026-01-01');
"""


async def fill(dsn: str, members: int) -> list[tuple[int, int, int]]:
    """Write the ledger's rows. Returns for each bucket the last entry and the count."""
    connection = await asyncpg.connect(dsn, command_timeout=3_600)
    await connection.execute(AGREEMENT + CONFIGURATION)
    for business in BUSINESSES:
        await connection.execute(
            "INSERT INTO business (business_id, name, currency) VALUES ($1, '{}', 'CNY')", business
        )
    gap = 30 * 86_400_000 // (members * EACH + EACH)
    for start in range(0, members, CHUNK):
        numbers = list(range(start, min(start + CHUNK, members)))
        async with connection.transaction():
            await connection.execute(MADE, numbers, [member_id(n) for n in numbers], list(BUSINESSES), gap)
            for statement in (MEMBERS, TRANSACTIONS, "DROP TABLE made"):
                await connection.execute(statement)
        print(f"{(numbers[-1] + 1) * EACH} transactions in the ledger", file=sys.stderr)
    await connection.execute(WATERMARKS)
    await connection.execute("VACUUM ANALYZE")
    rows = await connection.fetch("SELECT bucket, last_ms, rows_in_epoch FROM ledger_watermark ORDER BY bucket")
    await connection.close()
    return [(row[0], row[1], row[2]) for row in rows]


def fill_hot(url: str, members: int, ends: list[tuple[int, int, int]]) -> None:
    """Write the lots of every member, and drained streams that end where the ledger does."""
    with Redis.from_url(url) as hot:
        hot.set("tong:buckets", BUCKETS)
        pipeline: Any = hot.pipeline(transaction=False)
        for bucket, last_ms, rows in ends:
            stream = f"{{b{bucket}}}:ledger"
            pipeline.set(f"{{b{bucket}}}:epoch", 1)
            pipeline.xadd(stream, {"v": "1"}, id=f"{last_ms}-0")
            pipeline.xtrim(stream, maxlen=0, approximate=False)
            pipeline.execute_command("XSETID", stream, f"{last_ms}-0", "ENTRIESADDED", rows, "MAXDELETEDID", "0-0")
        for number in range(members):
            name = f"{{b{number % BUCKETS}}}:lots:{member_id(number)}"
            pipeline.hset(name, f"points/{LOT}", ISSUED - (EACH - 1) * REDEEMED)
            if number % 10_000 == 9_999:
                pipeline.execute()
        pipeline.execute()


def measured(environment: dict[str, str], output: Path, *arguments: str) -> None:
    """Run `tong …` to its end and print its time and peak memory."""
    started = time.monotonic()
    with output.open("wb") as answer:
        process = subprocess.Popen([str(TONG), *arguments], stdout=answer, stderr=subprocess.DEVNULL, env=environment)
        told(process, started, arguments)
    print(f"    {output.read_text().splitlines()[-1]}")
    if process.returncode != 0:
        raise SystemExit(f"exit {process.returncode}: {output.read_text()[-1_000:]}")


def told(process: "subprocess.Popen[bytes]", started: float, arguments: tuple[str, ...]) -> None:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    print(
        f"tong {' '.join(arguments)}: {time.monotonic() - started:.1f} s,"
        f" {usage.ru_utime + usage.ru_stime:.1f} s of CPU, peak {usage.ru_maxrss / 1024:.0f} MiB"
    )


def seal(environment: dict[str, str], dsn: str, transactions: int) -> None:
    """Run `tong seal` until every row is sealed."""
    started = time.monotonic()
    process = subprocess.Popen([str(TONG), "seal", "--make-key"], stderr=subprocess.DEVNULL, env=environment)

    def sealed() -> bool:
        return asyncio.run(_sealed(dsn)) >= transactions

    try:
        wait_until("every row is sealed", sealed, SEAL_SECONDS)
    finally:
        process.send_signal(signal.SIGTERM)
        told(process, started, ("seal",))


async def _sealed(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(
            await connection.fetchval(
                "SELECT coalesce(sum(rows), 0) FROM"
                " (SELECT max(rows_sealed) AS rows FROM ledger_seal GROUP BY bucket) AS newest"
            )
        )
    finally:
        await connection.close()


def work(dsn: str, url: str, transactions: int, folder: Path) -> None:
    """Everything, on a migrated database without rows and an empty hot store."""
    ends = asyncio.run(fill(dsn, transactions // EACH))
    fill_hot(url, transactions // EACH, ends)
    environment = environment_with({"TONG_HOME": str(folder), "TONG_VALKEY_URL": url, "TONG_POSTGRES_DSN": dsn})
    archive = folder / "archive"
    seal(environment, dsn, transactions)
    measured(environment, folder / "audit.txt", "audit")
    measured(environment, folder / "projections.txt", "projections", "run")
    measured(environment, folder / "archive.txt", "ledger", "archive", "--before", "2026-02", "--to", str(archive))
    size = sum(path.stat().st_size for path in archive.rglob("*") if path.is_file())
    print(f"    {size / 1024 / 1024:.0f} MiB of files")
    measured(environment, folder / "gap.txt", "audit")
    measured(environment, folder / "files.txt", "audit", "--archive", str(archive))
    measured(environment, folder / "restore.txt", "ledger", "restore", "--from", str(archive))
    measured(environment, folder / "again.txt", "audit")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=1_000_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tong-ledger-"))
    try:
        with private_postgres(folder) as dsn, private_valkey(folder) as url:
            work(dsn, url, options.transactions // EACH * EACH, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
