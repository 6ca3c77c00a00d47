"""`tong write-ledger`: the process that carries the streams into PostgreSQL."""

import asyncio
import logging
import signal

from gateway.lifespan import SettingsRefused
from gateway.logs import configure_logs
from gateway.metrics import Metrics
from gateway.settings import Settings
from redemption.database import open_pool
from redemption.ledger.store import LedgerStore, PostgresAwayError
from redemption.ledger.streams import LedgerStreams, ValkeyAwayError, open_stream_client
from redemption.ledger.writer import LedgerWriter, run_writer

FIGURES_SECONDS = 1.0

logger = logging.getLogger(__name__)


async def write_ledger(settings: Settings) -> None:
    """Writes until told to stop. Raises `SettingsRefused`, `LedgerStoppedError`."""
    configure_logs(settings.log_level)
    if settings.valkey_url is None or settings.postgres_dsn is None:
        raise SettingsRefused("TONG_VALKEY_URL and TONG_POSTGRES_DSN are needed; `tong up` brings its own servers")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await open_pool(settings.postgres_dsn.get_secret_value(), size=3, name="tong-ledger-writer")
    client = open_stream_client(settings.valkey_url.get_secret_value())
    try:
        writer = LedgerWriter(LedgerStreams(client), LedgerStore(pool), range(settings.buckets))
        figures = asyncio.create_task(_export(writer, Metrics()), name="figures")
        try:
            await run_writer(writer, stop)
        finally:
            figures.cancel()
            await asyncio.gather(figures, return_exceptions=True)
    finally:
        await client.aclose()
        await pool.close()


async def _export(writer: LedgerWriter, metrics: Metrics) -> None:
    """Says once a second how far the ledger is."""
    written = dead = 0
    while True:
        await asyncio.sleep(FIGURES_SECONDS)
        figures = writer.figures
        metrics.ledger_entries.inc(figures.transactions + figures.dead_letters - written)
        metrics.ledger_dead_letters.inc(figures.dead_letters - dead)
        written, dead = figures.transactions + figures.dead_letters, figures.dead_letters
        metrics.ledger_stopped_buckets.set(figures.buckets_stopped)
        try:
            status = await writer.status()
        except (ValkeyAwayError, PostgresAwayError) as fault:
            logger.debug("no figures of the ledger this second: %s", fault)
            continue
        metrics.ledger_backlog.set(status.backlog)
        metrics.ledger_lag_seconds.set(status.behind_seconds)
