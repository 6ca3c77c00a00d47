"""`tong write-ledger`: the process that carries the streams into PostgreSQL and ends holds whose time has run out."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.observability.logs import configure_logs
from gateway.observability.metrics import Metrics
from gateway.observability.stats_format import Writer, encode
from gateway.processes.closing import closing
from gateway.processes.collector import BATCH_THRESHOLD, keep_what_is_loaded
from gateway.settings import Settings
from redemption.addresses import Addresses
from redemption.configuration.current import ConfigurationFollower
from redemption.database import Pool, open_pool
from redemption.domain.clock import system_clock
from redemption.domain.limits import HOT_IN_FLIGHT_MAX
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.ledger.store import LedgerStore, PostgresAway
from redemption.ledger.streams import LedgerStreams, StreamClient, ValkeyAway, open_stream_client
from redemption.ledger.writer import LedgerWriter, run_writer
from redemption.live.stats_store import tell_writer
from redemption.service import Redemptions
from redemption.sweeper import Sweeper
from redemption.waiting import end_tasks

FIGURES_SECONDS = 1.0

logger = logging.getLogger(__name__)


async def write_ledger(settings: Settings) -> None:
    """Write until stopped. Raises `SettingsRefused`, `LedgerStopped`."""
    configure_logs(settings.log_level)
    valkey_url, postgres_dsn = settings.stores()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await open_pool(postgres_dsn, size=3, name="tong-ledger-writer")
    client = open_stream_client(valkey_url)
    try:
        writer = LedgerWriter(LedgerStreams(client), LedgerStore(pool), range(settings.buckets))
        async with _sweeping(settings, pool) as sweeper:
            figures = asyncio.create_task(_export(writer, sweeper, Metrics(), client), name="figures")
            keep_what_is_loaded(BATCH_THRESHOLD)
            try:
                await run_writer(writer, stop)
            finally:
                await end_tasks(figures)
    finally:
        await closing("the hot store's client", client.aclose)()
        await closing("the pool", pool.close)()


@asynccontextmanager
async def _sweeping(settings: Settings, pool: Pool) -> AsyncIterator[Sweeper]:
    """Run a sweeper beside the writer: both keep the books true, and neither is on the path of a scan."""
    valkey_url, _ = settings.stores()
    configuration = ConfigurationFollower(pool, system_clock)
    await configuration.start()
    hot = HotConnection(Address.from_url(valkey_url), in_flight_max=HOT_IN_FLIGHT_MAX, name="tong-sweeper")
    await hot.start()
    addresses = Addresses(lambda: configuration.current, system_clock, cluster=settings.valkey_cluster)
    sweeper = Sweeper(Redemptions(HotStore(hot, assemble()), addresses), settings.buckets)
    task = asyncio.create_task(sweeper.run(), name="sweeper")
    try:
        yield sweeper
    finally:
        await end_tasks(task)
        await hot.close(1.0)
        await configuration.stop()


async def _export(writer: LedgerWriter, sweeper: Sweeper, metrics: Metrics, client: StreamClient) -> None:
    """Export once a second how far the ledger is: to Prometheus, and to the pages of operations."""
    written = dead = expired = 0
    while True:
        await asyncio.sleep(FIGURES_SECONDS)
        figures = writer.figures
        metrics.ledger_entries.inc(figures.transactions + figures.dead_letters - written)
        metrics.ledger_dead_letters.inc(figures.dead_letters - dead)
        written, dead = figures.transactions + figures.dead_letters, figures.dead_letters
        metrics.holds_expired.inc(sweeper.figures.expired - expired)
        expired = sweeper.figures.expired
        metrics.open_holds.set(sweeper.figures.still_open)
        metrics.ledger_stopped_buckets.set(figures.buckets_stopped)
        try:
            status = await writer.status()
            await tell_writer(
                client,
                encode(
                    Writer(
                        status.behind_seconds,
                        status.backlog,
                        sweeper.figures.still_open,
                        figures.buckets_stopped,
                        figures.dead_letters,
                    )
                ),
            )
        except (ValkeyAway, PostgresAway) as fault:
            logger.debug("no figures of the ledger this second: %s", fault)
            continue
        metrics.ledger_backlog.set(status.backlog)
        metrics.ledger_lag_seconds.set(status.behind_seconds)
