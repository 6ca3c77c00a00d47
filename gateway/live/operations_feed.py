"""What streams of operations are told, made once a second for all of them: fifty pages cost little more than one.

Guarantees: a view is made at most once a second for each scope and language; the last refusals are fetched at most
once a second, whatever number of pages asks; both only while somebody asks.
"""

import asyncio
from collections import deque
from typing import Final

from gateway.http.event_streams import event
from gateway.live.notices import LocalizedNames
from gateway.live.stats_views import refusal_document, snapshot
from gateway.observability.stats_aggregator import StatsAggregator
from redemption.domain.clock import Clock
from redemption.domain.limits import REFUSALS_KEPT_MAX
from redemption.hot.connection import HotConnection
from redemption.ledger.streams import ValkeyAway
from redemption.live.stats_store import StatsStore, StreamEntry

VIEWS_KEPT: Final = 64
REFUSALS_TOLD_MAX: Final = 100


class OperationsFeed:
    """One a worker."""

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
        """The figures of this second as an event."""
        if self._views_of != self._figures.ticks or len(self._views) >= VIEWS_KEPT:
            self._views, self._views_of = {}, self._figures.ticks
        view = self._views.get((scope, names.language))
        if view is None:
            now = self._clock()
            figures = self._figures
            document = snapshot(figures.totals, figures.recent, scope, names, now, connected=self._hot.connected)
            view = self._views[scope, names.language] = event("snapshot", document, str(round(now * 1000)))
        return view

    async def newest_refusal(self) -> tuple[int, int]:
        """Where a page begins to be told: it asks for what was before by itself."""
        await self._fetch()
        return self._refusals[-1][0] if self._refusals else (0, 0)

    async def refusals_event(
        self, after: tuple[int, int], scope: str | None, names: LocalizedNames
    ) -> tuple[tuple[int, int], bytes]:
        """What was refused after that one as an event, nothing where there is none; and where to go on."""
        await self._fetch()
        told = [each for each in self._refusals if each[0] > after][-REFUSALS_TOLD_MAX:]
        if not told:
            return after, b""
        documents = [refusal_document(each.text, names, scope) for _, each in told]
        shown = [each for each in documents if each is not None]
        return told[-1][0], event("refusals", {"refusals": shown}) if shown else b""

    async def _fetch(self) -> None:
        """Once a second."""
        async with self._fetching:
            if self._refusals_of == self._figures.ticks:
                return
            self._refusals_of = self._figures.ticks
            try:
                if not self._refusals:
                    told = list(reversed(await self._stats_store.refusals(REFUSALS_KEPT_MAX)))
                else:
                    told = await self._stats_store.refusals_after(self._refusals[-1][1].identifier, REFUSALS_KEPT_MAX)
            except ValkeyAway:
                return
            self._refusals.extend((_order(each.identifier), each) for each in told)


def _order(identifier: str) -> tuple[int, int]:
    ms, _, seq = identifier.partition("-")
    return int(ms), int(seq)
