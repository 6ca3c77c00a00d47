"""Scans without a pause, every one noted in a journal before it is sent: the load under which parts are killed."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2

from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.ledger.oracle import Intent, Journal
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until

TILLS = 16
POINTS = 3
RESOLVE_SECONDS = 30.0


class Load:
    """Tills that scan on until the block ends. A call that fails is noted as unknown and never repeated here."""

    def __init__(self, stack: Stack, members: Sequence[Member]) -> None:
        self._stack = stack
        self._members = members
        self._issuer = stack.code_issuer()
        self._amounts = count(1_000)
        self._ended = asyncio.Event()
        self.journal = Journal()
        self.bodies: dict[tuple[str, str], dict[str, Any]] = {}

    async def till(self, number: int) -> None:
        """One till, with connections of its own, until the end."""
        member, terminals = self._members[number % len(self._members)], list(self._stack.terminals.values())
        terminal = terminals[number % len(terminals)]
        async with client_of(self._stack, connections=1) as tong:
            while not self._ended.is_set():
                code = self._issuer.issue(member.number, int(time.time()) // 2).code
                body = {"code": code, "bill": bill(next(self._amounts)), "legs": [points_leg(POINTS)]}
                intent = self.journal.intend(Intent(terminal.terminal_id, fresh_key(), member.member_id, code, POINTS))
                self.bodies[intent.terminal_id, intent.key] = body
                try:
                    answer = await tong.verify(terminal, body, intent.key)
                except httpx2.TransportError:
                    await asyncio.sleep(0.02)  # nobody listens: as a till would, not as fast as it can
                    continue
                self.journal.heard(intent, answer.status_code, answer.json())
                if answer.status_code >= 500:
                    await asyncio.sleep(0.02)

    def end(self) -> None:
        """Lets each till finish what it has in hand."""
        self._ended.set()

    async def until_more_applied(self, further: int, seconds: float = 30.0) -> None:
        """Wait until so many more scans were acknowledged than at the time of the call."""
        goal = self.journal.count("applied") + further
        await wait_until(
            f"{further} more scans are taken", lambda: self.journal.count("applied") >= goal, seconds=seconds
        )

    async def resolve(self) -> int:
        """Repeats every unknown under its key, as tills do, until each is known; how many there were."""
        terminals = {terminal.terminal_id: terminal for terminal in self._stack.terminals.values()}
        unknown, deadline = self.journal.unknown(), time.monotonic() + RESOLVE_SECONDS
        async with client_of(self._stack) as tong:
            for intent in unknown:
                while intent.outcome == "unknown":
                    assert time.monotonic() < deadline, f"{intent} stays unknown"
                    answer = await _repeated(tong, terminals[intent.terminal_id], intent, self.bodies)
                    if answer is not None:
                        self.journal.heard(intent, answer.status_code, answer.json())
        return len(unknown)


async def _repeated(
    tong: TongClient, terminal: Any, intent: Intent, bodies: dict[tuple[str, str], dict[str, Any]]
) -> httpx2.Response | None:
    try:
        answer = await tong.verify(terminal, bodies[intent.terminal_id, intent.key], intent.key)
    except httpx2.TransportError:
        answer = None
    if answer is None or answer.status_code >= 500:  # not back yet: the same key, a little later
        await asyncio.sleep(0.05)
        return None
    return answer


@asynccontextmanager
async def load_on(stack: Stack, members: Sequence[Member]) -> AsyncIterator[Load]:
    """Tills at work for the length of the block; at its end each has finished."""
    load = Load(stack, members)
    tills = [asyncio.create_task(load.till(number)) for number in range(TILLS)]
    try:
        yield load
    finally:
        load.end()
        await asyncio.gather(*tills)
