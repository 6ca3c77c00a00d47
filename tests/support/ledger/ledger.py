"""What the ledger's tests share: a seeded generator of stream entries, and a check that reads only streams and SQL.

The check (`LedgerCheck`) is given what was acknowledged by XADD and trusts nothing the writer says of itself.
"""

import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from redemption.domain.members import bucket_of, member_id
from redemption.hot import keys
from redemption.ledger.streams import StreamClient

BUSINESSES = ("hotel", "mall", "restaurant", "spa")
MONTHS = ("202701", "202702", "202703")
KIND_MOVES = {
    "issue": ("I", "A"),
    "accrue": ("I", "A"),
    "redeem": ("A", "R"),
    "hold": ("A", "H"),
    "capture": ("H", "R"),
    "release": ("H", "A"),
    "refund": ("R", "A"),
    "expire": ("A", "X"),
    "reverse": ("R", "A"),
    "adjust": ("A", "I"),
}
AT_MS = 1_795_346_948_000  # 2026-11-22
Acknowledged = dict[int, list[str]]  # bucket -> subject ids in the order of their XADDs


def redeem_fields(number: int, subject: str, *, at_ms: int = AT_MS) -> dict[str, str]:
    """A redemption of two moves, as the hot store writes it."""
    return {
        "v": "1",
        "kind": "redeem",
        "id": subject,
        "member": member_id(number),
        "at": str(at_ms),
        "moves": "points,202701.hotel,A,R,1500;points,202702.mall,A,R,500",
        "context": json.dumps(
            {
                "business": "restaurant",
                "outlet": "out_restaurant_1",
                "terminal": "trm_restaurant_1",
                "key": f"key-{subject}",
                "bill": {"reference": f"POS-{subject}", "amount_minor": 25800, "currency": "CNY"},
                "legs": [{"kind": "points", "points": 2000}],
            }
        ),
    }


class EntryGenerator:
    """Well-formed entries of every kind, from a seed."""

    def __init__(self, seed: int, buckets: int) -> None:
        self._random = random.Random(seed)
        self._buckets = buckets
        self._made = 0

    def entry(self) -> tuple[int, dict[str, str]]:
        """A bucket and the fields of an entry for it; every subject id is new."""
        chosen = self._random
        number = chosen.randrange(100_000)
        kind = chosen.choice(sorted(KIND_MOVES))
        source, target = KIND_MOVES[kind]
        moves = [
            f"{asset},{month}.{chosen.choice(BUSINESSES)},{source},{target},{chosen.randint(1, 10**9)}"
            for asset in chosen.sample(["points", "benefit:dining-80", "CNY"], chosen.randint(0, 3))
            for month in chosen.sample(MONTHS, chosen.randint(1, 3))
        ]
        self._made += 1
        return bucket_of(number, self._buckets), {
            "v": "1",
            "kind": kind,
            "id": f"rdm_{self._made:012d}",
            "member": member_id(number),
            "at": str(AT_MS + chosen.randrange(90 * 86_400_000)),  # over three or four months
            "moves": ";".join(moves),
            "context": json.dumps({"business": chosen.choice(BUSINESSES), "note": "早餐"}, ensure_ascii=False),
        }


async def install(client: StreamClient, buckets: int, epoch: int = 1) -> None:
    """What the gateway's install writes of a bucket, as far as the ledger is concerned."""
    await client.mset({keys.epoch(bucket): str(epoch) for bucket in range(buckets)})


async def add(client: StreamClient, entries: Sequence[tuple[int, dict[str, str]]], acknowledged: Acknowledged) -> None:
    """XADDs in order; what was acknowledged is noted."""
    pipeline = client.pipeline(transaction=False)
    for bucket, fields in entries:
        values: Any = fields  # redis-py's type for them is invariant
        pipeline.xadd(keys.ledger_stream(bucket), values)
    await pipeline.execute()
    for bucket, fields in entries:
        acknowledged.setdefault(bucket, []).append(fields["id"])


INTEGERS = ("occurred_at", "bucket", "epoch", "entry_ms", "entry_seq", "bill_amount_minor")


def rows_of(data: bytes, columns: Sequence[str]) -> list[dict[str, int | str | None]]:
    """Rows in the binary format of PostgreSQL's COPY, read by its manual; times are microseconds since 2000."""
    rows: list[dict[str, int | str | None]] = []
    place = 0

    def integer(size: int) -> int:
        nonlocal place
        place += size
        return int.from_bytes(data[place - size : place], signed=True)

    while place < len(data):
        assert integer(2) == len(columns)
        row: dict[str, int | str | None] = {}
        for name in columns:
            size = integer(4)
            if size < 0:
                row[name] = None
            elif name in INTEGERS:
                row[name] = integer(size)
            else:
                row[name] = data[place : place + size].decode()
                place += size
        rows.append(row)
    assert place == len(data)
    return rows


@dataclass
class LedgerCheck:
    """What is wrong, in sentences; empty when everything holds."""

    wrong: list[str] = field(default_factory=list)

    async def run(
        self, client: StreamClient, connection: "asyncpg.Connection[Any]", acknowledged: Acknowledged, buckets: int
    ) -> list[str]:
        """I1 (sums), I3, order, I7 for every bucket. Only for a drained ledger."""
        rows = await connection.fetch(
            "SELECT bucket, subject_id FROM ledger_transaction ORDER BY bucket, epoch, entry_ms, entry_seq"
        )
        found: Acknowledged = {}
        for row in rows:
            found.setdefault(row["bucket"], []).append(row["subject_id"])
        for bucket in range(buckets):
            expected, got = acknowledged.get(bucket, []), found.get(bucket, [])
            if expected != got:
                self.wrong.append(
                    f"bucket {bucket}: {len(expected)} acknowledged, {len(got)} in the ledger,"
                    f" {len(set(expected) - set(got))} missing, {len(got) - len(set(got))} doubled"
                )
            await self._one_bucket(client, connection, bucket)
        unbalanced = await connection.fetchval(
            "SELECT count(*) FROM (SELECT 1 FROM ledger_posting GROUP BY bucket, epoch, entry_ms, entry_seq, asset"
            " HAVING sum(amount) <> 0) AS uneven"
        )
        orphaned = await connection.fetchval(
            "SELECT count(*) FROM ledger_posting AS p WHERE NOT EXISTS (SELECT FROM ledger_transaction AS t"
            " WHERE (t.bucket, t.epoch, t.entry_ms, t.entry_seq, t.occurred_at)"
            " = (p.bucket, p.epoch, p.entry_ms, p.entry_seq, p.occurred_at))"
        )
        if unbalanced or orphaned:
            self.wrong.append(f"{unbalanced} transactions do not sum to zero, {orphaned} postings without one")
        return self.wrong

    async def _one_bucket(self, client: StreamClient, connection: "asyncpg.Connection[Any]", bucket: int) -> None:
        """I7: the stream's own count, the watermark's and the rows; and the watermark within the stream."""
        mark = await connection.fetchrow("SELECT * FROM ledger_watermark WHERE bucket = $1", bucket)
        if mark is None:
            self.wrong.append(f"bucket {bucket}: no watermark")
            return
        rows = await connection.fetchval(
            "SELECT (SELECT count(*) FROM ledger_transaction WHERE bucket = $1 AND epoch = $2)"
            " + (SELECT count(*) FROM ledger_dead_letter WHERE bucket = $1 AND epoch = $2)",
            bucket,
            mark["epoch"],
        )
        added, last = 0, (0, 0)
        if await client.exists(keys.ledger_stream(bucket)):
            stream: Any = await client.xinfo_stream(keys.ledger_stream(bucket))
            added = stream["entries-added"]
            ms, _, seq = stream["last-generated-id"].decode().partition("-")
            last = (int(ms), int(seq))
        if not added == rows == mark["rows_in_epoch"]:
            self.wrong.append(f"bucket {bucket}: {added} added, {rows} rows, watermark says {mark['rows_in_epoch']}")
        if (mark["last_ms"], mark["last_seq"]) != last:
            self.wrong.append(f"bucket {bucket}: watermark {mark['last_ms']}-{mark['last_seq']}, stream ends {last}")


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def rows_in_ledger(connection: "asyncpg.Connection[Any]") -> int:
    """Transactions and dead letters, counted."""
    rows: int = await connection.fetchval(
        "SELECT (SELECT count(*) FROM ledger_transaction) + (SELECT count(*) FROM ledger_dead_letter)"
    )
    return rows


async def watermark_rows(connection: "asyncpg.Connection[Any]") -> int:
    """What the watermarks say was written."""
    rows: int = await connection.fetchval("SELECT coalesce(sum(rows_in_epoch), 0)::bigint FROM ledger_watermark")
    return rows
