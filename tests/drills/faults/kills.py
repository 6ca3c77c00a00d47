"""SIGKILL of each process, and of all at once."""

import os
import signal

from tests.drills.drill import Drill
from tests.drills.stack import DrilledStack
from tests.drills.tills import World


class _Killed(Drill):
    """One part is killed; the supervisor starts it again."""

    part: str
    part_name: str
    kills: int = 1

    async def strike(self, stack: DrilledStack, world: World) -> None:
        for number in range(self.kills):
            if number:
                await stack.until_applied(world, self.chance.randint(20, 60))
            times, killed = stack.times_back(self.part_name), stack.pid(self.part)
            os.kill(killed, signal.SIGKILL)
            world.over()
            await stack.is_back(self.part, killed, self.part_name, times + 1)


class GatewayKilled(_Killed):
    """A worker that dies takes no acknowledged call with it; what it had in hand is unknown to the till and is resolved
    by its key; the other worker goes on."""

    name, fault = "gateway-killed", "SIGKILL of a gateway worker"
    part, part_name = "gateway", "gateway.0"


class WriterKilled(_Killed):
    """The ledger writer may die at any moment: each entry is in the ledger once. No till notices."""

    name, fault = "writer-killed", "SIGKILL of the ledger writer, three times"
    kills = 3
    part, part_name = "ledger_writer", "ledger-writer"
    no_till_notices = True


class SealerKilled(_Killed):
    """The sealer may die at any moment: the chain goes on where it was, unforked. No till notices."""

    name, fault = "sealer-killed", "SIGKILL of the sealer"
    part, part_name = "sealer", "sealer"
    no_till_notices = True


class ValkeyKilled(_Killed):
    """What was acknowledged was on disk before: a dead hot store loses none of it."""

    name, fault = "valkey-killed", "SIGKILL of Valkey"
    part, part_name = "valkey", "valkey"


class PostgresKilled(_Killed):
    """The ledger's database may die: scans go on, the writer catches up. No till notices."""

    name, fault = "postgres-killed", "SIGKILL of PostgreSQL"
    part, part_name = "postgres", "postgres"
    no_till_notices = True


class SupervisorKilled(Drill):
    """The supervisor's death ends its parts; the next `tong up` on the same home finds everything that was
    acknowledged."""

    name, fault = "supervisor-killed", "SIGKILL of the supervisor"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        stack.kill_supervisor()
        world.over()
        await stack.go()


class AllKilled(Drill):
    """The machine's processes all end at once; the next start finds everything that was acknowledged."""

    name, fault = "all-killed", "SIGKILL of all processes at once"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        stack.kill_all()
        world.over()
        await stack.go()
