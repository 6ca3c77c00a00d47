"""A ledger that is away for long: the stated backlog, and what happens above it."""

import asyncio
from contextlib import AsyncExitStack

from tests.drills.drill import Drill
from tests.drills.rest import wait_through_faults
from tests.drills.stack import DrilledStack
from tests.drills.tills import World
from tests.support.servers.postgres import private_postgres

BACKLOG_MAX = 600


class PostgresAway(Drill):
    """While the ledger is away scans go on until TONG_BACKLOG_MAX entries wait; then they are refused, `unavailable`
    and `not_applied`, /readyz and a metric say why, and they go on by themselves once the ledger has caught up."""

    name, fault = "postgres-away", f"PostgreSQL away for longer than a backlog of {BACKLOG_MAX}"

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.server = owned.enter_context(private_postgres(durable=True))
        dsn = await owned.enter_async_context(self.server.fresh_database())
        return {"TONG_POSTGRES_DSN": dsn, "TONG_BACKLOG_MAX": str(BACKLOG_MAX)}

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.server.kill()
        before = world.applied
        await stack.turns_away(world, 40)
        assert world.applied - before > BACKLOG_MAX // 4, "scans went on while the ledger was away"

        async def said() -> bool:
            answer = await stack.get("/readyz")
            return answer.status_code == 503 and "TONG_BACKLOG_MAX" in answer.text

        await wait_through_faults("/readyz says that the backlog is full", said)
        assert await stack.metric("tong_backlog_full") == 1
        await asyncio.to_thread(self.server.start)
        world.over()
