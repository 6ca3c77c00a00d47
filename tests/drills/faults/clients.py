"""Clients that go away in the middle of a call."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

from tests.drills.drill import Drill
from tests.drills.journal import Intent
from tests.drills.stack import DrilledStack
from tests.drills.tills import World

CALLS = 80
BILL_FROM_MINOR = 500_000


class ClientsGone(Drill):
    """A till that hangs up in the middle of its call changes nothing for anybody else; what became of the call is what
    its key says, once, and the worker keeps nothing of it."""

    name, fault = "clients-gone", "80 clients disconnect in the middle of their calls"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        for number in range(CALLS):
            await self._leave(world, number)
        world.over()

    async def _leave(self, world: World, number: int) -> None:
        """One scan on a connection of its own, which ends after a part of the request, or after the whole of it."""
        member, terminal = self.chance.choice(world.members), self.chance.choice(world.terminals)
        code = world.make_code(member.number)
        amount = BILL_FROM_MINOR + number
        body = {
            "code": code,
            "bill": {"reference": f"GONE-{number}", "amount_minor": amount, "currency": "CNY"},
            "legs": [{"kind": "points", "points": 7}],
        }
        key = f"gone-{self.seed}-{number}"
        intent = Intent(
            next(world.numbers),
            "verify",
            terminal.terminal_id,
            "/v1/verify",
            body,
            key,
            member.member_id,
            code,
            {"points": 7},
        )
        world.journal.intend(intent)
        content = json.dumps(body).encode()
        head = (
            f"POST /v1/verify HTTP/1.1\r\nHost: tong\r\nAuthorization: Bearer {terminal.api_key}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        whole = head.encode() + content
        sent = len(whole) if self.chance.random() < 0.6 else self.chance.randrange(len(whole))
        address = urlsplit(world.base_url)
        with suppress(OSError):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(whole[:sent])
            await writer.drain()
            await asyncio.sleep(self.chance.choice((0, 0, 0.001, 0.003)))
            writer.transport.abort()
        world.journal.lost(intent.n, "hung up")
