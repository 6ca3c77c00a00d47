"""A worker's report once a second, and the samples of all workers where this one is elected.

The last hour's samples are kept for pages of operations.

Guarantees: what was counted reaches the totals exactly once while the hot store keeps its data: a report whose telling
failed is sent again unchanged, under the same number. No scan waits for anything here; a second's work is about a
millisecond, in pieces (docs/explanation/performance.md). While the hot store is away the figures do not change and are
marked as stale.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.observability.alarms import Earlier, judge
from gateway.observability.metrics import Metrics
from gateway.observability.scan_counters import Counted, ScanCounters
from gateway.observability.stats_format import (
    Outlet,
    Report,
    Sample,
    Totals,
    Worker,
    Writer,
    accepted,
    add_outlets,
    decode_report,
    decode_sample,
    decode_totals,
    decode_writer,
    encode,
    outcomes_of,
    points_by_business,
    refused,
)
from redemption.domain.clock import Clock
from redemption.domain.limits import FIGURES_KEPT_SECONDS
from redemption.ledger.streams import ValkeyAway
from redemption.live.stats_store import StatsStore, StreamEntry

PHASE_SECONDS: Final = 0.3
"""The moment within a second at which the work is done, after the whole second that names the sample."""
ALIVE_SECONDS: Final = 4
"""A worker that did not report for so long is not counted as one."""
FORGOTTEN_SECONDS: Final = 3_600
RECENT_SAMPLES: Final = 60
EARLIER_SAMPLES: Final = 600
"""The seconds for which accepted and refused scans are kept, to compare a jump with."""
CHECKPOINT_SECONDS: Final = 10
CHUNK_SAMPLES: Final = 100
"""Decoded in one go; scans come between."""

logger = logging.getLogger(__name__)


class StatsAggregator:
    """The aggregator of a worker. `samples` are the last hour's as texts with their seconds, `recent` the last minutes'
    as values."""

    def __init__(
        self,
        stats_store: StatsStore,
        counters: ScanCounters,
        metrics: Metrics,
        clock: Clock,
        standing: Callable[[], Worker],
    ) -> None:
        self._stats_store = stats_store
        self._counters = counters
        self._metrics = metrics
        self._clock = clock
        self._standing = standing
        self._number = 0
        self._pending: tuple[bytes, list[bytes]] | None = None
        self._last_heard: dict[str, tuple[Worker, int]] = {}
        self._loaded = False
        self._loaded_at = 0
        self._changed = asyncio.Event()
        self.ticks = 0
        self.totals = Totals()
        self.samples: deque[tuple[int, bytes]] = deque(maxlen=FIGURES_KEPT_SECONDS)
        self.recent: deque[Sample] = deque(maxlen=RECENT_SAMPLES)
        self._earlier: deque[Earlier] = deque(maxlen=EARLIER_SAMPLES)

    async def run(self) -> None:
        """Run until cancelled."""
        reachable = True
        while True:
            try:
                await self._tick()
                reachable = True
            except ValkeyAway as fault:
                if reachable:
                    logger.warning("figures do not change while the hot store is away: %s", fault)
                reachable = False
            except (msgspec.DecodeError, msgspec.ValidationError) as fault:
                logger.error("figures of another version are in the hot store: %s", fault)
            self.wake()
            await asyncio.sleep(max(0.05, 1.0 - (self._clock() - PHASE_SECONDS) % 1.0))

    async def next_second(self, timeout_seconds: float) -> bool:
        """Wait for the next look at the samples. Returns False where it did not come in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake everybody who waits for the next second."""
        self.ticks += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _tick(self) -> None:
        if not self._loaded:
            await self._load()
        if self._pending is None:
            self._pending = self._count()
        leads = await self._stats_store.report(*self._pending)
        self._pending = None
        await self._follow()
        if leads:
            await self._make_sample()

    async def _load(self) -> None:
        """Load the state that earlier workers left."""
        self.samples.clear()
        self.recent.clear()
        self._earlier.clear()
        text = await self._stats_store.checkpoint()
        if text is not None:
            self.totals = decode_totals(text)
        told = await self._stats_store.samples_after(0)
        await self._take(told)
        now = int(self._clock())
        if self.recent:
            self._last_heard = {worker.worker: (worker, now) for worker in self.recent[-1].workers}
        self._loaded, self._loaded_at = True, now

    def _count(self) -> tuple[bytes, list[bytes]]:
        """Return the next report and its refusals. Also adds to the counters of /metrics by outlet."""
        counted, unknown = self._counters.take()
        self._number += 1
        outlets = {name: _outlet(each) for name, each in counted.items()}
        for name, each in outlets.items():
            for result, count in (("accepted", accepted(each.outcomes)), ("refused", refused(each.outcomes))):
                if count:
                    self._metrics.outlet_scans.labels(each.business, name, result).inc(count)
        report = Report(self._number, self._standing(), unknown, outlets)
        return encode(report), [encode(each) for each in self._counters.take_refused()]

    async def _follow(self) -> None:
        """Read the samples that others made."""
        await self._take(
            await self._stats_store.samples_after(self.totals.at if not self.samples else self.samples[-1][0])
        )

    async def _take(self, told: list[StreamEntry]) -> None:
        for index, each in enumerate(told):
            self._add(decode_sample(each.text), each.text)
            if index % CHUNK_SAMPLES == CHUNK_SAMPLES - 1:
                await asyncio.sleep(0)

    def _add(self, sample: Sample, text: bytes) -> None:
        self.samples.append((sample.at, text))
        self.recent.append(sample)
        outcomes = outcomes_of(sample.outlets.values())
        issued = points_by_business(sample.outlets.values())
        self._earlier.append(Earlier(accepted(outcomes), refused(outcomes), issued))
        if sample.at > self.totals.at:
            self.totals.add(sample)

    async def _make_sample(self) -> None:
        """Make the sample of this second, of every report that is in none yet."""
        second = int(self._clock())
        if second <= self.totals.at:
            return
        sample = Sample(second, self.totals.last_report)
        for each in await self._stats_store.reports_after(self.totals.last_report):
            sample.last_report = each.identifier
            report = decode_report(each.text)
            worker = report.worker.worker
            self._last_heard[worker] = (report.worker, second)
            if report.number > max(self.totals.seen.get(worker, 0), sample.seen.get(worker, 0)):
                sample.seen[worker] = report.number
                sample.unknown += report.unknown
                add_outlets(sample.outlets, report.outlets, latencies=True)
        sample.workers = [worker for worker, heard in self._last_heard.values() if second - heard <= ALIVE_SECONDS]
        sample.writer = await self._writer()
        memory = await self._stats_store.memory()
        sample.memory_bytes, sample.memory_limit_bytes = memory.used, memory.limit
        self._metrics.hot_memory_bytes.set(memory.used)
        self._metrics.hot_memory_limit_bytes.set(memory.limit or 0)
        self._metrics.writer_silent.set(0 if sample.writer is not None else 1)
        before = list(self._earlier)[:-RECENT_SAMPLES]
        sample.alarms = judge(sample, list(self.recent), before)
        text = encode(sample)
        if not await self._stats_store.add_sample(second, text):
            return  # somebody else was elected meanwhile; its sample is read with the next look
        self._add(sample, text)
        if second % CHECKPOINT_SECONDS == 0:
            self._forget(second)
            await self._stats_store.keep_checkpoint(encode(self.totals))

    async def _writer(self) -> Writer | None:
        text = await self._stats_store.writer()
        return None if text is None else decode_writer(text)

    def _forget(self, second: int) -> None:
        gone = [name for name, (_, heard) in self._last_heard.items() if second - heard > FORGOTTEN_SECONDS]
        for name in gone:
            del self._last_heard[name]
        if second - self._loaded_at > FORGOTTEN_SECONDS:
            self.totals.forget(self.totals.seen.keys() - self._last_heard.keys())


def _outlet(counted: Counted) -> Outlet:
    taken = {bucket: count for bucket, count in enumerate(counted.latencies) if count}
    return Outlet(counted.business, counted.outcomes, taken, counted.points, counted.guesses)
