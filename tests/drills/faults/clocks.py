"""Clocks that are off by an hour."""

import asyncio
from contextlib import AsyncExitStack

from tests.drills.drill import Drill
from tests.drills.journal import Intent, read_journal
from tests.drills.shim import Shim
from tests.drills.stack import DrilledStack
from tests.drills.tills import World
from tests.support.servers.private_servers import ValkeyServer

HOUR_SECONDS = 3_600
FAULT_SECONDS = 4.0
CODES_USED_AGAIN = 40


class GatewayClock(Drill):
    """A gateway whose clock is wrong refuses codes, it takes nothing twice; repeats are answered as ever, for what a
    key stands for comes before the code's time."""

    name, fault = "gateway-clock", "the clock of the gateway's machine off by an hour for 4 s"

    async def prepare(self, _owned: AsyncExitStack) -> dict[str, str]:
        self.shim = Shim(self.folder)
        return self.shim.environment

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.shim.clock(self.chance.choice((-1, 1)) * HOUR_SECONDS)
        await asyncio.sleep(FAULT_SECONDS)
        self.shim.clock(0)
        world.over()


class ValkeyClock(Drill):
    """The hot store's clock may jump an hour: streams keep their order, a used code stays used, a hold has one end.
    Holds may end early or late by as much as the clock was off."""

    name, fault = "valkey-clock", "the clock of Valkey off by an hour for 4 s; codes used before are tried again"

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.shim = Shim(self.folder)
        server = ValkeyServer()
        owned.callback(server.remove)
        server.environment = self.shim.environment
        await asyncio.to_thread(server.start)
        return {"TONG_VALKEY_URL": server.url}

    async def strike(self, stack: DrilledStack, world: World) -> None:
        await stack.until_applied(world, 80)  # codes that are fresh
        self.shim.clock(self.chance.choice((-1, 1, 1)) * HOUR_SECONDS)
        began = asyncio.get_running_loop().time()
        await stack.until_applied(world, 20)
        await self._use_again(world)
        await asyncio.sleep(max(0.0, FAULT_SECONDS - (asyncio.get_running_loop().time() - began)))
        self.shim.clock(0)
        world.over()

    async def _use_again(self, world: World) -> None:
        """The newest codes that were used, under new keys and with other bills."""
        used = [entry for entry in read_journal(world.journal.path).of_kind("verify") if entry.outcome == "applied"]
        terminals = {terminal.terminal_id: terminal for terminal in world.terminals}
        async with world.client() as http:
            for entry in used[-CODES_USED_AGAIN:]:
                first = entry.intent
                number = next(world.numbers)
                bill = {"reference": f"AGAIN-{number}", "amount_minor": 700_000 + number, "currency": "CNY"}
                again = Intent(
                    number,
                    "verify",
                    first.terminal_id,
                    first.path,
                    {**(first.body or {}), "bill": bill},
                    f"again-{number}",
                    first.member_id,
                    first.code,
                    first.takes,
                )
                world.journal.intend(again)
                await world.send(http, terminals[first.terminal_id], again)
