"""CPU time of a redemption, by the parts of a stack.

Guarantees: every process of the stack is in it but its supervisor. PostgreSQL's time is split by the role that its
backend serves; `postgres_other` is the rest (gateway workers' queries, checkpoints, the log's writer, vacuum). The
backends of the owner are those of the measuring itself and in no part, as far as they were seen while they lived.
"""

import asyncio
import time
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from loadtest.processes import children, cpu_seconds
from loadtest.stack import Stack

PROCESSES: Final = ("gateway", "valkey", "ledger_writer", "sealer", "projector")
ROLES: Final = {
    "tong_writer": "postgres_writer",
    "tong_sealer": "postgres_sealer",
    "tong_projector": "postgres_projector",
}
OTHER: Final = "postgres_other"
PARTS: Final = (*PROCESSES, *ROLES.values(), OTHER)
AT_ONCE: Final = ("gateway", "valkey")
"""Parts whose work for a scan is done when it is answered."""
BEHIND: Final = tuple(part for part in PARTS if part not in AT_ONCE)
TITLE: Final = "postgres: "
LOOK_SECONDS: Final = 2.0
REST_SECONDS: Final = 60.0
"""The time that a bench waits for rest by default. Sealer and projector come after the ledger writer."""
RESTING: Final = 0.06  # they use less than this many cores when idle, checkpoints included


class CpuClock:
    """The CPU seconds used so far by each part of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._roles = {**ROLES, str(urlsplit(stack.postgres_dsn).username): None}
        self._backends: dict[tuple[int, int], tuple[str, float]] = {}

    def read(self) -> dict[str, float]:
        """Return the seconds at this moment. What a backend used after it was last seen counts as `postgres_other`."""
        found = {part: sum(cpu_seconds(pid) for pid in self._stack.pids(part)) for part in PROCESSES}
        for pid in self._stack.pids("postgres"):
            for child in children(pid):
                role = child.title.removeprefix(TITLE).partition(" ")[0]
                if child.title.startswith(TITLE) and role in self._roles:
                    self._backends[child.pid, child.started] = (role, child.seconds)
        told_apart = 0.0
        found |= dict.fromkeys(ROLES.values(), 0.0)
        for role, seconds in self._backends.values():
            told_apart += seconds
            part = self._roles[role]
            if part is not None:
                found[part] += seconds
        found[OTHER] = sum(cpu_seconds(pid) for pid in self._stack.pids("postgres")) - told_apart
        return found


async def _log_written(postgres_dsn: str) -> int:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        return int(await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))
    finally:
        await connection.close()


class Costs:
    """CPU µs a redemption over rounds that are taken in turn with others' rounds.

    Gateway and hot store are counted within each round. The parts that work behind, in bursts and also while another
    contestant is asked, are counted over all rounds at once: from `start` to `behind`, best from rest to rest.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._clock = CpuClock(stack)
        self._redemptions = self._log_began = 0
        self._started = self._began = self._clock.read()

    def come_to_rest(self, seconds: float = REST_SECONDS) -> bool:
        """Wait until the parts that work behind have nothing to do. Returns False where they still have after this
        long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            before = self._clock.read()
            time.sleep(LOOK_SECONDS)
            after = self._clock.read()
            if sum(after[part] - before[part] for part in BEHIND) < RESTING * LOOK_SECONDS:
                return True
        return False

    def start(self) -> None:
        """Count the parts that work behind from here on."""
        self._redemptions = 0
        self._log_began = self._log_written()
        self._started = self._clock.read()

    def begin(self) -> None:
        """Begin a round."""
        self._began = self._clock.read()

    def end(self, redemptions: int) -> dict[str, float]:
        """End a round with this many redemptions (at least one). Returns microseconds for each, of gateway and hot
        store."""
        now = self._clock.read()
        self._redemptions += redemptions
        return {part: (now[part] - self._began[part]) * 1e6 / redemptions for part in AT_ONCE}

    def behind(self) -> dict[str, float]:
        """Return the other parts' microseconds for each redemption of all rounds since `start`."""
        now = self._clock.read()
        return {part: (now[part] - self._started[part]) * 1e6 / max(1, self._redemptions) for part in BEHIND}

    def log_bytes(self) -> float:
        """Return the bytes of log that PostgreSQL wrote for each redemption of all rounds since `start`."""
        return (self._log_written() - self._log_began) / max(1, self._redemptions)

    def _log_written(self) -> int:
        return asyncio.run(_log_written(self._stack.postgres_dsn))


def rows(cost: dict[str, float]) -> list[str]:
    """Return a line a part and their sum, for a table."""
    named = [*cost.items(), ("sum", sum(cost.values()))]
    return [f"  {name.replace('_', ' '):24}{micros:8.1f}" for name, micros in named]
