"""The ledger writer while it, PostgreSQL or Valkey is killed, paused or away. I3 and I7 have to hold afterwards.

Every check reads only streams and SQL (tests/support/ledger/ledger.py). Each control lacks one safeguard and must fail
it.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from redemption.hot import keys
from redemption.ledger.streams import StreamClient, open_stream_client
from redemption.ledger.writer import LedgerStopped
from tests.support.ledger.ledger import (
    Acknowledged,
    EntryGenerator,
    LedgerCheck,
    add,
    connected,
    install,
    rows_in_ledger,
    watermark_rows,
)
from tests.support.ledger.writers import ledger_writer, running
from tests.support.servers.postgres import PrivatePostgres, private_postgres
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.servers.ready_process import ready_process
from tests.support.suite.waiting import wait_until

BUCKETS = 8


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres(durable=True) as server:
        yield server


@dataclass
class Servers:
    """One test's servers, the seeded entries, and what was acknowledged."""

    postgres: PrivatePostgres
    valkey: ValkeyServer
    dsn: str
    client: StreamClient
    generator: EntryGenerator
    acknowledged: Acknowledged = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    async def add(self, count: int) -> None:
        for _ in range(0, count, 50):
            await add(self.client, [self.generator.entry() for _ in range(50)], self.acknowledged)

    def added(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    async def rows(self) -> int:
        async with connected(self.dsn) as connection:
            return await rows_in_ledger(connection)

    async def reaches(self, rows: int, seconds: float = 30.0) -> None:
        async def written() -> bool:
            return await self.rows() >= rows

        await wait_until(f"{rows} rows in the ledger", written, seconds=seconds)

    async def marked(self, rows: int) -> None:
        """The watermarks say that so many were written."""
        async with connected(self.dsn) as connection:

            async def marked() -> bool:
                return await watermark_rows(connection) >= rows

            await wait_until(f"{rows} rows behind the watermarks", marked)

    async def wrong(self) -> list[str]:
        async with connected(self.dsn) as connection:
            return await LedgerCheck().run(self.client, connection, self.acknowledged, BUCKETS)


@pytest.fixture
async def servers(postgres: PrivatePostgres) -> AsyncIterator[Servers]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    if not postgres.running:  # a test that failed half-way left it so
        await asyncio.to_thread(postgres.start)
    async with private_valkey() as valkey, postgres.fresh_database() as dsn:
        client = open_stream_client(valkey.url)
        await install(client, BUCKETS)
        generator = EntryGenerator(seed, BUCKETS)
        yield Servers(postgres, valkey, dsn, client, generator, chance=random.Random(seed))
        await client.aclose()


@contextmanager
def writer_process(servers: Servers, variant: str = "shipped") -> Iterator["subprocess.Popen[bytes]"]:
    """A writer as a process of its own, ready to write; killed at the end if it still runs."""
    arguments = (variant, servers.valkey.url, servers.dsn, str(BUCKETS))
    with ready_process("tests.support.ledger.writers", *arguments) as process:
        yield process


async def test_a_writer_killed_again_and_again_under_load_writes_everything_once(servers: Servers) -> None:
    for _ in range(4):
        before = await servers.rows()
        with writer_process(servers) as process:
            load = asyncio.create_task(servers.add(3_000))
            await servers.reaches(before + 1 + servers.chance.randrange(1_500))
            process.kill()
            await load
    with writer_process(servers) as process:
        await servers.reaches(servers.added())
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0
    assert servers.added() == 12_000
    assert await servers.wrong() == []


@pytest.mark.parametrize(("variant", "holds"), [("shipped", True), ("watermark-apart", False)])
async def test_rows_and_watermark_are_one_transaction_and_the_control_apart_fails(
    servers: Servers, variant: str, holds: bool
) -> None:
    await servers.add(500)
    with writer_process(servers, variant) as process:
        await servers.reaches(1)
        process.kill()
    async with connected(servers.dsn) as connection:
        rows, marked = await rows_in_ledger(connection), await watermark_rows(connection)
        assert (rows == marked) is holds
        if not holds:  # the primary keys would stop the doubles; the control shows that the watermark alone does not
            await connection.execute("ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_pkey")
    with writer_process(servers):
        await servers.marked(500)
    wrong = await servers.wrong()
    assert (wrong == []) is holds
    assert holds or any("doubled" in sentence for sentence in wrong)


@pytest.mark.parametrize("holds", [True, False])
async def test_a_writer_paused_with_a_batch_in_hand_doubles_nothing_and_the_control_does(
    servers: Servers, holds: bool
) -> None:
    if not holds:
        async with connected(servers.dsn) as connection:
            for table in ("ledger_transaction", "ledger_dead_letter"):
                await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    await servers.add(500)
    with writer_process(servers, "slow" if holds else "slow-unfenced") as paused:
        assert paused.stdout is not None
        assert await asyncio.to_thread(paused.stdout.readline) == b"holding\n"
        os.kill(paused.pid, signal.SIGSTOP)
        with writer_process(servers, "shipped" if holds else "unfenced"):
            await servers.reaches(500)
        os.kill(paused.pid, signal.SIGCONT)
        if holds:
            await servers.add(500)
            await servers.marked(1_000)
            assert await servers.wrong() == []
        else:
            await servers.reaches(501)
            assert any("doubled" in sentence for sentence in await servers.wrong())


async def test_a_writer_paused_and_resumed_at_any_moment_beside_a_second_one_doubles_nothing(servers: Servers) -> None:
    with writer_process(servers) as paused:
        for _ in range(4):
            load = asyncio.create_task(servers.add(2_000))
            await servers.reaches(await servers.rows() + 1 + servers.chance.randrange(500))
            os.kill(paused.pid, signal.SIGSTOP)
            with writer_process(servers):
                await load
                await servers.marked(servers.added())
                os.kill(paused.pid, signal.SIGCONT)
                await servers.add(500)
                await servers.marked(servers.added())
    assert await servers.wrong() == []


async def test_a_writer_that_hangs_with_the_watermarks_locked_is_taken_over(servers: Servers) -> None:
    await servers.add(500)
    with writer_process(servers, "hanging") as hanging:
        async with connected(servers.dsn) as connection:

            async def locked() -> bool:
                return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock'"))

            await wait_until("the watermarks are locked", locked)
        os.kill(hanging.pid, signal.SIGSTOP)
        async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
            await servers.reaches(500)
        os.kill(hanging.pid, signal.SIGCONT)
        await servers.add(50)  # one more of its batches fails; it has no way to do harm
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        await servers.reaches(550)
    assert await servers.wrong() == []


async def test_postgresql_killed_and_restarted_under_load_loses_nothing(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        for _ in range(3):
            load = asyncio.create_task(servers.add(2_000))
            await servers.reaches(await servers.rows() + 1 + servers.chance.randrange(500))
            await asyncio.to_thread(servers.postgres.kill)
            await load
            faults = writer.figures.postgres_faults
            await servers.add(10)  # tills go on while the ledger is away, also where all of the load was written before

            async def tried(faults: int = faults) -> bool:
                return writer.figures.postgres_faults >= faults + 2

            await wait_until("the writer tried again", tried)
            await asyncio.to_thread(servers.postgres.start)
            await servers.reaches(servers.added())
        assert await servers.wrong() == []
    said = [record.getMessage() for record in caplog.records if "PostgreSQL is" in record.getMessage()]
    assert 3 <= sum("away" in line for line in said) <= 3 + writer.figures.valkey_faults
    assert sum("back" in line for line in said) == 3


async def test_valkey_killed_and_restarted_under_load_loses_nothing(servers: Servers) -> None:
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        for _ in range(3):
            await servers.add(1_000)
            await servers.reaches(await servers.rows() + 1)
            await asyncio.to_thread(servers.valkey.kill)
            faults = writer.figures.valkey_faults

            async def noticed(faults: int = faults) -> bool:
                return writer.figures.valkey_faults > faults

            await wait_until("the writer noticed", noticed)
            await asyncio.to_thread(servers.valkey.start)
            await servers.client.connection_pool.disconnect()
            await servers.add(500)
            await servers.reaches(servers.added())
        assert await servers.wrong() == []
        assert writer.figures.buckets_stopped == 0


async def test_a_valkey_that_accepts_but_does_not_answer_is_away_and_loses_nothing(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        await servers.add(500)
        await servers.reaches(500)
        servers.valkey.freeze()

        async def noticed() -> bool:
            return writer.figures.valkey_faults > 0

        await wait_until("the writer noticed", noticed)
        servers.valkey.resume()
        await servers.add(500)
        await servers.reaches(1_000)
    assert await servers.wrong() == []
    assert "the hot store is away (TimeoutError)" in caplog.text


async def test_an_old_backup_restored_by_a_restart_stops_every_bucket_before_a_row_of_it_is_written(
    servers: Servers,
) -> None:
    """The append-only files are exchanged for an older copy while the server is down, as an operator would."""
    files = servers.valkey.directory / "appendonlydir"
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer:
        async with running(writer):
            await servers.add(500)
            await servers.reaches(500)
            await asyncio.to_thread(servers.valkey.stop)
            copy = servers.valkey.directory / "backup"
            shutil.copytree(files, copy)
            await asyncio.to_thread(servers.valkey.start)
            await servers.client.connection_pool.disconnect()
            await servers.add(1_000)
            await servers.reaches(1_500)
        await asyncio.to_thread(servers.valkey.kill)
        shutil.rmtree(files)
        copy.rename(files)
        await asyncio.to_thread(servers.valkey.start)
        await servers.client.connection_pool.disconnect()
        await servers.add(1_000)  # enough that every stream ends after its watermark again
        with pytest.raises(LedgerStopped, match="all 8 buckets are stopped: the stream counts"):
            await asyncio.wait_for(writer.run(asyncio.Event()), 10)
    assert await servers.rows() == 1_500


async def test_a_stop_while_postgresql_is_away_ends_in_time_and_loses_nothing(servers: Servers) -> None:
    with writer_process(servers) as process:
        await asyncio.to_thread(servers.postgres.kill)
        await servers.add(500)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0
        await asyncio.to_thread(servers.postgres.start)
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        await servers.reaches(500)
    assert await servers.wrong() == []


async def test_a_stream_that_was_overwritten_stops_its_bucket_alone(servers: Servers) -> None:
    async with ledger_writer(servers.valkey.url, servers.dsn, BUCKETS) as writer, running(writer):
        await servers.add(400)
        await servers.marked(servers.added())
        await servers.client.set(keys.ledger_stream(3), "not a stream")

        async def frozen() -> bool:
            return bool(await servers.client.exists(keys.frozen(3)))

        await wait_until("the bucket is frozen", frozen)
        others = [entry for entry in (servers.generator.entry() for _ in range(400)) if entry[0] != 3]
        await add(servers.client, others, servers.acknowledged)
        await servers.marked(servers.added())
        status = await writer.status()
        assert set(status.stopped) == {3}
        assert status.backlog == 0
