"""Composition of a worker's parts behind its live pages: notices, devices, figures.

Guarantees: no scan waits for any of them; each part's task ends before the worker does. A worker does not serve before
it knows which devices are revoked.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.http.event_streams import MemberSeats, StreamLimiter
from gateway.observability.metrics import Metrics
from gateway.observability.scan_counters import ScanCounters
from gateway.observability.stats_aggregator import StatsAggregator
from gateway.observability.stats_format import Worker
from gateway.processes.closing import closing, ending
from redemption.database import Pool
from redemption.devices.revocations import RevokedDevices
from redemption.devices.store import DeviceStore
from redemption.domain.clock import Clock
from redemption.domain.limits import MEMBER_STREAMS_MAX, OPERATIONS_STREAMS_MAX
from redemption.hot.connection import HotConnection
from redemption.live.history import MemberHistory
from redemption.live.raw_streams import open_raw_client
from redemption.live.stats_store import StatsStore
from redemption.live.tail import LedgerTail


class Standing(Protocol):
    """Reads the worker's own part of a report."""

    def __call__(self) -> tuple[float, list[int]]:
        """Return the age of the configuration in seconds, and the frozen buckets."""


@dataclass(slots=True)
class LiveParts:
    """The parts that live pages are served from."""

    tail: LedgerTail
    history: MemberHistory
    devices: DeviceStore
    revoked: RevokedDevices
    counters: ScanCounters
    stats_store: StatsStore
    figures: StatsAggregator
    member_seats: MemberSeats
    operations_seats: StreamLimiter
    begin: Callable[[], None]
    """Starts the tasks, once the worker is whole."""

    def drain(self) -> None:
        """End every stream, because the worker is about to stop."""
        self.tail.close("draining")
        self.figures.wake()


@asynccontextmanager
async def live_parts(
    *, valkey_url: str, pool: Pool, hot: HotConnection, metrics: Metrics, clock: Clock, standing: Standing
) -> AsyncIterator[LiveParts]:
    """Compose the parts and stop them at the end. Raises PostgreSQL's faults: revoked devices must be known first."""
    client = open_raw_client(valkey_url)
    revoked = RevokedDevices(pool)
    tasks: list[asyncio.Task[None]] = []
    member_seats, operations_seats = (
        MemberSeats(MEMBER_STREAMS_MAX),
        StreamLimiter(OPERATIONS_STREAMS_MAX, OPERATIONS_STREAMS_MAX),
    )
    name, since_ms = f"w-{secrets.token_hex(4)}", round(clock() * 1000)
    tail, counters, stats_store = LedgerTail(client), ScanCounters(clock), StatsStore(client, name)

    def worker() -> Worker:
        metrics.streams.labels("member").set(member_seats.open)
        metrics.streams.labels("operations").set(operations_seats.open)
        stale, frozen = standing()
        return Worker(
            worker=name,
            pid=os.getpid(),
            host=socket.gethostname(),
            since_ms=since_ms,
            in_flight=hot.in_flight,
            member_streams=member_seats.open,
            operations_streams=operations_seats.open,
            connected=hot.connected,
            stale_seconds=round(stale, 1),
            frozen=frozen,
        )

    figures = StatsAggregator(stats_store, counters, metrics, clock, worker)

    def begin() -> None:
        tasks.append(asyncio.create_task(tail.run(), name="ledger tail"))
        tasks.append(asyncio.create_task(figures.run(), name="figures"))

    try:
        await revoked.start()
        yield LiveParts(
            tail=tail,
            history=MemberHistory(pool),
            devices=DeviceStore(pool),
            revoked=revoked,
            counters=counters,
            stats_store=stats_store,
            figures=figures,
            member_seats=member_seats,
            operations_seats=operations_seats,
            begin=begin,
        )
    finally:
        for task in tasks:
            await ending(f"the {task.get_name()}", task)()
        await closing("the watch for revoked devices", revoked.stop)()
        await closing("the client of the live pages", client.aclose)()
