"""One drill from beginning to end: stack, load, heads exported, fault, recovery, resolution, rest, judgement.

A drill is a class with a name, what it does to the stack, and what is promised (its docstring). `strike` does the fault
from its beginning to its end, recovery by an operator included; everything else is the same for all.
"""

import asyncio
import random
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
from redis.exceptions import RedisError

from loadtest import layout
from loadtest.stack import StackFailed
from tests.drills.journal import Journal, open_journal, read_journal
from tests.drills.oracle import Books, judge
from tests.drills.rest import REST_SECONDS, looked_up, resolve, until_at_rest
from tests.drills.stack import DrilledStack, drilled_stack
from tests.drills.tills import MakeCode, World, tills_at_work
from tests.support.suite.waiting import NotInTime

TAP_SECONDS = 0.1
TAP_ENTRIES = 1_000


class CannotRun(Exception):
    """This machine lacks what the drill needs; the text says what. It counts as not run, never as passed."""


@dataclass
class Result:
    """What one drill came to. `wrong` is empty when everything held; `not_run` says why it could not."""

    name: str
    fault: str
    seed: int
    requests: int = 0
    acknowledged: int = 0
    unknown: int = 0
    resolved: int = 0
    scans_after: float = 0.0
    ledger_after: float = 0.0
    took: float = 0.0
    wrong: list[str] = field(default_factory=list)
    not_run: str = ""

    @property
    def passed(self) -> bool:
        return not self.wrong and not self.not_run

    def line(self) -> str:
        """The drill in one line."""
        if self.not_run:
            return f"{self.name:24} NOT RUN: {self.not_run}"
        verdict = "I1–I12 hold" if self.passed else f"FAILED: {self.wrong[0]}"
        return (
            f"{self.name:24} {self.fault}: {self.requests} requests, {self.acknowledged} acknowledged, "
            f"{self.unknown} unknown, {self.resolved} resolved; scans after {self.scans_after:.1f} s, ledger after "
            f"{self.ledger_after:.1f} s; {verdict} [seed {self.seed}, {self.took:.0f} s]"
        )


class Drill(ABC):
    """A fault and what is promised about it (the docstring of the class)."""

    name: ClassVar[str]
    fault: ClassVar[str]
    workers: ClassVar[int] = 2
    marks_lost: ClassVar[bool] = False
    """The hot store is rebuilt: what was refused before is not remembered (docs/reference/ledger.md)."""
    dead_letters: ClassVar[int] = 0
    """How many malformed entries the drill puts in."""
    no_till_notices: ClassVar[bool] = False
    """Every call is answered with its outcome: nothing unknown, nothing turned away."""
    resolve_seconds: ClassVar[float] = REST_SECONDS
    rest_seconds: ClassVar[float] = REST_SECONDS

    def __init__(self, seed: int, *, tills: int = 6) -> None:
        self.seed = seed
        self.tills = tills
        self.chance = random.Random(f"{seed} {self.name}")
        self.direct_url: str | None = None
        self.folder = Path()

    async def prepare(self, _owned: AsyncExitStack) -> dict[str, str]:
        """Servers of the drill's own, entered into `_owned`; the environment of the stack. Raises `CannotRun`."""
        return {}

    def codes(self, stack: DrilledStack) -> MakeCode:
        """How the tills come by codes."""
        issuer = stack.code_issuer()
        return lambda number: issuer.issue(number, int(time.time()) // 2).code

    @abstractmethod
    async def strike(self, stack: DrilledStack, world: World) -> None:
        """The fault, from beginning to end. The tills are at work meanwhile."""

    async def afterwards(self, _stack: DrilledStack, _world: World) -> list[str]:
        """What else was promised and does not hold, in sentences."""
        return []

    async def run(self) -> Result:
        """The whole drill. What goes wrong stands in the result; only a defect of the drill itself is raised."""
        result = Result(self.name, self.fault, self.seed)
        began = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix=f"tong-drill-{self.name}-"))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user
        try:
            async with AsyncExitStack() as owned:
                environment = await self.prepare(owned)
                stack = await owned.enter_async_context(
                    drilled_stack(
                        self.folder, workers=self.workers, environment=environment, direct_url=self.direct_url
                    )
                )
                await self._on(stack, result)
        except CannotRun as why:
            result.not_run = str(why)
        except (AssertionError, StackFailed, RedisError, asyncpg.PostgresError, OSError, TimeoutError) as fault:
            notes = "".join(getattr(fault, "__notes__", []))
            result.wrong.append(f"{type(fault).__name__}: {fault}\n{notes}")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            result.took = time.monotonic() - began
        return result

    async def _on(self, stack: DrilledStack, result: Result) -> None:
        members = await stack.join()
        with open_journal(self.folder / "journal", {member.member_id: member.bucket for member in members}) as journal:
            world = World(
                base_url=stack.base_url,
                journal=journal,
                members=members,
                terminals=list(stack.terminals.values()),
                make_code=self.codes(stack),
                seed=self.seed,
            )
            async with _tap(stack, journal):
                async with tills_at_work(world, self.tills):
                    await stack.until_applied(world, self.chance.randint(80, 240))
                    heads = await stack.heads()
                    try:
                        await self._strike_and_recover(stack, world, result)
                    except NotInTime as why:
                        result.wrong.append(f"not at rest: {why}")
                await resolve(world, marks_lost=self.marks_lost, seconds=self.resolve_seconds)
                result.wrong += await self.afterwards(stack, world)
                restless = await self._restless(stack)
            result.requests = journal.sent
            result.wrong += [*await self._judged(stack, world, heads, result), *restless]
            result.wrong.sort(key=lambda sentence: not sentence.startswith("I"))  # which invariant comes first

    async def _strike_and_recover(self, stack: DrilledStack, world: World, result: Result) -> None:
        await self.strike(stack, world)
        if not world.over_at:
            world.over()
        await stack.until_ledger_caught_up(self.rest_seconds)
        result.ledger_after = time.monotonic() - world.over_at
        await stack.until_scans_go_on(world)
        result.scans_after = world.first_after or 0.0
        await stack.until_applied(world, 60)

    async def _restless(self, stack: DrilledStack) -> list[str]:
        """What the stack did not come to rest for; it is judged all the same, to say which invariants are broken."""
        try:
            async with stack.hot() as hot, stack.ledger() as ledger:
                await until_at_rest(hot, ledger, self.rest_seconds)
        except NotInTime as why:
            return [f"not at rest: {why}"]
        return []

    async def _judged(
        self, stack: DrilledStack, world: World, heads: dict[int, tuple[int, bytes]], result: Result
    ) -> list[str]:
        record = read_journal(world.journal.path)
        entries = record.entries.values()
        doubtful = [e for e in entries if e.silences or any(answer.outcome == "unknown" for answer in e.answers)]
        result.acknowledged = sum(entry.outcome == "applied" for entry in entries)
        result.unknown, result.resolved = len(doubtful), sum(entry.settled is not None for entry in doubtful)
        async with stack.hot() as hot, stack.ledger() as ledger:
            books = Books(record, hot, ledger, stack.seal_key(), heads, self.dead_letters)
            wrong = [*await judge(books), *await looked_up(world, record, hot)]
        if self.no_till_notices:
            noticed = [
                entry.intent.n
                for entry in entries
                if entry.silences or any(answer.outcome in ("unknown", "turned_away") for answer in entry.answers)
            ]
            if noticed:
                wrong.append(f"noticed: {len(noticed)} calls were not answered at once with what happened")
        return wrong


@asynccontextmanager
async def _tap(stack: DrilledStack, journal: Journal) -> AsyncIterator[None]:
    """Reads all streams beside the product and notes every entry in the journal. What it misses is not held against
    anybody; what it saw has to be in the ledger."""
    task = asyncio.create_task(_read_streams(stack, journal), name="tap")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _read_streams(stack: DrilledStack, journal: Journal) -> None:
    after: dict[Any, Any] = {layout.stream(bucket): "0-0" for bucket in range(layout.BUCKETS)}
    while True:
        with suppress(RedisError, OSError, ValueError):
            async with stack.hot() as hot:
                while True:
                    for name, entries in await hot.xread(after, count=TAP_ENTRIES):
                        bucket = int(name[2 : name.index(b"}")])
                        for entry, fields in entries:
                            journal.saw(bucket, entry.decode(), _readable(fields))
                            after[name.decode()] = entry.decode()
                    await asyncio.sleep(TAP_SECONDS)
        await asyncio.sleep(TAP_SECONDS)


def _readable(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
