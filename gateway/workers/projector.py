"""`tong projector`: the process that reads the ledger once for everything that is made of it."""

import asyncio
import signal
from collections.abc import Sequence

from gateway.observability.logs import configure_logs
from gateway.observability.metrics import Metrics
from gateway.processes.closing import closing
from gateway.processes.collector import BATCH_THRESHOLD, keep_what_is_loaded
from gateway.settings import Settings
from redemption.database import FAULTS, Pool, open_pool
from redemption.projections.projection import Projection
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from redemption.projections.status import read_status
from redemption.waiting import end_tasks

FIGURES_SECONDS = 5.0
POOL_SIZE = 4


async def project(settings: Settings, only: Sequence[str] = ()) -> None:
    """Run the projections, or those named in `only`, until stopped. Raises `SettingsRefused`."""
    configure_logs(settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    chosen: list[Projection] = [each for each in registered_projections() if not only or each.name in only]
    pool = await open_pool(settings.ledger(), size=POOL_SIZE, name="tong-projector")
    try:
        projector = Projector(pool, chosen)
        figures = asyncio.create_task(_export(projector, pool, Metrics()), name="figures")
        keep_what_is_loaded(BATCH_THRESHOLD)
        try:
            await projector.follow(stop)
        finally:
            await end_tasks(figures)
    finally:
        await closing("the pool", pool.close)()


async def _export(projector: Projector, pool: Pool, metrics: Metrics) -> None:
    """Export every few seconds how far the projections are."""
    read = 0
    while True:
        await asyncio.sleep(FIGURES_SECONDS)
        metrics.projected_rows.inc(projector.figures.transactions - read)
        read = projector.figures.transactions
        try:
            statuses = await read_status(pool)
        except FAULTS:
            continue
        for status in statuses:
            metrics.projection_lag_seconds.labels(status.name).set(status.lag_seconds)
            metrics.projection_stopped.labels(status.name).set(status.stopped_because is not None)
