"""The place of a drill: one `tong up` with its home, its environment and its processes, and ways to look behind it.

Guarantees: everything it starts is ended by its own process id when the block ends, also what was killed and started
anew; loopback only.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import yaml
from redis.asyncio import Redis

from redemption.domain.members import member_id
from tests.drills import layout
from tests.drills.rest import REST_SECONDS, entries_added, rows_of_this_life, until, until_no_hold_is_due
from tests.drills.tills import World
from tests.support.servers.private_servers import free_port
from tests.support.servers.stack import GROUP_FILE, START_SECONDS, TONG, Member, Stack, processes_of

STOP_SECONDS = 60.0
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


@dataclass
class Site:
    """A running stack. `hot_url` goes to the hot store directly, whatever stands between it and the stack."""

    folder: Path
    environment: dict[str, str]
    stack: Stack
    direct_url: str | None = None
    extra: list[asyncio.subprocess.Process] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict, repr=False)
    """Of both stores, as they were when the stack last started: for commands."""

    @property
    def hot_url(self) -> str:
        return self.direct_url or str(self.stack.demo["valkey_url"])

    @property
    def said(self) -> str:
        return self.stack.said

    def hot(self) -> Any:
        """A client of the hot store; use it as `async with`."""
        return Redis.from_url(self.hot_url, socket_timeout=10.0)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.stack.demo["postgres_dsn"])
        try:
            yield connection
        finally:
            await connection.close()

    def seal_key(self) -> bytes:
        return bytes.fromhex((self.stack.home / "seal-key").read_text().strip())

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, number)

    async def turns_away(self, world: World, more: int, seconds: float = REST_SECONDS) -> None:
        """So many more calls were told that nothing was applied and that the same key may be sent again."""
        goal = world.turned_away + more

        async def turned() -> bool:
            return world.turned_away >= goal

        await until(f"{more} more calls are turned away", turned, seconds)

    async def is_back(self, part: str, killed: int, name: str, times: int) -> None:
        """Waits until the supervisor has another process for the part and says so for the `times`-th time."""

        async def back() -> bool:
            return self.stack.pid(part) != killed and self.said.count(f"{name} is back (pid ") >= times

        await until(f"{name} is started again", back)

    def times_back(self, name: str) -> int:
        return self.said.count(f"{name} is back (pid ")

    async def until_said(self, text: str, seconds: float = REST_SECONDS) -> None:
        async def said() -> bool:
            return text in self.said

        await until(f"the stack says: {text}", said, seconds)

    async def start(self) -> None:
        """`tong up` on this home, in this environment; ready when this returns."""
        with (self.folder / "log").open("ab") as log:
            self.stack.process = await asyncio.create_subprocess_exec(
                *(str(TONG), "up"),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process, demo = self.stack.process, self.stack.home / "demo.json"

        async def ready() -> bool:
            assert process.returncode is None, f"the stack did not start: {self.said[-3_000:]}"
            return demo.exists()

        await until("the stack is ready", ready, START_SECONDS)
        told = self.stack.demo
        self.addresses = {"TONG_VALKEY_URL": told["valkey_url"], "TONG_POSTGRES_DSN": told["postgres_dsn"]}

    async def kill_all(self) -> None:
        """SIGKILL of every process of this home, the supervisor first; nothing of it is left when this returns."""
        demo = self.stack.home / "demo.json"
        demo.unlink()  # it names the dead
        with suppress(ProcessLookupError):
            os.kill(self.stack.process.pid, signal.SIGKILL)
        for pid in processes_of(self.stack.home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.stack.process.wait()

    async def stop(self) -> None:
        """SIGTERM to the stack; it ends in order."""
        process = self.stack.process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), STOP_SECONDS)

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
            *(sys.executable, str(TONG), *arguments),
            env=self.environment | self.addresses | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.stack.base_url, timeout=10.0) as http:
            return await http.get(path)

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples, as /metrics tells it."""
        lines = (await self.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    async def join(self, wanted: int = MEMBERS) -> list[Member]:
        """New members with plenty of everything."""
        numbers = [next(_numbers) for _ in range(wanted)]
        group = yaml.safe_load(GROUP_FILE.read_bytes())
        group["benefits"]["drill"] = BENEFIT
        group["members"] = [
            {"number": number, "name": f"測試{number}", "tier": "gold", **OPENING} for number in numbers
        ]
        path = self.folder / f"group-{numbers[0]}.yaml"
        path.write_text(yaml.safe_dump(group, allow_unicode=True))
        await self.must("load", str(path))
        return [Member(n, member_id(n), 800_000, self.stack.access_token(n)) for n in numbers]

    async def tills_pause(self, world: World) -> None:
        """Every till has finished its call and waits for `world.open`; no hold ends soon; the ledger has everything."""
        world.open.clear()

        async def quiet() -> bool:
            return world.at_work == 0

        await until("the tills wait", quiet)
        async with self.hot() as hot:
            await until_no_hold_is_due(hot)
        await self.until_ledger_caught_up()

    async def until_applied(self, world: World, more: int, seconds: float = REST_SECONDS) -> None:
        """So many more calls were acknowledged than at the time of this call."""
        goal = world.applied + more

        async def applied() -> bool:
            return world.applied >= goal

        await until(f"{more} more calls are acknowledged", applied, seconds)

    async def until_scans_go_on(self, world: World) -> None:
        """A call that was sent after the fault was over is acknowledged."""

        async def goes_on() -> bool:
            return world.first_after is not None

        await until("scans are acknowledged again", goes_on)

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

        await until("the streams can be counted", counted)
        await until("the ledger has caught up", caught_up, seconds)

    async def heads(self) -> dict[int, tuple[int, bytes]]:
        """Heads of the chain as they are now: by bucket, rows and mac; waits for the first."""
        async with self.ledger() as ledger:

            async def sealed() -> bool:
                return bool(await ledger.fetch(layout.SEALS))

            await until("something is sealed", sealed)
            return {row["bucket"]: (row["rows_sealed"], row["mac"]) for row in await ledger.fetch(layout.SEALS)}


@asynccontextmanager
async def open_site(
    folder: Path, *, workers: int, environment: Mapping[str, str], direct_url: str | None
) -> AsyncIterator[Site]:
    """A fresh stack for the length of the block. What it said last is added to a fault that ends the block."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
    home = folder / "home"
    own = {"TONG_HOME": str(home), "TONG_PORT": str(free_port()), "TONG_WORKERS": str(workers)}
    unstarted: Any = None
    site = Site(folder, inherited | own | dict(environment), Stack(folder, unstarted), direct_url)
    try:
        await site.start()
        yield site
    except BaseException as fault:
        with suppress(OSError):
            fault.add_note(site.said[-3_000:])
        raise
    finally:
        await _end(site)


async def _end(site: Site) -> None:
    """Everything of the site ends: in order where it can, else at once."""
    for process in site.extra:
        if process.returncode is None:
            for number in (signal.SIGCONT, signal.SIGKILL):
                process.send_signal(number)
            await process.wait()
    process = site.stack.process
    if process is not None and process.returncode is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
    await until_gone(site.stack.home)


async def until_gone(home: Path, seconds: float = 20.0) -> None:
    """No process of this home runs; what stays is ended by its id."""
    deadline = time.monotonic() + seconds
    while left := processes_of(home):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
