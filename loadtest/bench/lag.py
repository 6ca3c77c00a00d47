"""Lag of the ledger while it is loaded, measured from outside.

It is the entries of the streams less rows, and the age of the oldest entry that is not in the ledger, by comparing the
streams' last ids with the watermarks a while later.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
from redis import Redis

from loadtest.stack import Stack

LOOK_SECONDS: Final = 0.2


@dataclass
class Lag:
    """Seconds the ledger was behind, at each look; `faults` of looking."""

    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """Return the largest, 0.0 where there was none."""
        return max(self.seconds, default=0.0)


@contextmanager
def watched_lag(stack: Stack) -> Iterator[Lag]:
    """Look five times a second for the length of the block."""
    lag, ended = Lag(), threading.Event()
    watcher = threading.Thread(target=lambda: asyncio.run(_watch(stack, lag, ended)))
    watcher.start()
    try:
        yield lag
    finally:
        ended.set()
        watcher.join()


async def _watch(stack: Stack, lag: Lag, ended: threading.Event) -> None:
    ledger = await asyncpg.connect(stack.postgres_dsn)
    try:
        with Redis.from_url(stack.valkey_url) as hot:
            buckets = await ledger.fetchval("SELECT buckets FROM installation")
            while not ended.is_set():
                began = time.monotonic()
                lag.seconds.append(await oldest_seconds(hot, ledger, buckets))
                await asyncio.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))
    except (OSError, asyncpg.PostgresError) as fault:
        lag.faults.append(repr(fault))
    finally:
        await ledger.close()


async def oldest_seconds(hot: Any, ledger: "asyncpg.Connection[Any]", buckets: int) -> float:
    """Return the age of the oldest entry above its bucket's watermark, by the hot store's clock; 0.0 where there is
    none."""
    rows = await ledger.fetch("SELECT bucket, last_ms, last_seq FROM ledger_watermark")
    marks = {row["bucket"]: (row["last_ms"], row["last_seq"]) for row in rows}
    pipeline = hot.pipeline(transaction=False)
    pipeline.time()
    for bucket in range(buckets):
        ms, seq = marks.get(bucket, (0, 0))
        pipeline.xrange(f"{{b{bucket}}}:ledger", f"({ms}-{seq}", "+", count=1)
    (seconds, micros), *firsts = pipeline.execute()
    now_ms = seconds * 1000 + micros / 1000
    ages = [now_ms - int(entries[0][0].partition(b"-")[0]) for entries in firsts if entries]
    return float(max(ages, default=0.0)) / 1000
