"""Ledger writers for tests: the shipped one, and controls each of which lacks one thing that keeps it right.

As a program, `python -m tests.support.ledger.writers <variant> <valkey url> <postgres dsn> <buckets>` writes until
SIGTERM.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from redemption.database import open_pool
from redemption.ledger.store import Item, LedgerStore, Session, Watermark, advanced
from redemption.ledger.streams import LedgerStreams, open_stream_client
from redemption.ledger.writer import LedgerWriter, run_writer
from redemption.waiting import AT_ONCE, Spread

TAKEOVER_SECONDS = 1.0  # short, so that a test of a hanging writer is
GAP_SECONDS = 0.2


class WatermarkApart(LedgerStore):
    """Control: commits the rows, and the watermark a moment later on its own."""

    async def commit(
        self, items: Sequence[Item], watermarks: Mapping[int, Watermark], spread: Spread = AT_ONCE
    ) -> dict[int, Watermark] | None:
        moved = advanced(items, watermarks)
        async with self._session() as session:
            await self._ensure_months(session, items)
            async with session.transaction():
                await self.write(session, items, watermarks, spread)
            await asyncio.sleep(GAP_SECONDS)
            await self.advance(session, moved)
        return moved


class Unfenced(LedgerStore):
    """Control: neither locks the watermarks nor compares them."""

    async def lock(self, session: Session, expected: Mapping[int, Watermark]) -> bool:
        return True


class Hanging(LedgerStore):
    """The shipped store, but it stands still with the watermarks locked, as a paused process does."""

    async def advance(self, session: Session, moved: Mapping[int, Watermark]) -> None:
        await asyncio.sleep(60)
        await super().advance(session, moved)


class Slow(LedgerStore):
    """Says when it holds a batch it has read, and waits a moment before it locks the watermarks."""

    async def commit(
        self, items: Sequence[Item], watermarks: Mapping[int, Watermark], spread: Spread = AT_ONCE
    ) -> dict[int, Watermark] | None:
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        await asyncio.sleep(GAP_SECONDS)
        return await super().commit(items, watermarks, spread)


class SlowUnfenced(Slow, Unfenced):
    """Control for `Slow`."""


VARIANTS: dict[str, type[LedgerStore]] = {
    "shipped": LedgerStore,
    "watermark-apart": WatermarkApart,
    "unfenced": Unfenced,
    "hanging": Hanging,
    "slow": Slow,
    "slow-unfenced": SlowUnfenced,
}


@asynccontextmanager
async def ledger_writer(
    valkey_url: str, dsn: str, buckets: int, variant: str = "shipped"
) -> AsyncIterator[LedgerWriter]:
    """A writer with its own connections, not yet running."""
    client = open_stream_client(valkey_url)
    pool = await open_pool(dsn)
    try:
        yield LedgerWriter(
            LedgerStreams(client),
            VARIANTS[variant](pool, TAKEOVER_SECONDS),
            range(buckets),
            tend_seconds=0.1,
            back_off_max_seconds=0.3,
        )
    finally:
        pool.terminate()
        await client.aclose()


@asynccontextmanager
async def running(writer: LedgerWriter) -> AsyncIterator["asyncio.Task[None]"]:
    """The writer runs for the length of the block; the task is given so that its end can be seen."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_writer(writer, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=20)
        if not task.done():
            task.cancel()
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError


async def main(variant: str, valkey_url: str, dsn: str, buckets: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with ledger_writer(valkey_url, dsn, int(buckets), variant) as writer:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await run_writer(writer, stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
