"""Servers of references.py, started and stopped as processes of their own, each on a core as a gateway worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from loadtest.processes import as_nice_as, end
from loadtest.stack import Stack

STOP_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Reference:
    """A reference that serves."""

    kind: str
    port: int
    pid: int


@contextmanager
def reference_server(kind: str, stack: Stack) -> Iterator[Reference]:
    """Run one reference for the length of the block."""
    command = [sys.executable, "-m", "loadtest.bench.references", kind]
    command += ["--code-keys", str(stack.code_keys)]
    environment = {**os.environ, "TONG_VALKEY_URL": stack.near_valkey_url}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        assert process.stdout is not None
        as_nice_as(stack.pids("gateway")[0], process.pid)
        yield Reference(kind, int(process.stdout.readline()), process.pid)
    finally:
        end(process, STOP_SECONDS)


@contextmanager
def reference_servers(kinds: tuple[str, ...], stack: Stack) -> Iterator[dict[str, Reference]]:
    """Run all of them, side by side; only the one that is measured uses the processor."""
    with ExitStack() as running:
        yield {kind: running.enter_context(reference_server(kind, stack)) for kind in kinds}
