"""Work in pieces: when each begins."""

import asyncio
import time

import pytest

from redemption.ledger.writer import BUSY_ENTRIES, ENTRY_SECONDS, spread_of
from redemption.waiting import AT_ONCE, Spread


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
