"""Restarts that are meant: rolling, in order, and with another version of the function library."""

import os
import re
import signal
import time
from contextlib import AsyncExitStack

from tests.drills.builds import build
from tests.drills.drill import Drill
from tests.drills.rest import wait_through_faults
from tests.drills.stack import DrilledStack
from tests.drills.tills import World

STOP_SECONDS = 30.0


class RollingRestart(Drill):
    """The workers are replaced one after another under load without one failed request."""

    name, fault = "rolling-restart", "SIGUSR2: the workers replaced one after another, twice"
    no_till_notices = True

    async def strike(self, stack: DrilledStack, world: World) -> None:
        for times in (1, 2):
            before = set(stack.workers)
            os.kill(stack.process.pid, signal.SIGUSR2)

            async def replaced(wanted: int = times) -> bool:
                return stack.said.count("tong: replaced: gateway.0, gateway.1") >= wanted

            await wait_through_faults("the workers are replaced", replaced)
            assert not before & set(stack.workers), "both workers are new"
        world.over()


class Stopped(Drill):
    """SIGTERM ends everything in order and within a bound: what was in hand is answered, nothing says `unknown`; the
    next start finds everything."""

    name, fault = "stopped", f"SIGTERM under load, ended within {STOP_SECONDS:.0f} s, started again"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        began = time.monotonic()
        await stack.end()
        assert time.monotonic() - began < STOP_SECONDS, "the stack ended in time"
        assert stack.process.returncode == 0
        world.over()
        await stack.go()

    async def afterwards(self, _stack: DrilledStack, world: World) -> list[str]:
        unknown = [answer for answer in world.heard if answer.outcome == "unknown"]
        return [f"stopped: {len(unknown)} calls were answered with unknown"] if unknown else []


class Upgraded(Drill):
    """Workers of two versions, with two versions of the function library, work side by side while they are replaced; no
    till notices."""

    name, fault = "upgraded", "another version of the function library, workers replaced under load"
    no_till_notices = True

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.source = owned.enter_context(build({}))
        return {"PYTHONPATH": str(self.source)}

    async def strike(self, stack: DrilledStack, world: World) -> None:
        redeem = self.source / "redemption" / "hot" / "functions" / "redeem.lua"
        redeem.write_text(redeem.read_text() + "-- the next version\n")
        await stack.must("migrate", "--yes")
        async with stack.hot() as hot:
            libraries = await hot.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "tong_*")
        assert len(libraries) == 2, "both versions are there"
        worker = stack.workers[0]
        os.kill(stack.process.pid, signal.SIGUSR2)
        await wait_through_faults("one worker is of the new version", lambda: stack.workers[0] != worker)
        await stack.until_said("tong: replaced: gateway.0, gateway.1")
        await self._writer_too(stack)
        await stack.until_applied(world, 60)
        output = await stack.must("migrate", "--yes", "--prune")
        assert re.search("removed|pruned|older", output), output
        world.over()

    async def _writer_too(self, stack: DrilledStack) -> None:
        """The writer sweeps with functions too: it has to be of the new version before the old one is removed."""
        times, writer = stack.times_back("ledger-writer"), stack.pid("ledger_writer")
        os.kill(writer, signal.SIGTERM)
        await stack.is_back("ledger_writer", writer, "ledger-writer", times + 1)
