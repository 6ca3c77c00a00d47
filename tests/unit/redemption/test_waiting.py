"""Work in pieces: when each begins. Tasks: that they end."""

import asyncio
import time

import pytest

from redemption import waiting
from redemption.ledger.writer import BUSY_ENTRIES, ENTRY_SECONDS, spread_of
from redemption.waiting import AT_ONCE, Spread, end_tasks


async def begun(spread: Spread, pieces: int) -> list[float]:
    """When each piece began, in seconds after the first."""
    times = []
    for _ in range(pieces):
        await spread.piece()
        times.append(asyncio.get_running_loop().time())
    return [at - times[0] for at in times]


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError(f"it pauses for {seconds} s")

    monkeypatch.setattr(asyncio, "sleep", sleep)


async def test_pieces_begin_evenly() -> None:
    resolution = time.get_clock_info("monotonic").resolution + 1e-3  # a timer may come a little before its time
    for number, at in enumerate(await begun(Spread(0.1, 5), 5)):
        assert at >= number * 0.02 - resolution


@pytest.mark.usefixtures("no_pause")
async def test_who_is_late_begins_at_once() -> None:
    spread = Spread(0.04, 4)
    await spread.piece()
    time.sleep(0.05)  # noqa: ASYNC251 - the piece itself took longer than all should
    await begun(spread, 3)


@pytest.mark.usefixtures("no_pause")
async def test_the_first_piece_and_those_without_a_time_begin_at_once() -> None:
    await Spread(60.0, 2).piece()
    await begun(AT_ONCE, 100)


async def test_a_batch_is_spread_unless_it_is_behind() -> None:
    assert spread_of(BUSY_ENTRIES) is AT_ONCE
    assert spread_of(0) is not AT_ONCE
    last = (await begun(spread_of(100), 3))[-1]
    assert last >= 100 * ENTRY_SECONDS * 2 / 3 - 1e-3


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def loses_one() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:  # as wait_for does before Python 3.12, when what it waits for has just ended
                lost += 1
                if lost > 1:
                    raise

    task = asyncio.create_task(loses_one())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=0.05)
    assert not task.done(), "the control: whoever waits for its end after one cancellation waits for ever"
    await end_tasks(task)
    assert task.cancelled()


async def test_a_task_that_cannot_be_ended_is_left_behind_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stay, said = True, list[str]()
    monkeypatch.setattr(waiting.logger, "warning", lambda text, *values: said.append(text % values))

    async def stays() -> None:
        while stay:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                continue

    async def fails() -> None:
        raise ValueError("told to nobody")

    task = asyncio.create_task(stays(), name="the stubborn one")
    await asyncio.sleep(0)  # it has begun: before that a cancellation ends any task
    await end_tasks(task, asyncio.create_task(fails()), seconds=0.1)
    assert said == ["the stubborn one did not end within 0 s and is left behind"]
    stay = False
    await end_tasks(task)
    assert task.done()
