"""The projector on a real PostgreSQL: a projection that is new, raises, hangs or is behind holds no other."""

import asyncio
import datetime
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import pytest

from redemption.database import Connection, Pool
from redemption.projections.projection import Projection
from redemption.projections.projector import ProjectionFailed, Projector
from redemption.projections.rows import LedgerRow, Place
from redemption.projections.status import ProjectionStatus, begin, read_status
from redemption.settlement.production import SettlementLines
from tests.support.ledger.archives import JUNE, archiver, fill, settled_and_sealed
from tests.support.ledger.outlet_hours import BUCKETS, MIGRATION, OutletHours, add_redemptions
from tests.support.ledger.outlet_hours import differences as counter_differences
from tests.support.settlement.settlement import Book, agree, differences
from tests.support.suite.waiting import wait_until

OLD_ROWS = 3_000


class Faulty(OutletHours):
    """The counter with a fault: it raises or hangs after it has written, until it is mended."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.calls = 0

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        await super().apply(connection, rows)
        self.calls += 1
        if self.fault == "raises":
            raise ValueError("it says something of a row")
        if self.fault == "hangs":
            await asyncio.sleep(600)
        if self.fault == "hangs in PostgreSQL":
            await connection.execute("SELECT pg_sleep(600)")


class Reads(Projection):
    """A projection that keeps what it was given, apart from PostgreSQL."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches: list[list[Place]] = []

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        self.batches.append([row.place for row in rows])


@asynccontextmanager
async def following(pool: Pool, *projections: Projection) -> AsyncIterator[Projector]:
    projector = Projector(pool, projections, catch_up_transactions=50, apply_seconds=1.0, takeover_seconds=1.0)
    stop = asyncio.Event()
    task = asyncio.create_task(projector.follow(stop))
    try:
        yield projector
    finally:
        stop.set()
        await task


async def status_of(pool: Pool, name: str) -> ProjectionStatus:
    return next(each for each in await read_status(pool) if each.name == name)


def caught_up(pool: Pool, name: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        status = await status_of(pool, name)
        return status.buckets_behind == 0 and status.stopped_because is None

    return look


@pytest.fixture
async def book(pool: Pool) -> Book:
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9800})
    return Book(pool)


async def test_a_new_projection_is_filled_from_the_beginning_while_the_others_follow_and_ends_exact(
    pool: Pool, book: Book
) -> None:
    await add_redemptions(book, 0, OLD_ROWS)
    await Projector(pool, (SettlementLines(),)).run()
    await pool.execute(MIGRATION)
    async with following(pool, SettlementLines(), OutletHours()):
        still_filling = 0
        for number in range(6):
            await add_redemptions(book, OLD_ROWS + 10 * number, 10)
            await wait_until("settlement is at the ledger's end", caught_up(pool, SettlementLines.name))
            still_filling += not await caught_up(pool, OutletHours.name)()
        await wait_until("the counter is at the ledger's end", caught_up(pool, OutletHours.name))
    assert still_filling > 0
    assert await counter_differences(pool) == 0
    assert await differences(pool) == []
    assert await pool.fetchval("SELECT sum(uses)::int FROM test_outlet_hour") == OLD_ROWS + 60


@pytest.mark.parametrize("fault", ["raises", "hangs", "hangs in PostgreSQL"])
async def test_a_projection_that_fails_is_stopped_alone_named_and_catches_up_once_it_is_mended(
    pool: Pool, book: Book, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    await pool.execute(MIGRATION)
    faulty = Faulty(fault)
    async with following(pool, SettlementLines(), faulty) as projector:
        for number in range(4):
            await add_redemptions(book, 100 * number, 100)
            await wait_until("settlement goes on", caught_up(pool, SettlementLines.name))

        async def stopped() -> bool:
            return (await status_of(pool, faulty.name)).stopped_because is not None

        await wait_until("the stop is noted", stopped)
        status = await status_of(pool, faulty.name)
        assert status.buckets_behind == BUCKETS
        assert await pool.fetchval("SELECT count(*) FROM test_outlet_hour") == 0
        assert projector.figures.stopped.keys() == {faulty.name}
        assert f"projection {faulty.name} is stopped" in caplog.text
        assert "something of a row" not in f"{caplog.text}{status.stopped_because}"
        faulty.fault = "none"
        await wait_until("it has caught up", caught_up(pool, faulty.name))
        assert projector.figures.stopped == {}
    assert await counter_differences(pool) == 0
    assert await differences(pool) == []


async def test_without_stopping_it_alone_a_projection_that_raises_holds_the_others(pool: Pool, book: Book) -> None:
    """Control: all share one fate."""

    class Together(Projector):
        def _stop(self, failure: ProjectionFailed, stop: asyncio.Event) -> None:
            self._in_step.append(failure.projection)
            raise failure.fault from None

    await pool.execute(MIGRATION)
    await add_redemptions(book, 0, 100)
    stop = asyncio.Event()
    # The one that raises comes first, so that the others are never reached.
    task = asyncio.create_task(Together(pool, (Faulty("raises"), SettlementLines())).follow(stop))
    try:
        with pytest.raises(ValueError, match="something of a row"):
            await task
    finally:
        stop.set()
    assert (await status_of(pool, SettlementLines.name)).buckets_behind == BUCKETS


async def test_projections_in_step_share_a_read_and_one_behind_gets_only_what_it_lacks(pool: Pool, book: Book) -> None:
    one, other = Reads("test_one"), Reads("test_other")
    await pool.execute("SELECT projection_register(name) FROM unnest(ARRAY['test_one', 'test_other']) AS name")
    await add_redemptions(book, 0, 8 * BUCKETS)
    await Projector(pool, (one,)).run()
    await add_redemptions(book, 8 * BUCKETS, 2 * BUCKETS)
    assert await Projector(pool, (one, other)).run() == 10 * BUCKETS
    assert [len(batch) for batch in one.batches] == [8] * BUCKETS + [2] * BUCKETS
    assert [len(batch) for batch in other.batches] == [10] * BUCKETS
    assert sorted(chain(*one.batches)) == sorted(chain(*other.batches))
    assert await Projector(pool, (one, other)).run() == 0


async def test_dead_letters_move_every_mark_to_the_watermark(pool: Pool, book: Book) -> None:
    await add_redemptions(book, 0, BUCKETS)
    await pool.execute("UPDATE ledger_watermark SET last_ms = last_ms + 1000")
    projector = Projector(pool, (SettlementLines(),))
    assert [await projector.run(), await projector.run()] == [BUCKETS, 0]
    assert (await status_of(pool, SettlementLines.name)).buckets_behind == 0


async def test_a_month_stays_until_every_registered_projection_has_read_it_and_a_later_one_waits_for_a_decision(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance, redemptions=40)
    await pool.execute("SELECT projection_register('test_one')")
    (refused,) = (await archiver(pool).archive(JUNE, tmp_path)).months
    assert refused.refused is not None
    assert "projection test_one has not read bucket 0" in refused.refused
    one, later = Reads("test_one"), Reads("test_later")
    await Projector(pool, (one,)).run()
    report = await archiver(pool).archive(JUNE, tmp_path)
    assert [month.refused for month in report.months] == [None] * 5

    await pool.execute("SELECT projection_register('test_later')")
    async with following(pool, one, later):

        async def waits() -> bool:
            return (await status_of(pool, later.name)).stopped_because is not None

        await wait_until("it waits", waits)
    status = await status_of(pool, later.name)
    assert status.begun_at is None
    assert "tong projections begin test_later" in (status.stopped_because or "")
    assert later.batches == []
    assert await begin(pool, later.name)
    assert not await begin(pool, later.name)
    await settled_and_sealed(pool)
    async with following(pool, one, later):
        await wait_until("it has caught up", caught_up(pool, later.name))
    assert (await status_of(pool, later.name)).complete_from == datetime.date(2026, 6, 1)
    assert sum(len(batch) for batch in later.batches) == await pool.fetchval("SELECT count(*) FROM ledger_transaction")
