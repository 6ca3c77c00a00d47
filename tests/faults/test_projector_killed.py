"""kill -9 and SIGSTOP of projectors at random points while the ledger grows; every projection ends as one afresh."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

import pytest

from redemption.database import Connection, Pool
from redemption.projections.projection import Projection
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from redemption.projections.rows import LedgerRow
from tests.support.ledger.outlet_hours import MIGRATION, OutletHours
from tests.support.ledger.projections import TAKEOVER_SECONDS, differences
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import BUSINESSES, Book, agree, at, group_pool
from tests.support.suite.waiting import wait_until

ROUNDS = 8
BUCKETS = 3


async def projecting(dsn: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.ledger.projections", dsn, stdout=PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
    return process


class History:
    """Redemptions, purchases, refunds and reversals by chance, over ends of days and of a month."""

    def __init__(self, pool: Pool, chance: random.Random) -> None:
        self._book = Book(pool)
        self._chance = chance
        self._number = 0
        self._when = at("2026-10-28T00:00")

    async def grow(self, count: int) -> None:
        for _ in range(count):
            number, chance = self._number, self._chance
            self._number += 1
            self._when += chance.randint(1, 3_600)
            when, business, bucket = self._when, chance.choice(BUSINESSES), number % BUCKETS
            units = chance.randint(1, 900)
            lot = f"202912.{chance.choice(BUSINESSES)}"
            if number % 2:
                bill = {"reference": f"b{number}", "amount_minor": units, "currency": "CNY"}
                moves = [("points", f"202912.{business}", "I", "A", units)]
                self._book.add("accrue", f"acr_{number}", business, moves, when, bucket=bucket, bill=bill)
                if chance.random() < 0.3:
                    back = [("points", f"202912.{business}", "A", "I", units)]
                    self._book.add("reverse", f"acr_{number}", business, back, when + 86_400, bucket=bucket)
                continue
            leg = {"kind": "points", "points": units, "value_minor": units}
            moves = [("points", lot, "A", "R", units)]
            self._book.add("redeem", f"rdm_{number}", business, moves, when, legs=[leg], bucket=bucket)
            if chance.random() < 0.3:
                back = [("points", lot, "R", "A", units)]
                self._book.add("refund", f"rdm_{number}", business, back, when + 0.5, bucket=bucket)
        await self._book.flush()


async def prepared(pool: Pool) -> None:
    await pool.execute(MIGRATION)
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9800})


async def finished(pool: Pool) -> None:
    projector = Projector(pool, (*registered_projections(), OutletHours()), takeover_seconds=TAKEOVER_SECONDS)
    while await projector.run():
        pass


async def test_killed_and_paused_at_any_point_every_projection_is_the_one_computed_afresh(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await prepared(pool)
        history = History(pool, chance)
        paused: list[Process] = []
        try:
            for number in range(ROUNDS):
                await history.grow(60)
                process = await projecting(dsn)
                await asyncio.sleep(chance.uniform(0, 0.4))
                if number % 2:
                    os.kill(process.pid, signal.SIGSTOP)
                    paused.append(process)
                else:
                    process.kill()
                    await process.wait()
            await history.grow(60)
            process = await projecting(dsn)
            paused.append(process)

            async def up_to_date() -> bool:
                return not await pool.fetchval(
                    "SELECT count(*) FROM projection CROSS JOIN ledger_watermark AS l LEFT JOIN projection_mark AS m"
                    " ON (m.projection, m.bucket) = (name, l.bucket)"
                    " WHERE (m.last_ms, m.last_seq) IS DISTINCT FROM (l.last_ms, l.last_seq)"
                )

            await wait_until("every projection is at the ledger's end", up_to_date, seconds=90)
            assert await differences(pool) == []
            for each in paused:
                os.kill(each.pid, signal.SIGCONT)
            await asyncio.sleep(0.5)
            await finished(pool)
            assert await differences(pool) == []
        finally:
            for each in paused:
                each.kill()
                await each.wait()


class Apart(OutletHours):
    """Control: its rows are committed apart from its mark."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        async with self._pool.acquire() as other:
            await super().apply(other, rows)


class CutOff(Projection):
    """Comes after the other in a batch and loses the connection."""

    name = "settlement_lines"

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        raise ConnectionResetError


@pytest.mark.parametrize("apart", [False, True])
async def test_a_batch_that_is_cut_off_counts_twice_only_where_rows_and_mark_are_committed_apart(
    postgres: PrivatePostgres, chance: random.Random, apart: bool
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await prepared(pool)
        await History(pool, chance).grow(60)
        with pytest.raises(ConnectionResetError):
            await Projector(pool, (Apart(pool) if apart else OutletHours(), CutOff())).run()
        await finished(pool)
        assert (await differences(pool) != []) is apart
