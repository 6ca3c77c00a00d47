"""`tong serve`: one gateway worker, on an address of its own or on an inherited socket.

Guarantees: on SIGTERM or SIGINT it says "not ready", leaves politely, finishes what it has in hand within
`POLITE_SECONDS` + `DRAIN_SECONDS`, closes its parts within `CLOSE_SECONDS`, and exits 0. Politely: it stops accepting
where others accept from the same socket, and every answer from then on carries `Connection: close`, so that a caller
that keeps its connection goes elsewhere of its own accord; only a connection on which nothing was asked for so long is
closed without that. So workers can be replaced one after another under load without a failed request.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn

from gateway.observability.logs import configure_logs
from gateway.processes.collector import keep_what_is_loaded
from gateway.server.app import application
from gateway.server.lifespan import running
from gateway.server.protocol import BoundedProtocol
from gateway.settings import Settings
from redemption.domain.clock import Clock, system_clock

DRAIN_SECONDS: Final = 10
POLITE_SECONDS: Final = 2.5
CLOSE_SECONDS: Final = 5.0  # the parts of a worker close in it; requests in hand are answered by then
KEEP_ALIVE_SECONDS: Final = 30
BACKLOG: Final = 2048

_LIVE_GAUGE: Final = re.compile(r"^gauge_live\w+_(\d+)\.db$")


class Worker(uvicorn.Server):
    """uvicorn without its own signal handling: it re-raises the signal at the end, and a worker exits 0."""

    def __init__(self, config: uvicorn.Config, *, shares_socket: bool = False, ready_file: Path | None = None) -> None:
        super().__init__(config)
        self._shares_socket = shares_socket
        self._ready_file = ready_file
        self._leaves_at: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready_file is not None:
            self._ready_file.write_text(str(os.getpid()))

    def leave(self) -> None:
        """Begin to leave; a second call leaves at once."""
        if self._leaves_at is not None or not self.started:
            self.should_exit = True
            return
        self._leaves_at = time.monotonic() + POLITE_SECONDS
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        if self._shares_socket:
            for server in self.servers:
                server.close()

    async def on_tick(self, counter: int) -> bool:
        if self._leaves_at is not None:
            self.should_exit |= not self.server_state.connections or time.monotonic() > self._leaves_at
        return await super().on_tick(counter)


async def serve(
    settings: Settings, *, fd: int | None = None, ready_file: Path | None = None, clock: Clock = system_clock
) -> None:
    """Serve until stopped; write the pid into `ready_file` once it accepts.

    Raises `SettingsRefused` and the stores' faults before it serves.
    """
    configure_logs(settings.log_level)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        forget_dead_processes(Path(folder))
    try:
        async with asyncio.timeout(None) as bound:
            await _serve_until_told(settings, fd, ready_file, clock, bound)
    except TimeoutError:
        if not bound.expired():
            raise
        logging.getLogger(__name__).warning("parts that did not close within %.0f s are left behind", CLOSE_SECONDS)
    logging.getLogger(__name__).info("stopped")


async def _serve_until_told(
    settings: Settings, fd: int | None, ready_file: Path | None, clock: Clock, bound: asyncio.Timeout
) -> None:
    """Serve, then give the parts of the worker a bounded time to close."""
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
        server = Worker(config, shares_socket=fd is not None, ready_file=ready_file)

        def stop() -> None:
            state.drain()
            server.leave()

        keep_what_is_loaded()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await server.serve(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
        bound.reschedule(loop.time() + CLOSE_SECONDS)


def forget_dead_processes(folder: Path) -> None:
    """Remove the live gauges of workers that are gone, so that a sum over workers counts only those that run."""
    for file in folder.glob("gauge_live*_*.db"):
        found = _LIVE_GAUGE.match(file.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            file.unlink(missing_ok=True)
