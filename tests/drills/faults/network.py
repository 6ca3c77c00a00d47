"""What networks do to the way between gateway and hot store, by a TCP proxy of our own."""

import asyncio
import random
from contextlib import AsyncExitStack

from tests.drills.drill import Drill
from tests.drills.stack import DrilledStack
from tests.drills.tills import World
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.proxy import FaultProxy

FAULT_SECONDS = 4.0  # more than a call's deadline of 2 s and the stall time-out of 3 s


class _Proxied(Drill):
    """Every part of the stack reaches its Valkey through the proxy; the judge does not."""

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        server = await owned.enter_async_context(private_valkey())
        randomness = random.Random(f"{self.seed} proxy")
        self.proxy = await owned.enter_async_context(FaultProxy(server.port, randomness=randomness))
        self.direct_url = server.url
        return {"TONG_VALKEY_URL": f"redis://127.0.0.1:{self.proxy.port}/0"}


class RepliesDelayed(_Proxied):
    """A reply that comes after its call's deadline is dropped, never given to another call; the call is unknown and its
    key says what happened."""

    name, fault = "replies-delayed", "replies of Valkey delayed by up to 3 s, for 4 s"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.proxy.delay_seconds = 3.0
        await asyncio.sleep(FAULT_SECONDS)
        self.proxy.heal()
        world.over()


class RepliesDropped(_Proxied):
    """Calls that were applied and never answered are unknown; each is applied once, and the key brings its answer."""

    name, fault = "replies-dropped", "replies of Valkey dropped for 4 s"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.proxy.drop_replies = True
        await asyncio.sleep(FAULT_SECONDS)
        self.proxy.heal()
        world.over()


class RepliesCut(_Proxied):
    """A connection that ends in the middle of a reply loses the calls in flight only: each is unknown, none is repeated
    by the gateway itself."""

    name, fault = "replies-cut", "connections cut in the middle of a reply, eight times"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        for _ in range(8):
            self.proxy.reply_bytes_before_cut = self.chance.randint(1, 4_000)
            await stack.until_applied(world, 15)
        self.proxy.heal()
        world.over()


class HalfOpen(_Proxied):
    """Sockets that stay open and carry nothing are given up by the gateway itself, within its stall time-out."""

    name, fault = "half-open", "half-open connections to Valkey for 4 s, never closed by the other side"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.proxy.black_hole = True
        await asyncio.sleep(FAULT_SECONDS)
        self.proxy.black_hole = False  # not healed: the old sockets stay open, what they swallowed is gone
        world.over()
