"""The stack of a drill: one `tong up` with its home, its environment and its processes, and ways to look behind it.

Guarantees: everything it starts is ended by its own process id when the block ends, also what was killed and started
anew; loopback only.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from redis.asyncio import Redis

from loadtest import layout
from loadtest.stack import TONG, processes_of
from redemption.domain.members import member_id
from tests.drills.rest import REST_SECONDS, entries_added, rows_of_this_life, until_no_hold_is_due, wait_through_faults
from tests.drills.tills import World
from tests.support.servers.private_servers import free_port
from tests.support.servers.stack import Member, Stack, demo_group
from tests.support.suite.waiting import NotInTime, wait_until

GONE_SECONDS = 20.0
COMMAND_SECONDS = 120.0
MEMBERS = 24
OPENING: dict[str, Any] = {
    "points": [
        {"business": "hotel", "points": 400_000, "expires_in_months": 1},
        {"business": "mall", "points": 400_000, "expires_in_months": 3},
    ],
    "benefits": [{"benefit": "drill", "uses": 1_000_000, "expires_in_months": 2}],
    "stored_value": [{"business": "hotel", "amount_minor": 90_000_000}],
}
BENEFIT = {"name": {"en": "drill"}, "granted_by": "gym", "discount": {"kind": "amount_off", "amount_minor": 100}}
_numbers = count(7_000)


class DrilledStack(Stack):
    """A running stack. `hot_url` goes to the hot store directly, whatever is between it and the stack."""

    def __init__(self, folder: Path, environment: Mapping[str, str], direct_url: str | None) -> None:
        super().__init__(folder, environment)
        self.folder = folder
        self.extra: list[asyncio.subprocess.Process] = []
        self._direct_url = direct_url
        self._addresses: dict[str, str] = {}
        """Of both stores, as they were when the stack last started: for commands."""

    @property
    def hot_url(self) -> str:
        """The address of the hot store itself."""
        return self._direct_url or self.valkey_url

    @asynccontextmanager
    async def hot(self) -> AsyncIterator[Any]:
        """Open a client of the hot store."""
        async with Redis.from_url(self.hot_url, socket_timeout=10.0) as client:
            yield client

    def seal_key(self) -> bytes:
        return bytes.fromhex((self.home / "seal-key").read_text().strip())

    async def turns_away(self, world: World, more: int, seconds: float = REST_SECONDS) -> None:
        """So many more calls were told that nothing was applied and that the same key may be sent again."""
        goal = world.turned_away + more
        await wait_through_faults(
            f"{more} more calls are turned away", lambda: world.turned_away >= goal, seconds=seconds
        )

    async def is_back(self, part: str, killed: int, name: str, times: int) -> None:
        """Waits until the supervisor has another process for the part and says so for the `times`-th time."""

        def is_back() -> bool:
            return self.pid(part) != killed and self.said.count(f"{name} is back (pid ") >= times

        await wait_through_faults(f"{name} is started again", is_back)

    def times_back(self, name: str) -> int:
        return self.said.count(f"{name} is back (pid ")

    async def until_said(self, text: str, seconds: float = REST_SECONDS) -> None:
        await wait_through_faults(f"the stack says: {text}", lambda: text in self.said, seconds=seconds)

    async def go(self) -> None:
        """Start `tong up` on this home, in this environment, and wait until it is ready."""
        self.start()
        await self.until_ready()
        self._addresses = {"TONG_VALKEY_URL": self.valkey_url, "TONG_POSTGRES_DSN": self.postgres_dsn}

    def kill_supervisor(self) -> None:
        """End the supervisor by SIGKILL. Its demo.json, which names the dead, goes first."""
        (self.home / "demo.json").unlink()
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """End every process of this home by SIGKILL, the supervisor first."""
        self.kill_supervisor()
        for pid in processes_of(self.home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def tong(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """One command of the product against this stack: its exit status and what it wrote."""
        process = await self.spawn(*arguments, output=subprocess.PIPE, **environment)
        output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace")

    async def must(self, *arguments: str, **environment: str) -> str:
        """As `tong`, for a command that has to end well."""
        status, output = await self.tong(*arguments, **environment)
        assert status == 0, f"tong {' '.join(arguments)} ended with {status}: {output[-2_000:]}"
        return output

    async def spawn(self, *arguments: str, output: int, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(TONG), *arguments), env=self.environment | self._addresses | environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.base_url, timeout=10.0) as http:
            return await http.get(path)

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples, as /metrics tells it."""
        lines = (await self.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    async def join(self, wanted: int = MEMBERS) -> list[Member]:
        """New members with plenty of everything."""
        numbers = [next(_numbers) for _ in range(wanted)]
        group = demo_group()
        group["benefits"]["drill"] = BENEFIT
        group["members"] = [
            {"number": number, "name": f"測試{number}", "tier": "gold", **OPENING} for number in numbers
        ]
        path = self.folder / f"group-{numbers[0]}.json"
        path.write_bytes(msgspec.json.encode(group))
        await self.must("load", str(path))
        return [Member(n, member_id(n), 800_000, self.access_token(n)) for n in numbers]

    async def tills_pause(self, world: World) -> None:
        """Every till has finished its call and waits for `world.open`; no hold ends soon; the ledger has everything."""
        world.open.clear()
        await wait_through_faults("the tills wait", lambda: world.at_work == 0)
        async with self.hot() as hot:
            await until_no_hold_is_due(hot)
        await self.until_ledger_caught_up()

    async def until_applied(self, world: World, more: int, seconds: float = REST_SECONDS) -> None:
        """So many more calls were acknowledged than at the time of this call."""
        goal = world.applied + more
        await wait_through_faults(f"{more} more calls are acknowledged", lambda: world.applied >= goal, seconds=seconds)

    async def until_scans_go_on(self, world: World) -> None:
        """A call that was sent after the fault was over is acknowledged."""
        await wait_through_faults("scans are acknowledged again", lambda: world.first_after is not None)

    async def until_ledger_caught_up(self, seconds: float = REST_SECONDS, *, without: int | None = None) -> None:
        """The ledger has what the streams had at this moment; `without` a bucket whose stream is none."""
        goal: int | None = None

        async def counted() -> bool:
            nonlocal goal
            async with self.hot() as hot:
                goal = await entries_added(hot, without=without)
            return True

        async def caught_up() -> bool:
            assert goal is not None
            async with self.ledger() as ledger:
                return await rows_of_this_life(ledger, without=without) >= goal

        await wait_through_faults("the streams can be counted", counted)
        await wait_through_faults("the ledger has caught up", caught_up, seconds=seconds)

    async def heads(self) -> dict[int, tuple[int, bytes]]:
        """Heads of the chain as they are now: by bucket, rows and mac; waits for the first."""
        async with self.ledger() as ledger:

            async def sealed() -> bool:
                return bool(await ledger.fetch(layout.SEALS))

            await wait_through_faults("something is sealed", sealed)
            return {row["bucket"]: (row["rows_sealed"], row["mac"]) for row in await ledger.fetch(layout.SEALS)}


@asynccontextmanager
async def drilled_stack(
    folder: Path, *, workers: int, environment: Mapping[str, str], direct_url: str | None
) -> AsyncIterator[DrilledStack]:
    """Run a fresh stack for the length of the block. What it said last is added to a fault that ends the block."""
    own = {"TONG_PORT": str(free_port()), "TONG_WORKERS": str(workers)}
    stack = DrilledStack(folder, own | dict(environment), direct_url)
    try:
        await stack.go()
        yield stack
    except BaseException as fault:
        with suppress(OSError):
            fault.add_note(stack.said[-3_000:])
        raise
    finally:
        await _end(stack)


async def _end(stack: DrilledStack) -> None:
    """End everything of the stack: in order where it can, else at once, by process id."""
    for process in stack.extra:
        if process.returncode is None:
            for number in (signal.SIGCONT, signal.SIGKILL):
                process.send_signal(number)
            await process.wait()
    stack.process.send_signal(signal.SIGCONT)
    with suppress(NotInTime):
        await stack.end()
    with suppress(NotInTime):
        await wait_until("nothing of the stack runs", lambda: not processes_of(stack.home), seconds=GONE_SECONDS)
    for pid in processes_of(stack.home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
