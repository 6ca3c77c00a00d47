"""`tong serve`: one gateway worker, on an address of its own or on a socket it was handed.

Guarantees: on SIGTERM or SIGINT it says "not ready", stops accepting, finishes what it has in hand within
`DRAIN_SECONDS`, and exits 0.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn

from gateway.app import application
from gateway.lifespan import running
from gateway.logs import configure_logs
from gateway.protocol import BoundedProtocol
from gateway.settings import Settings
from redemption.domain.clock import Clock, system_clock

DRAIN_SECONDS: Final = 10
KEEP_ALIVE_SECONDS: Final = 30
BACKLOG: Final = 2048
GARBAGE_THRESHOLD: Final = 20_000

_LIVE_GAUGE: Final = re.compile(r"^gauge_live\w+_(\d+)\.db$")


class Worker(uvicorn.Server):
    """uvicorn without its own signal handling: it re-raises the signal at the end, and a worker exits 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, *, fd: int | None = None, clock: Clock = system_clock) -> None:
    """Serves until told to stop. Raises `SettingsRefused` and the stores' faults before it serves."""
    configure_logs(settings.log_level)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        forget_dead_processes(Path(folder))
    async with running(settings, clock) as state:
        config = uvicorn.Config(
            application(state),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = Worker(config)

        def stop() -> None:
            state.draining = True
            server.should_exit = True

        # What is there now stays: the collector need not look at it again, nor after every 700 objects (a scan makes a
        # hundred and leaves no cycle behind). A full collection over all modules stops every scan in hand.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 20, 100)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await server.serve(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
        logging.getLogger(__name__).info("stopped")


def forget_dead_processes(folder: Path) -> None:
    """Removes the live gauges of workers that are gone, so that a sum over workers counts only those that run."""
    for file in folder.glob("gauge_live*_*.db"):
        found = _LIVE_GAUGE.match(file.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            file.unlink(missing_ok=True)
