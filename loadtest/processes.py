"""Running processes: CPU time, niceness, pausing and ending. Linux only (/proc)."""

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Child:
    """A child process. `started` tells it from a later one of the same id."""

    pid: int
    started: int
    title: str
    seconds: float


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, its children and those that have ended, to 1/100 s (proc(5))."""
    fields = _stat(pid)
    own = _ticks(fields, ended_children=True) if fields else 0
    return own / TICKS_PER_SECOND + sum(child.seconds for child in children(pid))


def children(pid: int) -> list[Child]:
    """Return the running children: the CPU time of each alone, and its command line, where a server may write a
    title."""
    found = []
    for child in _child_ids(pid):
        fields, title = _stat(child), _title(child)
        if fields:
            found.append(Child(child, int(fields[19]), title, _ticks(fields, ended_children=False) / TICKS_PER_SECOND))
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name.

    Empty where the process has ended: its parent has its time.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(fields: list[str], *, ended_children: bool) -> int:
    user, system, user_of_ended, system_of_ended = (int(word) for word in fields[11:15])
    return user + system + (user_of_ended + system_of_ended if ended_children else 0)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _child_ids(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            words = task.read_text().split()
        except OSError:
            continue
        yield from (int(word) for word in words)


@contextmanager
def standing_still(pids: Iterable[int]) -> Iterator[None]:
    """Pause these processes (SIGSTOP) for the length of the block."""
    stopped = list(pids)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def as_nice_as(model: int, pid: int) -> None:
    """Give a process the niceness of another, and its session's group that of the other's (sched(7), "autogroup")."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, model))
    with suppress(OSError):  # this machine has no such groups, or they are not root's
        nice = Path(f"/proc/{model}/autogroup").read_text().split()[-1]
        Path(f"/proc/{pid}/autogroup").write_text(nice)


def allocator(pids: Sequence[int]) -> str:
    """Return what a server allocates with, as far as its libraries show."""
    found = any("jemalloc" in Path(f"/proc/{pid}/maps").read_text() for pid in pids)
    return "jemalloc" if found else "its own or glibc"


def end(process: "subprocess.Popen[Any]", seconds: float) -> None:
    """Send SIGTERM, and SIGKILL where the process still runs later. It is gone when this returns."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def processor() -> str:
    """Return the processor's name as the kernel reports it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
