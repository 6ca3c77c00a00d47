"""kill -9 of an archive and of a restore at random points: a month is in the ledger or in the archive, whole, and
running the command again comes to the end. Beside a writer, nothing that comes late becomes a dead letter."""

import asyncio
import datetime
import random
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from redemption.database import Pool
from redemption.ledger.streams import open_stream_client
from tests.support.ledger.archives import BUCKETS, archived, fill, findings, restored, rows, settled_and_sealed
from tests.support.ledger.ledger import add, install, redeem_fields
from tests.support.ledger.writers import ledger_writer, running
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import private_valkey
from tests.support.settlement.settlement import at, group_pool
from tests.support.suite.waiting import wait_until

ROUNDS_MAX = 60


async def killed_until_done(pool: Pool, what: str, dsn: str, folder: Path, chance: random.Random) -> None:
    """Kills the command again and again, the first time for certain, until a run comes to its end; the audit holds
    after each kill."""
    for number in range(ROUNDS_MAX):
        # The later rounds leave more time, so that an end is reached.
        steps, pause = chance.randint(1, 8) + 2 * number, 0.0 if number == 0 else chance.uniform(0, 0.06)
        if await killed_after(what, dsn, folder, steps, pause) == 0:
            assert number > 0
            return
        assert await findings(pool, folder) == []
    raise AssertionError(f"not done after {ROUNDS_MAX} kills")


async def killed_after(what: str, dsn: str, folder: Path, steps: int, pause: float) -> int:
    """Lets the command take so many steps and, with a pause, begin the next; then kills it. Its exit status."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.ledger.archives", what, dsn, str(folder), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for _ in range(steps):
            if not await asyncio.wait_for(process.stdout.readline(), 60):
                break  # it is at its end
            process.stdin.write(b"on\n")
            await process.stdin.drain()
        else:
            # It waits for our word at the next step and cannot come to its end without it.
            if await asyncio.wait_for(process.stdout.readline(), 60) and pause:
                process.stdin.write(b"on\n")
                await process.stdin.drain()
                await asyncio.sleep(pause)
            process.kill()
    finally:
        process.stdin.close()
        status = await asyncio.wait_for(process.wait(), 60)
    return status


async def test_killed_at_any_point_a_month_is_in_the_ledger_or_in_the_archive(
    postgres: PrivatePostgres, chance: random.Random, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        counted = await rows(pool)
        await killed_until_done(pool, "archive", dsn, tmp_path, chance)
        assert await findings(pool, tmp_path) == []
        assert await pool.fetchval("SELECT count(*) FROM ledger_archive") == 5
        assert sorted(path.name for path in tmp_path.iterdir())[0] == "2026-01.1", "nothing half done is left"
        await killed_until_done(pool, "restore", dsn, tmp_path, chance)
        assert await findings(pool) == []
        assert await rows(pool) == counted


async def test_beside_a_writer_months_go_and_entries_that_come_late_are_taken_in(
    postgres: PrivatePostgres, chance: random.Random, tmp_path: Path
) -> None:
    """The writer remembers the month as made; it is archived; an entry of it comes."""
    january = int(at("2026-01-20T00:00") * 1000)
    async with private_valkey() as valkey, postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        client = open_stream_client(valkey.url)
        await install(client, BUCKETS)
        async with ledger_writer(valkey.url, dsn, BUCKETS) as writer, running(writer):

            async def written(count: int) -> None:
                async def there() -> bool:
                    return writer.figures.transactions >= count

                await wait_until(f"{count} entries are written", there)

            entries = [redeem_fields(number, f"rdm_{number}", at_ms=january) for number in range(200)]
            await add(client, [(number % BUCKETS, fields) for number, fields in enumerate(entries)], {})
            await written(200)
            await settled_and_sealed(pool)
            before = datetime.date(2026, 2, 1)
            (month,) = (await archived(pool, tmp_path, before=before)).months
            assert (month.part, month.transactions) == ("2026-01.1", 200)
            await add(client, [(1, redeem_fields(1, "rdm_late", at_ms=january))], {})
            await written(201)
            assert writer.figures.dead_letters == 0
            await settled_and_sealed(pool)
            assert await findings(pool, tmp_path) == []
            assert (await archived(pool, tmp_path, before=before)).months[0].part == "2026-01.2"
            assert [await restored(pool, tmp_path) for _ in range(2)] == ["2026-01.2", "2026-01.1"]
            assert await findings(pool) == []
        await client.aclose()
