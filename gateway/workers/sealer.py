"""`tong seal`: the process that trails the ledger writer with the chain; `tong heads`: the chain's heads as a file."""

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from gateway.observability.logs import configure_logs
from gateway.observability.metrics import Metrics
from gateway.processes.closing import closing
from gateway.processes.collector import BATCH_THRESHOLD, keep_what_is_loaded
from gateway.settings import Settings, SettingsRefused
from redemption.database import Pool, open_pool
from redemption.domain.clock import system_clock
from redemption.ledger.chain import Head, Place, head_of, make_seal_key, read_seal_key
from redemption.ledger.sealer import Sealer
from redemption.queries import named_queries
from redemption.waiting import end_tasks

FIGURES_SECONDS = 1.0
HEADS_BYTES_MAX = 4 * 1024 * 1024


class HeadEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bucket in the file of heads."""

    bucket: int
    seal: int
    epoch: int
    last: str
    rows: int
    key_id: str
    mac: str


class HeadsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of heads."""

    version: int
    exported_at: str
    heads: tuple[HeadEntry, ...]


async def seal(settings: Settings, *, make_key: bool = False) -> None:
    """Seal until stopped. Raises `SettingsRefused`, `SealKeyRefused`, `OtherKey`."""
    configure_logs(settings.log_level)
    if make_key:
        make_seal_key(settings.seal_key_path())
    key = read_seal_key(settings.seal_key_path())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await ledger_pool(settings, "tong-sealer")
    try:
        sealer = Sealer(pool, key, range(settings.buckets))
        figures = asyncio.create_task(_export(sealer, Metrics()), name="figures")
        keep_what_is_loaded(BATCH_THRESHOLD)
        try:
            await sealer.run(stop)
        finally:
            await end_tasks(figures)
    finally:
        await closing("the pool", pool.close)()


async def ledger_pool(settings: Settings, name: str) -> Pool:
    """Open a small pool on the ledger. Raises `SettingsRefused`."""
    return await open_pool(settings.ledger(), size=3, name=name)


async def _export(sealer: Sealer, metrics: Metrics) -> None:
    sealed = 0
    while True:
        await asyncio.sleep(FIGURES_SECONDS)
        metrics.sealed_rows.inc(sealer.figures.rows - sealed)
        sealed = sealer.figures.rows
        metrics.seal_stopped_buckets.set(len(sealer.figures.stopped))


async def export_heads(settings: Settings) -> str:
    """Return the newest head of every bucket, as JSON. It says nothing of the key and can be published."""
    pool = await ledger_pool(settings, "tong-heads")
    try:
        rows = await pool.fetch(named_queries("ledger", "seal")["heads"], range(settings.buckets))
    finally:
        await pool.close()
    heads = [head_of(row["bucket"], row) for row in rows]
    document = {
        "version": 1,
        "exported_at": datetime.fromtimestamp(system_clock(), UTC).isoformat(timespec="seconds"),
        "heads": [_entry(head) for head in heads],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _entry(head: Head) -> dict[str, Any]:
    return {
        "bucket": head.bucket,
        "seal": head.number,
        "epoch": head.place.epoch,
        "last": f"{head.place.ms}-{head.place.seq}",
        "rows": head.rows,
        "key_id": head.key_id,
        "mac": head.mac.hex(),
    }


def read_heads(path: Path) -> list[Head]:
    """Read the heads of an exported file. Raises `SettingsRefused`."""
    try:
        if path.stat().st_size > HEADS_BYTES_MAX:
            raise SettingsRefused(f"{path} is no file of heads: too large")
        file = msgspec.json.decode(path.read_bytes(), type=HeadsFile)
        return [
            Head(
                entry.bucket,
                entry.seal,
                Place(entry.epoch, *(int(part) for part in entry.last.split("-", 1))),
                entry.rows,
                0,
                entry.key_id,
                bytes.fromhex(entry.mac),
            )
            for entry in file.heads
        ]
    except (OSError, msgspec.DecodeError, ValueError, TypeError) as fault:
        raise SettingsRefused(f"{path} is no file of heads: {fault}") from None
