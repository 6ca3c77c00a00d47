"""SIGSTOP and SIGCONT: processes that stand still and come back, thinking that no time has passed."""

import asyncio
import os
import signal

from tests.drills.drill import Drill
from tests.drills.stack import DrilledStack
from tests.drills.tills import World

SHORT_SECONDS = 4.0  # more than a call's deadline and the stall time-out of the hot connection


class WriterPaused(Drill):
    """A writer that stands still is overtaken by a second one; when it wakes up it writes nothing twice. No till
    notices."""

    name, fault = "writer-paused", "SIGSTOP of the ledger writer, a second one works, SIGCONT"
    no_till_notices = True

    async def strike(self, stack: DrilledStack, world: World) -> None:
        paused = stack.pid("ledger_writer")
        os.kill(paused, signal.SIGSTOP)
        with (self.folder / "second-writer.log").open("wb") as log:
            second = await stack.spawn("write-ledger", output=log.fileno())
        stack.extra.append(second)
        await stack.until_applied(world, 100)
        await stack.until_ledger_caught_up()  # by the second; it takes the locks of the first over when it must
        os.kill(paused, signal.SIGCONT)
        world.over()
        await stack.until_applied(world, 150)  # both are at work
        second.send_signal(signal.SIGTERM)
        await asyncio.wait_for(second.wait(), 30)


class _Paused(Drill):
    part: str

    async def strike(self, stack: DrilledStack, world: World) -> None:
        pid = stack.pid(self.part)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(SHORT_SECONDS)
        os.kill(pid, signal.SIGCONT)
        world.over()


class GatewayPaused(_Paused):
    """Calls in hand of a worker that stood still are answered late, or are unknown and resolved by their key."""

    name, fault = "gateway-paused", "SIGSTOP of a gateway worker for 4 s, SIGCONT"
    part = "gateway"


class ValkeyPaused(_Paused):
    """Calls that the hot store answers too late are unknown; what it did with them meanwhile is what their key says."""

    name, fault = "valkey-paused", "SIGSTOP of Valkey for 4 s, SIGCONT"
    part = "valkey"


class PostgresPaused(_Paused):
    """A database that stands still stops no scan. No till notices."""

    name, fault = "postgres-paused", "SIGSTOP of PostgreSQL for 4 s, SIGCONT"
    part = "postgres"
    no_till_notices = True
