"""The sealer killed, paused and doubled, beside a writer under load: the chain stays one chain over every row (I10).

The check recomputes each chain from the rows alone, with its own copy of the recipe in redemption/ledger/chain.py.
"""

import asyncio
import hmac
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from redemption.database import open_pool
from redemption.ledger.chain import BATCH_ROWS, SealKey, SealKeyRefused, make_seal_key, read_seal_key
from redemption.ledger.sealer import OtherKey, Sealer
from redemption.ledger.streams import StreamClient, open_stream_client
from tests.support.ledger.ledger import (
    Acknowledged,
    EntryGenerator,
    add,
    connected,
    install,
    rows_in_ledger,
)
from tests.support.ledger.writers import ledger_writer, running
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.servers.ready_process import ready_process
from tests.support.suite.waiting import wait_until

BUCKETS = 4
SECRET = bytes(range(32))


@dataclass
class Place:
    """One test's servers and generated entries."""

    valkey: ValkeyServer
    dsn: str
    client: StreamClient
    generator: EntryGenerator
    chance: random.Random
    acknowledged: Acknowledged = field(default_factory=dict)

    async def write(self, count: int) -> None:
        """Entries into the streams and, by the shipped writer, into the ledger."""
        async with connected(self.dsn) as connection:
            goal = sum(map(len, self.acknowledged.values())) + count
            async with ledger_writer(self.valkey.url, self.dsn, BUCKETS) as writer, running(writer):
                for _ in range(0, count, 50):
                    await add(self.client, [self.generator.entry() for _ in range(50)], self.acknowledged)

                async def written() -> bool:
                    return await rows_in_ledger(connection) >= goal

                await wait_until(f"{goal} rows", written)

    async def until_sealed(self) -> None:
        async with connected(self.dsn) as connection:

            async def sealed() -> bool:
                return await sealed_rows(connection) == await rows_in_ledger(connection)

            await wait_until("every row is sealed", sealed)


@pytest.fixture
async def place(postgres: PrivatePostgres) -> AsyncIterator[Place]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    async with private_valkey() as valkey, postgres.fresh_database() as dsn:
        client = open_stream_client(valkey.url)
        await install(client, BUCKETS)
        yield Place(valkey, dsn, client, EntryGenerator(seed, BUCKETS), random.Random(seed))
        await client.aclose()


async def sealed_rows(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    rows: int = await connection.fetchval(
        "SELECT coalesce(sum(rows), 0)::bigint FROM "
        "(SELECT max(rows_sealed) AS rows FROM ledger_seal GROUP BY bucket) AS newest"
    )
    return rows


async def broken_chains(dsn: str) -> list[str]:
    """Each chain recomputed; seals that are not on it, gaps in their numbers, and rows beyond the last one."""
    wrong = []
    async with connected(dsn) as connection:
        for bucket in range(BUCKETS):
            seals = await connection.fetch("SELECT * FROM ledger_seal WHERE bucket = $1 ORDER BY number", bucket)
            if [seal["number"] for seal in seals] != list(range(1, len(seals) + 1)):
                wrong.append(f"bucket {bucket}: seals are not numbered through")
            macs = await _macs(connection, bucket)
            for seal in seals:
                place = (seal["epoch"], seal["last_ms"], seal["last_seq"])
                if macs.get(place) != (seal["rows_sealed"], seal["mac"]):
                    wrong.append(f"bucket {bucket}: seal {seal['number']} is not on the chain")
            if seals and seals[-1]["rows_sealed"] != len(macs):
                wrong.append(f"bucket {bucket}: {seals[-1]['rows_sealed']} of {len(macs)} rows sealed")
    return wrong


async def _macs(
    connection: "asyncpg.Connection[asyncpg.Record]", bucket: int
) -> dict[tuple[int, int, int], tuple[int, bytes]]:
    transactions = await connection.fetch(
        "SELECT epoch, entry_ms, entry_seq, ROW('transaction 2', (extract(epoch FROM occurred_at) * 1000000)::bigint, "
        "bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, business, outlet, terminal, idempotency_key, "
        "bill_reference, bill_amount_minor, currency, moves, details)::text AS content FROM ledger_transaction "
        "WHERE bucket = $1 ORDER BY epoch, entry_ms, entry_seq",
        bucket,
    )
    mac = hmac.digest(SECRET, b"tong ledger chain 1 bucket %d" % bucket, "sha256")
    found = {}
    for number, (*where, content) in enumerate(transactions, 1):
        place = (where[0], where[1], where[2])
        text = content.encode()
        mac = hmac.digest(SECRET, mac + len(text).to_bytes(4) + text, "sha256")
        found[place] = (number, mac)
    return found


@contextmanager
def sealer_process(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    with ready_process("tests.support.ledger.sealers", place.dsn, str(BUCKETS), SECRET.hex()) as process:
        yield process


async def test_a_sealer_killed_again_and_again_leaves_one_chain_over_every_row(place: Place) -> None:
    for _ in range(4):
        with sealer_process(place) as process:
            load = asyncio.create_task(place.write(1_500))
            async with connected(place.dsn) as connection:
                goal = await sealed_rows(connection) + 1 + place.chance.randrange(800)

                async def sealed(goal: int = goal) -> bool:
                    return await sealed_rows(connection) >= goal

                await wait_until(f"{goal} rows sealed", sealed)
            process.kill()
            await load
    with sealer_process(place):
        await place.until_sealed()
    assert await broken_chains(place.dsn) == []


async def test_two_sealers_and_one_that_is_paused_and_wakes_up_cannot_fork_a_chain(place: Place) -> None:
    with sealer_process(place) as one, sealer_process(place) as other:
        for _ in range(4):
            load = asyncio.create_task(place.write(1_000))
            os.kill(one.pid, signal.SIGSTOP)
            await load
            await place.until_sealed()
            os.kill(one.pid, signal.SIGCONT)
            await place.write(300)
            await place.until_sealed()
        other.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(other.wait, 10) == 0
    assert await broken_chains(place.dsn) == []


@pytest.mark.parametrize("which", ["first", "middle", "last"])
async def test_a_row_removed_before_it_was_sealed_stops_the_seal_of_its_bucket(place: Place, which: str) -> None:
    await place.write(200)
    bucket = place.chance.randrange(BUCKETS)
    async with connected(place.dsn) as connection:
        await connection.execute("SET session_replication_role = replica")
        rows = await connection.fetch(
            "SELECT epoch, entry_ms, entry_seq FROM ledger_transaction WHERE bucket = $1 "
            "ORDER BY epoch, entry_ms, entry_seq",
            bucket,
        )
        row = rows[{"first": 0, "middle": len(rows) // 2, "last": -1}[which]]
        removed = await connection.execute(
            "DELETE FROM ledger_transaction WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) = ($2, $3, $4)",
            bucket,
            *row,
        )
    assert removed == "DELETE 1"
    pool = await open_pool(place.dsn)
    sealer = Sealer(pool, SealKey(SECRET), range(BUCKETS))
    await sealer.round()
    assert list(sealer.figures.stopped) == [bucket]
    assert sealer.figures.seals == BUCKETS - 1
    await pool.close()


async def test_a_chain_is_not_continued_with_another_key(place: Place) -> None:
    await place.write(100)
    pool = await open_pool(place.dsn)
    await Sealer(pool, SealKey(SECRET), range(BUCKETS)).round()
    await place.write(100)
    with pytest.raises(OtherKey):
        await Sealer(pool, SealKey(bytes(32)), range(BUCKETS)).round()
    await pool.close()


async def test_seals_cannot_be_changed_or_removed_even_by_the_owner(place: Place) -> None:
    await place.write(100)
    pool = await open_pool(place.dsn)
    await Sealer(pool, SealKey(SECRET), range(BUCKETS)).round()
    for statement in ("UPDATE ledger_seal SET number = 9", "DELETE FROM ledger_seal", "TRUNCATE ledger_seal"):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await pool.execute(statement)
    await pool.close()


async def test_a_round_takes_a_batch_of_every_bucket(place: Place) -> None:
    """What is behind in all buckets at once takes as many rounds as the fullest one has batches, not more."""
    for _ in range(0, 10_000, 500):
        await add(place.client, [place.generator.entry() for _ in range(500)], place.acknowledged)
    await place.write(50)
    pool = await open_pool(place.dsn)
    fullest = await pool.fetchval("SELECT max(rows_in_epoch) FROM ledger_watermark")
    sealer = Sealer(pool, SealKey(SECRET), range(BUCKETS))
    rounds = 0
    while await sealer.round():
        rounds += 1
    await pool.close()
    assert sealer.figures.rows >= 10_000
    assert rounds == -(-fullest // BATCH_ROWS)
    assert await broken_chains(place.dsn) == []


def test_a_key_file_that_others_may_read_or_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seal-key"
    make_seal_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    key = read_seal_key(path)
    make_seal_key(path)
    assert read_seal_key(path) == key, "a key that is there is kept"
    assert key.secret.hex() not in repr(key)
    path.chmod(0o640)
    with pytest.raises(SealKeyRefused, match="may be read by others"):
        read_seal_key(path)
    path.chmod(0o600)
    path.write_text("not hexadecimal")
    with pytest.raises(SealKeyRefused, match="64 hexadecimal"):
        read_seal_key(path)
    with pytest.raises(SealKeyRefused, match="cannot be read"):
        read_seal_key(tmp_path / "none")
