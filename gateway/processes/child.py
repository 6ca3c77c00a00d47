"""A child process of the supervisor: its command and treatment, one run of it, and how its life is tied to ours.

Guarantees: nothing secret is in a child's command line or repr; the kernel signals a run when the process that
started it dies (PR_SET_PDEATHSIG). Linux only.
"""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.processes.child_output import ChildOutput

_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The command of a child and how to treat it.

    `environment` is the whole environment (secrets go there, never into `command`). `before_start` runs
    before every start and gets the last lines of the run before. `parent_death_signal` is what the kernel
    sends when the supervisor is killed: nobody can follow it up with SIGKILL, so it must be one that surely
    ends this program. Children of a lower `stop_rank` are stopped, and have ended, before the next rank is
    touched.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stop_rank: int = 0
    folder: Path | None = None
    account: Account | None = None
    standard_input: Path | None = None
    inherited_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    hasty_signal: signal.Signals = signal.SIGKILL
    parent_death_signal: signal.Signals = signal.SIGKILL
    before_start: Callable[[Sequence[str]], Awaitable[None]] | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_seconds: float = 30.0
    quiet: bool = False  # its output is kept for failures only


class Run:
    """One run of a child."""

    def __init__(self, child: Child, process: asyncio.subprocess.Process, output: ChildOutput) -> None:
        self.child = child
        self.pid = process.pid
        self.output = output
        self.started = time.monotonic()
        self.exited = asyncio.create_task(process.wait(), name=f"wait for {child.name}")
        self.is_ready = False

    def send(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def how(self) -> str:
        """Return how it ended, in words."""
        if not self.exited.done():
            return "still running"
        code = self.exited.result()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def in_the_new_process(account: Account | None, number: signal.Signals) -> Callable[[], None]:
    """Become the account, then tie its life to ours: in that order, because a change of account undoes the tie.

    Done here and not by arguments of the subprocess call, which uvloop does not know.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # it is looked up before the fork
    parent = os.getpid()

    def prepare() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died in between, so the signal would never come
            os._exit(1)

    return prepare
