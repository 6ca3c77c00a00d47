"""Many callers on one hot connection while the network misbehaves; every reply is checked to be the caller's own."""

import asyncio
import random
from dataclasses import dataclass, field

from redemption.hot.connection import HotConnection, NotSent, ReplyLost
from tests.support.servers.proxy import FaultProxy
from tests.support.suite.waiting import wait_until

DEADLINE_SECONDS = 5.0


@dataclass
class Tally:
    """What became of the calls of one load."""

    answered: int = 0
    cancelled: int = 0
    lost: int = 0
    not_sent: int = 0
    crossed: list[tuple[bytes, object]] = field(default_factory=list)
    faults: int = 0
    ended: bool = False

    @property
    def total(self) -> int:
        return self.answered + self.cancelled + self.lost + self.not_sent


async def echo_load(
    connection: HotConnection,
    randomness: random.Random,
    *,
    callers: int,
    calls_each: int,
    proxy: FaultProxy | None = None,
) -> Tally:
    """`callers` tasks echo unique texts, some with tiny deadlines, some cancelled; faults strike all along."""
    tally = Tally()

    async def call(text: bytes) -> None:
        fate = randomness.random()
        deadline_seconds = randomness.uniform(0.0001, 0.004) if fate < 0.2 else DEADLINE_SECONDS
        task = asyncio.create_task(_echo(connection, text, deadline_seconds, tally))
        if fate > 0.8:
            for _ in range(randomness.randrange(8)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            tally.cancelled += 1
        else:
            task.result()

    async def caller(number: int) -> None:
        for count in range(calls_each):
            await wait_until("the connection is there", lambda: connection.connected)
            # Lengths differ, so that a cut falls at every place of a reply.
            await call(f"{number}-{count}-{'x' * randomness.randrange(200)}".encode())

    strikes = asyncio.create_task(_strike(connection, proxy, randomness, tally)) if proxy else None
    try:
        await asyncio.gather(*(caller(number) for number in range(callers)))
    finally:
        tally.ended = True
        if strikes is not None:
            await strikes
    return tally


async def _echo(connection: HotConnection, text: bytes, deadline_seconds: float, tally: Tally) -> None:
    try:
        reply = await connection.execute("ECHO", text, deadline_seconds=deadline_seconds)
    except NotSent:
        tally.not_sent += 1
    except ReplyLost:
        tally.lost += 1
    else:
        tally.answered += 1
        if reply != text:
            tally.crossed.append((text, reply))


async def _strike(connection: HotConnection, proxy: FaultProxy, randomness: random.Random, tally: Tally) -> None:
    """One fault after the other, each once some more calls have ended, until the load is over."""
    while not tally.ended:
        before = tally.total
        step = randomness.randrange(20, 120)
        await wait_until("more calls end", lambda b=before, s=step: tally.ended or tally.total >= b + s)  # type: ignore[misc]
        strike(proxy, randomness)
        tally.faults += 1
        if proxy.black_hole or proxy.drop_replies:
            made = proxy.connections_made
            await wait_until("silence is noticed", lambda: tally.ended or not connection.connected)
            proxy.heal()
            await wait_until(
                "it connects anew",
                lambda m=made: tally.ended or proxy.connections_made > m,  # type: ignore[misc]
            )
    proxy.heal()


def strike(proxy: FaultProxy, randomness: random.Random) -> None:
    """One fault by chance."""
    match randomness.randrange(7):
        case 0:
            proxy.cut()
        case 1 | 2:
            proxy.reply_bytes_before_cut = randomness.randrange(1, 3000)
        case 3:
            proxy.delay_seconds = randomness.choice([0.0, 0.001, 0.004])
        case 4:
            proxy.trickle_bytes = randomness.choice([None, 1, 3, 17])
        case 5:
            proxy.black_hole = True
        case _:
            proxy.drop_replies = True
