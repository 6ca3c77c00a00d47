"""End of a server that an earlier, crashed supervisor left behind, so that no second one opens the same data folder.

Guarantees: only a process whose pid is in the server's own pid file *and* whose command line names our
folder is signalled, so a number that was given to somebody else's process meanwhile is left alone.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 20.0
KILL_SECONDS: Final = 5.0
ORPHANS_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.05


def pid_in(pid_file: Path) -> int | None:
    """Return the number on the first line, or None."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def runs_with(pid: int, argument: str) -> bool:
    """Return whether the process is alive and has exactly this argument on its command line."""
    try:
        return argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


async def end_leftover(
    pid_file: Path,
    argument: str,
    stop_signal: signal.Signals,
    hasty_signal: signal.Signals,
    say: Callable[[str], None],
) -> None:
    """End the process of the pid file if it is ours; leave the file. Raises OSError where the process stays."""
    pid = pid_in(pid_file)
    if pid is None or pid == os.getpid():
        return
    steps = ((stop_signal, STOP_SECONDS), (hasty_signal, KILL_SECONDS), (signal.SIGKILL, KILL_SECONDS))
    for number, seconds in steps:
        if not runs_with(pid, argument):
            return
        say(f"a server of an earlier run is still there (pid {pid}): {number.name}")
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        await _gone(lambda: not runs_with(pid, argument), seconds)
    if runs_with(pid, argument):
        raise OSError(f"process {pid} of an earlier run does not end; end it by hand")


async def wait_for_orphans(folder: Path) -> None:
    """Wait until no process works in the folder any more; a killed server leaves some behind for a moment.

    Raises OSError when some stay.
    """
    if not await _gone(lambda: not working_in(folder), ORPHANS_SECONDS):
        numbers = ", ".join(str(pid) for pid in working_in(folder))
        raise OSError(f"processes {numbers} still work in {folder}; end them by hand")


def forget_foreign_pid(pid_file: Path) -> None:
    """Remove a pid file whose number belongs to another program by now. Nobody may work in its folder any more.

    PostgreSQL would take that program for its old server and refuse to start. The file of a dead server is left to
    PostgreSQL, which reads more from it.
    """
    pid = pid_in(pid_file)
    if pid is not None and Path(f"/proc/{pid}").exists():
        pid_file.unlink()


def working_in(folder: Path) -> list[int]:
    """Return the processes whose working folder it is, as far as we may see them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
    return found


async def _gone(condition: Callable[[], bool], seconds: float) -> bool:
    for _ in range(int(seconds / POLL_SECONDS)):
        if condition():
            return True
        await asyncio.sleep(POLL_SECONDS)
    return condition()
