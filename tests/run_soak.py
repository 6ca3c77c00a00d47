"""`python -m tests.run_soak [--minutes 60] [--seed N]`: does a worker's memory reach a plateau under use and abuse?

A stack of one worker gets, at a low rate and all the time: scans, repeats and refusals, requests that are no HTTP,
connections that never read, streams that come and go. Once a minute it prints the worker's resident memory. The verdict
compares the last third of the minutes with the third before: exit status 1 if it grew by more than `GROWTH_BYTES_MAX`.
Under six minutes the figures are printed without a verdict.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.servers.stack import Member, Stack, running_stack

GROWTH_BYTES_MAX = 4 << 20
VERDICT_MINUTES_MIN = 6
PAUSE_SECONDS = 0.05
MEMBERS = 200


def resident(stack: Stack) -> int:
    """Bytes of the worker."""
    text = Path(f"/proc/{stack.workers[0]}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


class Soak:
    """The clients. Each kind of use is a method; `chance` says which comes next."""

    def __init__(self, stack: Stack, tong: TongClient, members: list[Member], chance: random.Random) -> None:
        self._stack, self._tong, self._members, self._chance = stack, tong, members, chance
        self.done = 0

    async def run(self, until: float) -> None:
        kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            *(self.scan,) * 6,
            self.refused,
            self.no_http,
            self.never_reads,
            self.listens,
            self.pipelines,
        )
        while time.monotonic() < until:
            with suppress(ConnectionError, TimeoutError):
                await self._chance.choice(kinds)()
            self.done += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def scan(self) -> None:
        member, key = self._chance.choice(self._members), fresh_key()
        body = {
            "code": await self._tong.code(member),
            "bill": bill(self._chance.randrange(10_000, 900_000)),
            "legs": [points_leg(1)],
        }
        for _ in range(2):
            await self._tong.verify(self._stack.terminals["hotel"], body, key)

    async def refused(self) -> None:
        await self._tong.http.get("/v1/me", headers={"authorization": f"Bearer {fresh_key()}"})
        await self._tong.http.post(f"/v1/{fresh_key()}", content=b"x" * 20_000)

    async def no_http(self) -> None:
        await self._raw(self._chance.randbytes(2_000), reads=True)

    async def never_reads(self) -> None:
        await self._raw(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20, reads=False)

    async def pipelines(self) -> None:
        await self._raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 500, reads=True)

    async def listens(self) -> None:
        member = self._chance.choice(self._members)
        headers = {"authorization": f"Bearer {member.access_token}"}
        async with self._tong.http.stream("GET", "/v1/me/events", headers=headers) as answer:
            async for _ in answer.aiter_bytes():
                return

    async def _raw(self, sent: bytes, *, reads: bool) -> None:
        address = urlsplit(self._stack.base_url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=4_096)
        try:
            writer.write(sent)
            await writer.drain()
            if reads:
                await asyncio.wait_for(reader.read(200_000), 1.0)
        finally:
            writer.close()


async def main(minutes: int, seed: int) -> int:
    chance = random.Random(seed)
    say(f"seed {seed}")
    async with running_stack(workers=1) as stack, client_of(stack) as tong:
        members = await stack.members([[("hotel", 1_000_000, 2)]] * MEMBERS)
        soak = Soak(stack, tong, members, chance)
        running = asyncio.create_task(soak.run(time.monotonic() + 60 * minutes))
        figures: list[int] = []
        for minute in range(1, minutes + 1):
            await asyncio.wait({running}, timeout=60)
            figures.append(resident(stack))
            say(f"minute {minute}: {figures[-1] / (1 << 20):.1f} MiB, {soak.done} rounds")
        await running
    if minutes < VERDICT_MINUTES_MIN:
        say("too short for a verdict")
        return 0
    third = len(figures) // 3
    grown = median(figures[-third:]) - median(figures[-2 * third : -third])
    say(f"the last third has {grown / (1 << 20):+.1f} MiB: {'a plateau' if grown <= GROWTH_BYTES_MAX else 'it grows'}")
    return int(grown > GROWTH_BYTES_MAX)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.minutes, options.seed)))
