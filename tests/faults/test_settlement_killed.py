"""kill -9 and SIGSTOP of settling processes at random points, two at once, a month closed while lines are written; and
the controls, each without one thing that keeps it right, that must fail."""

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from redemption.database import FAULTS, Pool, open_pool
from redemption.domain.clock import Clock
from redemption.projections.projector import Projector
from redemption.settlement.periods import Closed, Periods
from redemption.settlement.production import Production, SettlementLines
from tests.support.servers.postgres import PrivatePostgres, private_postgres
from tests.support.settlement.process import TAKEOVER_SECONDS
from tests.support.settlement.settlement import BUSINESSES, Book, agree, at, differences, group_pool
from tests.support.suite.waiting import wait_until

ENTRIES = 1_200
BATCH = 10
BUCKETS = 3
ROUNDS_MAX = 60


async def fill(pool: Pool, chance: random.Random) -> None:
    """Redemptions of points from two issuers, a third of them refunded."""
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9800})
    book = Book(pool)
    when = at("2026-11-05T00:00")
    for number in range(ENTRIES * 3 // 4):
        bucket, when = number % BUCKETS, when + 1
        units = [chance.randint(1, 900), chance.randint(1, 900)]
        lots = [f"202701.{issuer}" for issuer in chance.sample(BUSINESSES, 2)]
        business = chance.choice(BUSINESSES)
        moves = [("points", lot, "A", "R", amount) for lot, amount in zip(lots, units, strict=True)]
        leg = {"kind": "points", "points": sum(units), "value_minor": chance.randint(1, 2_000)}
        book.add("redeem", f"rdm_{number}", business, moves, when, legs=[leg], bucket=bucket)
        if number % 3 == 0:
            back = [("points", lot, "R", "A", amount) for lot, amount in zip(lots, units, strict=True)]
            book.add("refund", f"rdm_{number}", business, back, when + 0.5, bucket=bucket)
    await book.flush()


@asynccontextmanager
async def settling(dsn: str, variant: str = "shipped") -> AsyncIterator[Process]:
    """A settling process that is ready; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.settlement.process", variant, dsn, str(BATCH), stdout=PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: Process, seconds: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def killed_until_done(dsn: str, chance: random.Random, variant: str) -> int:
    """Kills again and again until one comes to its end; how often."""
    for kills in range(ROUNDS_MAX):
        async with settling(dsn, variant) as process:
            # The later rounds leave more time, so that an end is reached.
            if await ended(process, chance.uniform(0, 0.12) + kills * 0.01):
                return kills
    raise AssertionError(f"not done after {ROUNDS_MAX} kills")


async def test_killed_at_any_point_everything_is_settled_exactly_once(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        assert await killed_until_done(dsn, chance, "shipped") > 0
        assert await differences(pool) == []
        assert (await Production(pool).run()).lines == 0


async def test_with_lines_and_mark_committed_apart_a_kill_loses_lines(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        await killed_until_done(dsn, chance, "lines-apart")
        assert await differences(pool) != []


class Patient(Projector):
    """Control: ends nobody."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, (SettlementLines(),), batch_transactions=BATCH, takeover_seconds=TAKEOVER_SECONDS)
        self._queries = {**self._queries, "end_stalled": "SELECT WHERE $1::interval IS NULL"}


@pytest.mark.parametrize("variant", ["hanging", "hanging-in-copy"])
async def test_one_that_stands_still_in_a_batch_is_ended_and_another_goes_on(
    postgres: PrivatePostgres, chance: random.Random, variant: str
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        async with settling(dsn, variant) as first:
            assert first.stdout is not None
            assert await asyncio.wait_for(first.stdout.readline(), 10) == b"holding\n"
            os.kill(first.pid, signal.SIGSTOP)
            began = time.monotonic()
            await Production(pool, batch_transactions=BATCH, takeover_seconds=TAKEOVER_SECONDS).run()
            assert time.monotonic() - began < 40
            assert await differences(pool) == []
            os.kill(first.pid, signal.SIGCONT)
        assert await differences(pool) == []


async def test_one_that_stands_still_in_a_copy_is_not_ended_by_its_timeouts(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        async with settling(dsn, "hanging-in-copy") as first:
            assert first.stdout is not None
            assert await asyncio.wait_for(first.stdout.readline(), 10) == b"holding\n"
            os.kill(first.pid, signal.SIGSTOP)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await Patient(pool).run()
            os.kill(first.pid, signal.SIGCONT)


async def test_one_stopped_at_any_point_and_woken_up_later_settles_nothing_twice(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        async with settling(dsn) as first:
            await ended(first, chance.uniform(0.01, 0.15))
            if first.returncode is None:
                os.kill(first.pid, signal.SIGSTOP)
            await Production(pool, batch_transactions=BATCH, takeover_seconds=TAKEOVER_SECONDS).run()
            assert await differences(pool) == []
            if first.returncode is None:
                os.kill(first.pid, signal.SIGCONT)
            assert await ended(first, 30)
        assert await differences(pool) == []


async def test_two_processes_at_once_of_which_one_is_killed_settle_everything_once(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        async with settling(dsn) as first, settling(dsn) as second:
            await ended(first, chance.uniform(0, 0.2))
            if first.returncode is None:
                first.kill()
            assert await ended(second, 60)
        await Production(pool).run()
        assert await differences(pool) == []


async def test_two_runs_at_once_settle_everything_once(postgres: PrivatePostgres, chance: random.Random) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        done = await asyncio.gather(*(Production(pool, batch_transactions=BATCH).run() for _ in range(2)))
        assert sum(each.lines for each in done) == await pool.fetchval("SELECT count(*) FROM settlement_line")
        assert await differences(pool) == []


async def commits_wait(postgres: PrivatePostgres, *, ever: bool) -> None:
    """Every COMMIT waits for a standby that there is not, once its record is on disk; or no longer."""
    change = "SET synchronous_standby_names = 'nobody'" if ever else "RESET ALL"
    await postgres.execute(f"ALTER SYSTEM {change}")
    await postgres.execute("SELECT pg_reload_conf()")


async def test_postgresql_killed_in_the_middle_of_a_commit_leaves_the_batch_whole_and_nothing_twice(
    chance: random.Random,
) -> None:
    """The hardest moment: the batch is committed, and its settling process never hears of it."""
    with private_postgres() as postgres:
        async with postgres.fresh_database() as dsn:
            async with group_pool(dsn) as pool:
                await fill(pool, chance)
            for _ in range(3):
                await commits_wait(postgres, ever=True)
                pool, watch = await open_pool(dsn), await open_pool(dsn, size=1)
                before = await watch.fetchval("SELECT count(*) FROM settlement_line")
                settling = asyncio.create_task(Production(pool, batch_transactions=BATCH).run())

                async def committing(watch: Pool = watch) -> bool:
                    return bool(
                        await watch.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
                    )

                await wait_until("a COMMIT waits", committing)
                await asyncio.to_thread(postgres.kill)
                with pytest.raises(FAULTS):
                    await settling
                pool.terminate()
                watch.terminate()
                await asyncio.to_thread(postgres.start)
                await commits_wait(postgres, ever=False)
            pool = await open_pool(dsn)
            try:
                assert await pool.fetchval("SELECT count(*) FROM settlement_line") > before
                await Production(pool).run()
                assert await differences(pool) == []
            finally:
                await pool.close()


class UnlockedPeriods(Periods):
    """Control: closes without holding the books alone."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        super().__init__(pool, clock)
        self._queries = {**self._queries, "freeze_books": "SELECT closed_through FROM settlement_books"}


async def closed_while_settling(postgres: PrivatePostgres, chance: random.Random, periods: type[Periods]) -> list[str]:
    """Closes November while its lines are being written; what does not hold afterwards."""
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await fill(pool, chance)
        writing = asyncio.create_task(Production(pool, batch_transactions=5).run())
        written = chance.randint(1, ENTRIES // 4)

        async def begun() -> bool:
            return bool(await pool.fetchval("SELECT count(*) >= $1 FROM settlement_line", written))

        await wait_until(f"{written} lines are there", begun)
        result = await periods(pool, lambda: at("2026-12-02T00:00")).close(202611, "test")
        assert isinstance(result, Closed)
        await writing
        months = await pool.fetch("SELECT DISTINCT period_month FROM settlement_line ORDER BY 1")
        assert [row[0] for row in months] == [202611, 202612]
        return await differences(pool)


async def test_a_month_closed_while_lines_are_written_takes_none_after_it_was_hashed(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    for _ in range(3):
        assert await closed_while_settling(postgres, chance, Periods) == []


async def test_without_holding_the_books_lines_slip_into_a_month_that_is_being_closed(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    found = [await closed_while_settling(postgres, chance, UnlockedPeriods) for _ in range(3)]
    assert any(found)
