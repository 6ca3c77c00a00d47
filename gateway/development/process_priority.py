"""Process priorities on one machine: a till's answer first, then the work behind it.

The kernel gives every session a group of its own ("autogroup", sched(7)). Niceness counts within one only, and each of
PostgreSQL's processes is a session: ten that nobody waits for weigh five times the gateway and the hot store. So the
groups are made nicer, and for kernels and containers without such groups the processes too. Raising a part above others
needs root; without, the others are lowered only. Nothing starves: each gets a share by its weight.

Elsewhere that is the service manager's to say (docs/guides/operations.md).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.development.store_roles import PROJECTOR, SEALER
from gateway.processes.supervisor import Supervisor
from redemption.waiting import set_within

HOT_STORE: Final = -10
GATEWAY: Final = -5
LEDGER: Final = 0  # its lag is promised to be under a second
BEHIND: Final = 15  # nobody waits for a seal or a line of settlement
REWRITE: Final = 19  # the hot store's child runs beside its parent
LOOK_SECONDS: Final = 0.5

_OF_PART: Final = {
    "valkey": HOT_STORE,
    "gateway": GATEWAY,
    "ledger-writer": LEDGER,
    "postgres": LEDGER,
    "sealer": BEHIND,
    "projector": BEHIND,
}
_OF_ROLE: Final = {SEALER.ledger: BEHIND, PROJECTOR.ledger: BEHIND}
"""The priority of a process of PostgreSQL by the role that it serves."""


async def keep_precedence(supervisor: Supervisor) -> None:
    """Give each part and each process of PostgreSQL its priority soon after its start, until a stop is requested."""
    placed: dict[int, int] = {}
    while True:
        wanted = {}
        for name, pid in supervisor.pids().items():
            nice = _OF_PART.get(name.partition(".")[0])
            if nice is not None:
                wanted[pid] = nice
                if name == "valkey":  # a rewrite of its log shares its session, so only its own niceness can be lowered
                    for child in _children(pid):
                        _set_niceness(child, REWRITE)
                if name == "postgres":
                    wanted |= {child: _OF_ROLE.get(_role(child), nice) for child in _children(pid)}
        placed = {pid: nice for pid, nice in wanted.items() if placed.get(pid) == nice or _place(pid, nice)}
        if await set_within(supervisor.stopping, LOOK_SECONDS):
            return


def _place(pid: int, nice: int) -> bool:
    """Set the niceness of a process and of its session's group.

    Returns False where the kernel says to try again later.
    """
    _set_niceness(pid, nice)
    group = Path(f"/proc/{pid}/autogroup")
    try:
        if int(group.read_text().split()[-1]) != nice:
            group.write_text(str(nice))
    except BlockingIOError:  # without root the kernel takes ten changes a second, of all processes together
        return False
    except (OSError, ValueError, IndexError):  # the process has ended, there are no groups, or we may not raise it
        return True
    return True


def _set_niceness(pid: int, nice: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def _role(pid: int) -> str:
    """Return whom a process of PostgreSQL serves, from its title (`postgres: <role> <database> ...`)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split()
    except OSError:
        return ""
    return words[1] if len(words) > 1 else ""


def _children(pid: int) -> list[int]:
    """Return the running processes that this one started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
