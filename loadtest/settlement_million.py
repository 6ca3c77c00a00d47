"""Closing a month of many redemptions: time and peak memory of `tong settle`, on a PostgreSQL of its own.

    python -m loadtest.settlement_million --redemptions 1000000

Makes the ledger's rows by SQL (8 businesses, 64 buckets, two issuers in every second redemption, every 25th refunded),
then runs the shipped commands as processes and measures each: wall clock, and the peak resident memory of the process.
Exports the statement of the hotel, which issued points of every redemption, in each format. Ends with the checks that
make the figures worth something: units per pair and asset against the ledger's postings, the CSV's sum against SQL.
"""

import argparse
import asyncio
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from loadtest.private_stores import migrate, private_postgres
from loadtest.stack import TONG

CHUNK = 50_000
MONTH = "2026-10"  # the month is over whenever this runs
BUSINESSES = ("hotel", "mall", "restaurant", "spa", "gym", "parking", "park", "property")
HOTEL = BUSINESSES[0]
AGREEMENT = """
INSERT INTO settlement_agreement (agreement_id, issuer, acceptor, instrument) VALUES ('points', '*', '*', 'points');
INSERT INTO settlement_agreement_version (agreement_id, version, definition, added_by)
VALUES ('points', 1, '{"issuer": "*", "acceptor": "*", "instrument": "points", "valid_from": "2026-01-01",
        "rule": {"kind": "proportion", "basis_points": 9800}, "tax_basis_points": 600}', 'load');
INSERT INTO installation (buckets, time_zone) VALUES (64, 'Asia/Shanghai');
SELECT ledger_ensure_month('2026-10-01');
"""
# A redemption i: at one business, points of the first business and perhaps of another; the same numbers each time. So
# the first business, the hotel, is a side of most lines: its statement is the largest there can be.
MADE = """
CREATE TEMP TABLE made AS
SELECT i, (i % 64)::smallint AS bucket, 'rdm_' || i AS subject_id, $3::text[] AS names,
       timestamptz '2026-10-01 02:00+00' + i * interval '2400 seconds' / ($4::float8 / 1000) AS occurred_at,
       1 + (i % 8) AS acceptor, points, CASE WHEN i % 2 = 0
           THEN 'points,202712.' || ($3::text[])[1] || ',A,R,' || points - points / 3
                || ';points,202712.' || ($3::text[])[1 + ((i / 8 + 3) % 8)] || ',A,R,' || points / 3
           ELSE 'points,202712.' || ($3::text[])[1] || ',A,R,' || points END AS moves
FROM generate_series($1::bigint, $2::bigint) AS i CROSS JOIN LATERAL (SELECT 100 + (i % 9000) AS points) AS taken
"""
REDEEMED = """
INSERT INTO ledger_transaction (occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, business,
                                outlet, terminal, idempotency_key, bill_reference, bill_amount_minor, currency, moves,
                                details)
SELECT occurred_at, bucket, 1, 2 * i, 0, 'redeem', subject_id, 'mem_0000000', names[acceptor],
       'out_' || names[acceptor], 'trm_1', 'key-' || i, 'POS-' || i, 50000, 'CNY', moves,
       '[1,[["p",' || points || ',' || points || ']]]'
FROM made
"""
REFUNDED = """
INSERT INTO ledger_transaction (occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, business,
                                outlet, currency, moves, details)
SELECT occurred_at + interval '1 second', bucket, 1, 2 * i + 1, 0, 'refund', subject_id, 'mem_0000000', names[acceptor],
       'out_' || names[acceptor], 'CNY', replace(moves, ',A,R,', ',R,A,'), '{}'
FROM made WHERE i % 25 = 0
"""
WATERMARKS = """
INSERT INTO ledger_watermark (bucket, epoch, last_ms, last_seq, rows_in_epoch)
SELECT bucket, 1, max(entry_ms), 0, count(*) FROM ledger_transaction GROUP BY bucket
"""
DIFFERENT = """
SELECT count(*) FROM (SELECT issuer, owner, asset, sum(amount) AS units FROM ledger_posting
                      WHERE account = 'business_redeemed' GROUP BY 1, 2, 3) AS ledger
FULL JOIN (SELECT issuer, acceptor, asset, sum(units) AS units FROM settlement_line GROUP BY 1, 2, 3) AS settled
  ON (ledger.issuer, ledger.owner, ledger.asset) = (settled.issuer, settled.acceptor, settled.asset)
WHERE ledger.units IS DISTINCT FROM settled.units
"""
NET = """
SELECT count(*), sum(CASE WHEN issuer = acceptor THEN 0 WHEN acceptor = $1 THEN amount_minor + tax_minor
                          ELSE -amount_minor - tax_minor END)::bigint
FROM settlement_line WHERE $1 IN (issuer, acceptor)
"""


async def fill(dsn: str, redemptions: int) -> None:
    """Write the ledger's rows."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(AGREEMENT)
    for business in BUSINESSES:
        await connection.execute(
            "INSERT INTO business (business_id, name, currency) VALUES ($1, '{}', 'CNY')", business
        )
    for start in range(1, redemptions + 1, CHUNK):
        end = min(start + CHUNK - 1, redemptions)
        async with connection.transaction():
            await connection.execute(MADE, start, end, list(BUSINESSES), redemptions)
            for statement in (REDEEMED, REFUNDED, "DROP TABLE made"):
                await connection.execute(statement)
        print(f"{end} redemptions in the ledger", file=sys.stderr)
    await connection.execute(WATERMARKS)
    await connection.execute("ANALYZE")
    await connection.close()


def measured(dsn: str, output: Path, *arguments: str) -> None:
    """Run `tong settle …` and print its time and peak memory. Its answer goes to a file."""
    started = time.monotonic()
    with output.open("wb") as answer:
        process = subprocess.Popen(
            [str(TONG), "settle", *arguments], stdout=answer, env={**os.environ, "TONG_POSTGRES_DSN": dsn}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    print(
        f"tong settle {' '.join(arguments)}: {seconds:.1f} s, peak {usage.ru_maxrss / 1024:.0f} MiB,"
        f" {usage.ru_utime + usage.ru_stime:.1f} s of CPU, exit {process.returncode}, {output.stat().st_size} bytes"
    )
    if process.returncode != 0:
        raise SystemExit(f"failed: {output.read_text()[-500:]}")


async def check(dsn: str) -> None:
    """Compare the lines with the ledger."""
    connection = await asyncpg.connect(dsn, command_timeout=600)
    lines = await connection.fetchval("SELECT count(*) FROM settlement_line")
    exceptions = await connection.fetchval("SELECT count(*) FROM settlement_exception")
    different = await connection.fetchval(DIFFERENT)
    periods = await connection.fetchval("SELECT count(*) FROM settlement_period")
    size = await connection.fetchval("SELECT pg_size_pretty(pg_total_relation_size('settlement_line'))")
    await connection.close()
    print(f"{lines} lines ({size} with indexes), {exceptions} exceptions, {periods} periods")
    print(f"{different} pairs differ from the ledger")
    if different or exceptions:
        raise SystemExit(1)


async def check_csv(dsn: str, file: Path) -> None:
    """Compare the sum of the hotel's CSV with the lines."""
    connection = await asyncpg.connect(dsn, command_timeout=600)
    expected = await connection.fetchrow(NET, HOTEL)
    assert expected is not None
    await connection.close()
    rows = net = 0
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            rows += 1
            net += int(row["net_minor"])
    print(f"the CSV has {rows} lines with a net of {net}; SQL says {expected[0]} and {expected[1]}")
    if (rows, net) != tuple(expected):
        raise SystemExit(1)


def work(dsn: str, redemptions: int, folder: Path) -> None:
    """Everything, on a migrated database without rows."""
    started = time.monotonic()
    asyncio.run(fill(dsn, redemptions))
    print(f"{redemptions} redemptions made in {time.monotonic() - started:.1f} s")
    measured(dsn, folder / "run.txt", "run")
    measured(dsn, folder / "close.txt", "close", "--month", MONTH)
    measured(dsn, folder / "again.txt", "close", "--month", MONTH)
    measured(dsn, folder / "lines.csv", "lines", "--month", MONTH)
    measured(dsn, folder / "status.txt", "status", "--month", MONTH)
    for suffix in ("csv", "json", "xlsx", "pdf"):
        file = folder / f"statement.{suffix}"
        measured(
            dsn,
            folder / "statement.txt",
            "statement",
            "--business",
            HOTEL,
            "--period",
            MONTH,
            "--language",
            "en",
            "--output",
            str(file),
        )
        print(f"{suffix}: {file.stat().st_size} bytes")
    asyncio.run(check(dsn))
    asyncio.run(check_csv(dsn, folder / "statement.csv"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redemptions", type=int, default=1_000_000)
    parser.add_argument("--dsn", help="an empty database; without it a private server is started and removed")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tong-settlement-"))
    try:
        if options.dsn:
            migrate(options.dsn)
            work(options.dsn, options.redemptions, folder)
            return
        with private_postgres(folder) as dsn:
            work(dsn, options.redemptions, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
