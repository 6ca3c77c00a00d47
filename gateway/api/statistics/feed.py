"""Events of the operations page, made once a second for all streams, so that fifty pages cost little more than one.

Guarantees: a view is made at most once a second for each scope and language; the last refusals are fetched at most
once a second, however many pages ask; both only while somebody asks.
"""

import asyncio
from collections import deque
from typing import Final

from gateway.api.names import LocalizedNames
from gateway.api.statistics.history_schemas import LastRefusal, RefusalsAnswer
from gateway.api.statistics.schemas import SnapshotAnswer
from gateway.http.event_streams import event
from gateway.observability.stats_aggregator import StatsAggregator
from redemption.domain.clock import Clock
from redemption.domain.limits import REFUSALS_KEPT_MAX
from redemption.hot.connection import HotConnection
from redemption.ledger.streams import ValkeyAway
from redemption.live.stats_store import StatsStore, StreamEntry

VIEWS_KEPT: Final = 64
REFUSALS_SENT_MAX: Final = 100


class OperationsFeed:
    """The feed of one worker."""

    def __init__(self, figures: StatsAggregator, stats_store: StatsStore, hot: HotConnection, clock: Clock) -> None:
        self._figures = figures
        self._stats_store = stats_store
        self._hot = hot
        self._clock = clock
        self._views: dict[tuple[str | None, str], bytes] = {}
        self._views_of = -1
        self._refusals: deque[tuple[tuple[int, int], StreamEntry]] = deque(maxlen=REFUSALS_KEPT_MAX)
        self._refusals_of = -1
        self._fetching = asyncio.Lock()

    def snapshot_event(self, scope: str | None, names: LocalizedNames) -> bytes:
        """Return the figures of this second as an event."""
        if self._views_of != self._figures.ticks or len(self._views) >= VIEWS_KEPT:
            self._views, self._views_of = {}, self._figures.ticks
        view = self._views.get((scope, names.language))
        if view is None:
            now = self._clock()
            figures = self._figures
            answer = SnapshotAnswer.of(figures.totals, figures.recent, scope, names, now, connected=self._hot.connected)
            view = self._views[scope, names.language] = event("snapshot", answer, str(round(now * 1000)))
        return view

    async def newest_refusal(self) -> tuple[int, int]:
        """Return the place of the newest refusal. A stream begins after it; its page reads earlier ones by itself."""
        await self._fetch()
        return self._refusals[-1][0] if self._refusals else (0, 0)

    async def refusals_event(
        self, after: tuple[int, int], scope: str | None, names: LocalizedNames
    ) -> tuple[tuple[int, int], bytes]:
        """Return the place to go on from, and the refusals after `after` as an event; no bytes where there are none."""
        await self._fetch()
        fresh = [each for each in self._refusals if each[0] > after][-REFUSALS_SENT_MAX:]
        if not fresh:
            return after, b""
        built = [LastRefusal.of(each.text, names, scope) for _, each in fresh]
        shown = tuple(each for each in built if each is not None)
        return fresh[-1][0], event("refusals", RefusalsAnswer(shown)) if shown else b""

    async def _fetch(self) -> None:
        """Fetch the new refusals, at most once a second."""
        async with self._fetching:
            if self._refusals_of == self._figures.ticks:
                return
            self._refusals_of = self._figures.ticks
            try:
                if not self._refusals:
                    entries = list(reversed(await self._stats_store.refusals(REFUSALS_KEPT_MAX)))
                else:
                    newest = self._refusals[-1][1].identifier
                    entries = await self._stats_store.refusals_after(newest, REFUSALS_KEPT_MAX)
            except ValkeyAway:
                return
            self._refusals.extend((_order(each.identifier), each) for each in entries)


def _order(identifier: str) -> tuple[int, int]:
    ms, _, seq = identifier.partition("-")
    return int(ms), int(seq)
