"""CPU time of running processes, read from /proc. Linux only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its children and of those that have ended, to 1/100 s (proc(5))."""
    total = _ticks(pid, ended_children=True)
    for child in _children(pid):
        total += _ticks(child, ended_children=False)
    return total / TICKS_PER_SECOND


def _ticks(pid: int, *, ended_children: bool) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it ended meanwhile: its parent has its time
    user, system, user_of_ended, system_of_ended = (int(word) for word in fields[11:15])
    return user + system + (user_of_ended + system_of_ended if ended_children else 0)


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            words = task.read_text().split()
        except OSError:
            continue
        yield from (int(word) for word in words)


def processor() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
