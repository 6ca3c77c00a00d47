"""`tong serve` with TONG_WORKERS above one: the same socket for several workers, each restarted when it dies.

Guarantees: as gateway/processes/supervisor.py; on SIGUSR2 the workers are replaced one after another, without a failed
request where there are two or more (with one, callers wait in the socket's queue until the next one accepts). A
multiprocess folder for the metrics is made where none is given, so that `/metrics` of any worker tells the figures of
all.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.processes.child import Child
from gateway.processes.listening import PortTaken, listening_socket
from gateway.processes.supervisor import ChildFailed, Supervisor
from gateway.server.serve import CLOSE_SECONDS, DRAIN_SECONDS, POLITE_SECONDS
from gateway.settings import Settings

STOP_SECONDS: Final = POLITE_SECONDS + DRAIN_SECONDS + CLOSE_SECONDS + 3.0


async def serve_workers(settings: Settings) -> int:
    """Run until stopped. Returns the exit status: 0 stopped, 1 could not run."""
    supervisor = Supervisor()
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, supervisor.request_stop)
    names = [f"gateway.{number}" for number in range(settings.workers)]
    loop.add_signal_handler(signal.SIGUSR2, supervisor.request_renewal, names)
    try:
        listener = listening_socket(settings.host, settings.port)
    except PortTaken as problem:
        supervisor.say(f"cannot run: {problem}")
        return 1
    with listener:
        environment = dict(os.environ)
        if "PROMETHEUS_MULTIPROC_DIR" not in environment:
            folder = settings.home.absolute() / "metrics"
            shutil.rmtree(folder, ignore_errors=True)  # counters of dead workers would be added to the new ones'
            folder.mkdir(mode=0o700, parents=True)
            environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        try:
            for number in range(settings.workers):
                await supervisor.start(worker(number, listener.fileno(), environment, settings.home / "ready"))
            await supervisor.stopping.wait()
        except ChildFailed as failure:
            supervisor.say(f"cannot run: {failure}")
            return 1
        finally:
            await supervisor.stop()
    return 0


def worker(number: int, descriptor: int, environment: Mapping[str, str], folder: Path, *, stop_rank: int = 0) -> Child:
    """Return a gateway worker on an inherited socket; it is ready once it accepts, which a file in `folder` says."""
    name = f"gateway.{number}"
    ready_file = folder.absolute() / name

    def make_room() -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ready_file.unlink(missing_ok=True)

    async def forget(_last_lines: Sequence[str]) -> None:
        make_room()

    async def ready() -> bool:
        return ready_file.exists()

    program = str(Path(sys.executable).with_name("tong"))
    return Child(
        name=name,
        command=(sys.executable, program, "serve", "--fd", str(descriptor), "--ready-file", str(ready_file)),
        environment=environment,
        inherited_fds=(descriptor,),
        stop_rank=stop_rank,
        stop_seconds=STOP_SECONDS,
        before_start=forget,
        ready=ready,
    )
