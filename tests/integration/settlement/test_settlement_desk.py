"""The bounds of settlement in a worker: what is too much is refused at once, what does not answer is `unavailable`."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.api.settlement.limiter import SettlementLimiter
from gateway.problems.documents import Problem
from gateway.settings import Settings
from gateway.statements.exports import StatementExports
from redemption.database import open_pool
from redemption.domain.limits import SETTLEMENT_CALLS_MAX, SETTLEMENT_TRANSFERS_MAX
from redemption.settlement.periods import PeriodAltered
from tests.support.servers.postgres import PrivatePostgres


@pytest.fixture
async def limiter(postgres: PrivatePostgres) -> AsyncIterator[SettlementLimiter]:
    async with postgres.fresh_database() as dsn:
        pool = await open_pool(dsn)
        try:
            yield SettlementLimiter(pool, time.time, StatementExports(Settings(), pool, time.time))
        finally:
            await pool.close()


async def problem_of(call: "asyncio.Future[object]") -> Problem:
    with pytest.raises(Problem) as raised:
        await call
    return raised.value


async def test_more_calls_than_the_bound_are_refused_and_the_next_is_taken_again(limiter: SettlementLimiter) -> None:
    held = asyncio.Event()
    waiting = [asyncio.ensure_future(limiter.run(held.wait())) for _ in range(SETTLEMENT_CALLS_MAX)]
    await asyncio.sleep(0)
    refused = await problem_of(asyncio.ensure_future(limiter.run(limiter.pages.period_named("1"))))
    assert refused.kind.code == "overloaded"
    held.set()
    assert await asyncio.gather(*waiting) == [True] * SETTLEMENT_CALLS_MAX
    assert await limiter.run(limiter.pages.period_named("1")) is None


async def test_more_files_than_the_bound_are_refused(limiter: SettlementLimiter) -> None:
    taken = [limiter.transfer() for _ in range(SETTLEMENT_TRANSFERS_MAX)]
    for transfer in taken:
        transfer.__enter__()
    with pytest.raises(Problem) as raised, limiter.transfer():
        pass
    assert raised.value.kind.code == "overloaded"
    for transfer in taken:
        transfer.__exit__(None, None, None)
    with limiter.transfer():
        pass


async def test_a_fault_says_whether_something_may_have_been_done(limiter: SettlementLimiter) -> None:
    slow = limiter.pool.fetchval("SELECT pg_sleep(30)")
    read = await problem_of(asyncio.ensure_future(limiter.run(slow, seconds=0.1)))
    assert (read.kind.code, read.unknown) == ("unavailable", False)
    await limiter.pool.close()
    changed = await problem_of(asyncio.ensure_future(limiter.run(limiter.pages.period_named("1"), changes=True)))
    assert (changed.kind.code, changed.unknown) == ("unavailable", True)


async def test_altered_lines_are_said_and_not_taken_for_a_fault(limiter: SettlementLimiter) -> None:
    async def altered() -> None:
        raise PeriodAltered("202611.hotel.mall: closed with 1, its lines now give 2")

    found = await problem_of(asyncio.ensure_future(limiter.run(altered())))
    assert found.kind.code == "period_altered"
    assert "202611.hotel.mall" in found.detail
