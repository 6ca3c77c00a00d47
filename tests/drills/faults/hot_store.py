"""A hot store that answers, but not as it should: full, without its functions, busy, with spoilt keys."""

import asyncio

from redis.exceptions import RedisError

from loadtest import layout
from tests.drills.drill import Drill
from tests.drills.rest import wait_through_faults
from tests.drills.stack import DrilledStack
from tests.drills.tills import World

SLOW_SCRIPT = "while true do redis.call('TIME') end"


class MemoryFull(Drill):
    """With its memory full the hot store refuses every call before it begins: `unavailable`, `not_applied`; nothing is
    evicted, and scans go on as soon as there is room."""

    name, fault = "memory-full", "maxmemory reached"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        async with stack.hot() as hot:
            before = (await hot.config_get("maxmemory"))["maxmemory"]
            await hot.config_set("maxmemory", "1mb")
            await stack.turns_away(world, 40)
            await hot.config_set("maxmemory", before)
        world.over()


class FunctionsMissing(Drill):
    """Without its function library nothing is applied: `unavailable`, `not_applied`; /readyz says so; `tong migrate`
    brings it back, no restart is needed."""

    name, fault = "functions-missing", "FUNCTION FLUSH, then `tong migrate`"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        async with stack.hot() as hot:
            await hot.function_flush("SYNC")
        await stack.turns_away(world, 40)

        async def unready() -> bool:
            return (await stack.get("/readyz")).status_code == 503

        await wait_through_faults("/readyz says that the library is missing", unready)
        await stack.must("migrate", "--yes")
        world.over()

    async def afterwards(self, stack: DrilledStack, _world: World) -> list[str]:
        async def ready() -> bool:
            return (await stack.get("/readyz")).status_code == 200

        await wait_through_faults("/readyz says ready", ready)
        return []


class BusyScript(Drill):
    """A script that does not end holds everybody up for a second; then calls are refused as not applied, until somebody
    ends it (SCRIPT KILL)."""

    name, fault = "busy-script", "a script that runs for ever, SCRIPT KILL after 3 s"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        async with stack.hot() as hot, stack.hot() as killer:
            endless = asyncio.create_task(_run(hot))
            await asyncio.sleep(3.0)
            await killer.script_kill()
            world.over()
            assert await endless, "the script was ended from outside"


async def _run(hot: object) -> bool:
    """Whether the endless script was ended."""
    try:
        await hot.eval(SLOW_SCRIPT, 0)  # type: ignore[attr-defined]
    except RedisError:
        return True
    return False


class PoisonedLots(Drill):
    """A member whose lots were overwritten with something else is refused, before anything is written; all others go
    on. `tong rebuild --member --freeze` brings the member back from the ledger."""

    name, fault = "poisoned-lots", "a member's lots overwritten by a string, then `tong rebuild --member`"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        victim = world.members[0]
        name = layout.lots(victim.bucket, victim.member_id)
        async with stack.hot() as hot:
            await hot.set(name, "not a hash")
        await stack.until_applied(world, 200)
        await stack.must("rebuild", "--yes", "--member", victim.member_id, "--freeze")
        world.over()


class PoisonedStream(Drill):
    """A bucket whose stream was overwritten moves no value: its calls stop at their first write. The writer stops and
    freezes that bucket alone and all others go on; `tong rebuild` brings it back."""

    name, fault = "poisoned-stream", "a bucket's stream overwritten by a string, then `tong rebuild --bucket`"
    marks_lost = True

    async def strike(self, stack: DrilledStack, world: World) -> None:
        bucket = world.members[0].bucket
        name = layout.stream(bucket)
        async with stack.hot() as hot, stack.ledger() as ledger:
            while True:  # at a moment at which the ledger has everything of it: what it has not would be lost
                async with hot.pipeline(transaction=True) as pipeline:
                    await pipeline.watch(name)
                    told = await pipeline.xinfo_stream(name)
                    mark = await ledger.fetchrow(f"{layout.WATERMARKS} WHERE bucket = {bucket}")
                    assert mark is not None
                    if told["last-generated-id"].decode() != f"{mark['last_ms']}-{mark['last_seq']}":
                        await asyncio.sleep(0.01)
                        continue
                    pipeline.multi()
                    pipeline.set(name, "not a stream")
                    try:
                        await pipeline.execute()
                    except RedisError:
                        continue
                    break
            await stack.until_said(f"bucket {bucket} is frozen")
            await stack.until_applied(world, 100)
            await stack.until_ledger_caught_up(without=bucket)
            await hot.delete(name)
        await stack.must("rebuild", "--yes", "--bucket", str(bucket))
        world.over()


class MalformedEntry(Drill):
    """An entry that is none is kept whole as a dead letter, with an alarm; everything behind it goes on. No till
    notices."""

    name, fault = "malformed-entry", "three malformed stream entries"
    dead_letters = 3
    no_till_notices = True

    async def strike(self, stack: DrilledStack, world: World) -> None:
        entries: tuple[dict[str, str], ...] = ({"x": "y"}, {"v": "9", "kind": "redeem"}, {"v": "1", "moves": ";;"})
        async with stack.hot() as hot:
            for entry in entries:
                await hot.xadd(layout.stream(self.chance.choice(world.members).bucket), entry)
        world.over()
        await stack.until_said("is a dead letter")

    async def afterwards(self, stack: DrilledStack, _world: World) -> list[str]:
        async def told() -> bool:
            return await stack.metric("tong_ledger_dead_letters_total") == self.dead_letters

        await wait_through_faults("the metric counts the dead letters", told)
        return []
