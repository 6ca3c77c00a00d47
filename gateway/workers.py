"""`tong serve` with TONG_WORKERS above one: the same socket handed to several workers, each restarted when it dies.

Guarantees: as gateway/supervisor.py. A multiprocess folder for the metrics is made where none is given, so that
`/metrics` of any worker tells the figures of all.
"""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from gateway.listening import PortTakenError, listening_socket
from gateway.serve import DRAIN_SECONDS
from gateway.settings import Settings
from gateway.supervisor import Child, ChildFailedError, Supervisor

STOP_SECONDS: Final = DRAIN_SECONDS + 5.0


async def serve_workers(settings: Settings) -> int:
    """Runs until it is told to stop. Returns the exit status: 0 stopped, 1 could not run."""
    supervisor = Supervisor()
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, supervisor.request_stop)
    try:
        listener = listening_socket(settings.host, settings.port)
    except PortTakenError as problem:
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
                await supervisor.start(_worker(number, listener.fileno(), environment))
            await supervisor.stopping.wait()
        except ChildFailedError as failure:
            supervisor.say(f"cannot run: {failure}")
            return 1
        finally:
            await supervisor.stop()
    return 0


def _worker(number: int, descriptor: int, environment: dict[str, str]) -> Child:
    program = str(Path(sys.executable).with_name("tong"))
    return Child(
        name=f"gateway.{number}",
        command=(sys.executable, program, "serve", "--fd", str(descriptor)),
        environment=environment,
        inherited_fds=(descriptor,),
        stop_seconds=STOP_SECONDS,
    )
