"""One real `tong up` as tests use it: a process of its own, a private home folder, free ports, real servers.

Guarantees: it is ready when the block begins, it is stopped by SIGTERM to its own process id and nothing of it runs
when the block ends; every wait is bounded; at the end nothing secret stands in what its parts wrote. Members and
businesses that tests add come through the product's own `load`, numbered from 1000 up, so that no two tests share a
balance.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import yaml
from pydantic import SecretStr
from redis.asyncio import Redis

from gateway.administration.group import load_group_file
from gateway.administration.keys import create_key
from gateway.settings import DEVELOPMENT_ISSUER, Settings
from loadtest.processes import end, standing_still
from loadtest.stack import StackProcess, processes_of
from redemption.domain.members import member_id
from tests.support.api.log_secrets import Remembered, leaked, secrets_of_home
from tests.support.api.problem import refusal_code
from tests.support.suite.waiting import wait_until
from tokens.claims import slot_at
from tokens.codec import CodeIssuer, IssuedCode
from tokens.development_issuer import DevelopmentIssuer
from tokens.keyring import KeyRing

GROUP_FILE = Path(__file__).parents[3] / "gateway" / "development" / "group.yaml"
START_SECONDS = 90.0
STOP_SECONDS = 45.0
TOKEN_SECONDS = 3_600
FIRST_MEMBER = 1_000

Lot = tuple[str, int, int]
"""Issuing business, points, months until the month of expiry (0: this month)."""
HotClient = Any
"""redis.asyncio.Redis; its stubs disagree about every return type."""


@dataclass(frozen=True)
class Terminal:
    """A till and its key."""

    business: str
    outlet: str
    terminal_id: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Member:
    """A member and an access token of the development issuer."""

    number: int
    member_id: str
    points: int
    access_token: str = field(repr=False)

    @property
    def bucket(self) -> int:
        return self.number % 64


def demo_group() -> dict[str, Any]:
    """Return the content of the demo group's file, to be changed at will; the file is read once."""
    content: dict[str, Any] = msgspec.json.decode(_demo_group_as_json())
    return content


@cache
def _demo_group_as_json() -> bytes:
    return msgspec.json.encode(yaml.safe_load(GROUP_FILE.read_bytes()))


@cache
def _settings(home: Path, valkey_url: str, postgres_dsn: str) -> Settings:
    """Return the settings for these addresses, made once: pydantic takes longer than loading a member."""
    return Settings(home=home, valkey_url=SecretStr(valkey_url), postgres_dsn=SecretStr(postgres_dsn), development=True)


class Stack(StackProcess):
    """One running `tong up` with members, businesses and terminals that tests add."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, log: Path | None = None) -> None:
        super().__init__(folder / "home", environment, log=log)
        self._folder = folder
        self._numbers = count(FIRST_MEMBER)
        self._loads = count(1)
        self.remembered = Remembered()

    async def until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the stack has described itself. Raises StackFailed when it ended instead."""
        await wait_until("the stack is ready", self.is_ready, seconds=seconds)

    @property
    def workers(self) -> list[int]:
        """Process ids of the gateway workers."""
        return self.pids("gateway")

    @property
    def terminals(self) -> dict[str, Terminal]:
        """The demo group's terminals by business."""
        return {each["business"]: Terminal(**each) for each in self.demo["terminals"]}

    @property
    def settings(self) -> Settings:
        """The settings of the parts, for running one of the product's operations against this stack."""
        demo = self.demo
        return _settings(self.home, demo["valkey_url"], demo["postgres_dsn"])

    @cached_property
    def _member_issuer(self) -> DevelopmentIssuer:
        settings = self.settings
        return DevelopmentIssuer(settings.identity_folder(), DEVELOPMENT_ISSUER, settings.member_audience, time.time)

    async def member(
        self,
        *lots: Lot,
        tier: str = "gold",
        benefits: Mapping[str, int] | None = None,
        definitions: Mapping[str, Any] | None = None,
    ) -> Member:
        """A new member with these lots and uses of benefits; nobody else uses it."""
        return (await self.members([lots], tier=tier, benefits=benefits, definitions=definitions))[0]

    async def members(
        self,
        lots_of_each: Sequence[Sequence[Lot]],
        *,
        tier: str = "gold",
        benefits: Mapping[str, int] | None = None,
        definitions: Mapping[str, Any] | None = None,
    ) -> list[Member]:
        """New members, one for each sequence of lots, each with so many uses of the benefits; `definitions` are of
        benefits that the demo group does not have."""
        granted = [
            {"benefit": benefit, "uses": uses, "expires_in_months": 2} for benefit, uses in (benefits or {}).items()
        ]
        numbers = [next(self._numbers) for _ in lots_of_each]
        entries = [
            {
                "number": number,
                "name": f"測試{number}",
                "tier": tier,
                "points": [{"business": b, "points": p, "expires_in_months": m} for b, p, m in lots],
                "benefits": granted,
            }
            for number, lots in zip(numbers, lots_of_each, strict=True)
        ]
        await self.load(members=entries, benefits=definitions)
        return [
            Member(number, member_id(number), sum(points for _, points, _ in lots), self.access_token(number))
            for number, lots in zip(numbers, lots_of_each, strict=True)
        ]

    async def load(
        self,
        *,
        members: Sequence[dict[str, Any]] = (),
        businesses: Sequence[dict[str, Any]] = (),
        benefits: Mapping[str, Any] | None = None,
    ) -> None:
        """`tong load` of the demo group with further businesses and benefits and with these members."""
        group = demo_group()
        group["businesses"] += businesses
        group["benefits"] |= benefits or {}
        group["members"] = list(members)
        await self.load_document(group)

    async def load_document(self, group: Mapping[str, Any]) -> None:
        """`tong load` of a group file with this content, as JSON, which is read in a twentieth of the time of YAML."""
        path = self._folder / f"group-{next(self._loads)}.json"
        path.write_bytes(msgspec.json.encode(group))
        await load_group_file(self.settings, path)

    async def terminal(self, business: str, *, rules: dict[str, Any] | None = None) -> Terminal:
        """A business of its own with one terminal and a fresh key; waits until every worker knows it."""
        outlet, terminal_id = f"out_{business}", f"trm_{business}"
        entry: dict[str, Any] = {
            "id": business,
            "name": {"en": business},
            "currency": "CNY",
            "outlets": [
                {"id": outlet, "name": {"en": outlet}, "terminals": [{"id": terminal_id, "name": terminal_id}]}
            ],
        }
        if rules is not None:
            entry["rules"] = {"points": rules}
        await self.load(businesses=[entry])
        terminal = Terminal(business, outlet, terminal_id, await create_key(self.settings, terminal_id, ()))
        self.remembered.add("a terminal's key", terminal.api_key)
        await self.until_every_worker(f"knows the key of {terminal_id}", lambda http: _knows(http, terminal))
        return terminal

    async def until_every_worker(
        self, what: str, holds: Callable[[httpx2.AsyncClient], Awaitable[bool]], seconds: float = 10.0
    ) -> None:
        """Wait until `holds` was true of each worker, asked alone and over new connections."""

        async def asked() -> bool:
            async with httpx2.AsyncClient(base_url=self.base_url) as http:
                return await holds(http)

        for position in range(len(self.workers)):
            async with self.only_worker(position):
                await wait_until(f"worker {position}: {what}", asked, seconds=seconds)

    def access_token(self, number: int, seconds: int = TOKEN_SECONDS) -> str:
        """An access token of the development issuer for a member number."""
        return self._member_issuer.access_token(member_id(number), seconds)

    def code_issuer(self) -> CodeIssuer:
        """Makes genuine codes of any member and moment, with the stack's own key ring."""
        settings = self.settings
        ring = KeyRing.load(settings.code_keys_path(), settings.environment)
        return CodeIssuer(ring, settings.code_algorithm, time.time)

    def aged_code(self, member: Member, seconds: int) -> IssuedCode:
        """A genuine code that was made so many seconds ago; it expires after 30."""
        return self.code_issuer().issue(member.number, slot_at(time.time() - seconds))

    @asynccontextmanager
    async def hot(self) -> AsyncIterator[HotClient]:
        """A client of the hot store."""
        async with Redis.from_url(self.demo["valkey_url"]) as client:
            yield client

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A connection to PostgreSQL."""
        connection = await asyncpg.connect(self.demo["postgres_dsn"])
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def only_worker(self, position: int) -> AsyncIterator[None]:
        """Only this worker answers new connections: the others are stopped (SIGSTOP) for the length of the block."""
        with standing_still(pid for index, pid in enumerate(self.workers) if index != position):
            yield

    def look_for_secrets(self) -> None:
        """Remembers what is in the home now; demo.json goes when the stack ends."""
        for secret, what in secrets_of_home(self.home).items():
            self.remembered.add(what, secret)

    def leaked(self) -> list[str]:
        """Return the secrets of this stack and its tests that its parts wrote. None ever may be there."""
        return leaked(self.said, self.remembered.found)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal and wait for the end of the process; kill it when it does not end in time."""
        if not self.has_ended:
            self.process.send_signal(number)
        try:
            await self.until_ended()
        finally:
            end(self.process, 0)

    async def until_ended(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until the process has ended."""
        await wait_until("the stack has ended", lambda: self.has_ended, seconds=seconds)


async def _knows(http: httpx2.AsyncClient, terminal: Terminal) -> bool:
    answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {terminal.api_key}"})
    return refusal_code(answer) == "not_found"


@asynccontextmanager
async def running_stack(*, workers: int = 1, **environment: str) -> AsyncIterator[Stack]:
    """A fresh stack for the length of the block. What it said is added to a fault that ends the block."""
    folder = Path(tempfile.mkdtemp(prefix="tong-test-stack-"))
    stack = Stack(folder, {"TONG_WORKERS": str(workers), **environment})
    try:
        stack.start()
        try:
            await stack.until_ready()
            stack.look_for_secrets()
            yield stack
            stack.look_for_secrets()
        except BaseException as fault:
            fault.add_note(stack.said[-3_000:])
            raise
        finally:
            await stack.end()
        await wait_until("nothing of the stack runs", lambda: not processes_of(stack.home), seconds=STOP_SECONDS)
        assert stack.process.returncode == 0, stack.said
        assert stack.leaked() == [], "secrets stand in the logs"
    finally:
        shutil.rmtree(folder)
