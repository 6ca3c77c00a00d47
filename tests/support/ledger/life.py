"""Audits and rebuilds of a running stack for tests, and a life of members that leaves every kind of record behind."""

import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from redemption.database import Pool, open_pool
from redemption.hot import keys
from redemption.hot.install import open_client
from redemption.ledger.audit.auditing import Audit, AuditReport
from redemption.ledger.audit.ledger import Evidence
from redemption.ledger.chain import Head, SealKey, read_seal_key
from redemption.ledger.findings import Finding
from redemption.ledger.rebuild import Rebuild, Report
from redemption.ledger.sealer import Sealer
from tests.support.api.client import fresh_key
from tests.support.engine.http import Environment, Json, benefit, points, stored
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until

BUCKETS = 64
SEAL_ROUNDS_MAX = 200


@dataclass
class Books:
    """Both stores of a stack, as the commands open them."""

    stack: Stack
    pool: Pool
    hot: Any
    key: SealKey = field(repr=False)
    archive: Path | None = None
    """The folder of archived months, for audits that verify their rows too."""
    seconds_later: float = 0.0
    """By how much later than it is the hot store's memory is judged in rebuilds."""

    async def audit(self, *buckets: int, heads: list[Head] | None = None, drain_seconds: float = 20.0) -> AuditReport:
        evidence = Evidence(self.key, heads or (), self.archive)
        audit = Audit(self.pool, self.hot, evidence=evidence, drain_seconds=drain_seconds)
        return await audit.run(buckets or range(BUCKETS))

    async def findings(self, *buckets: int, **options: Any) -> list[str]:
        return [str(finding) for finding in (await self.audit(*buckets, **options)).findings]

    async def would_change(self, *buckets: int) -> list[Finding]:
        return (await self._rebuild().compare(buckets or range(BUCKETS))).findings

    async def rebuild(self, *buckets: int, member: str | None = None, **options: Any) -> Report:
        return await self._rebuild().rebuild(buckets or range(BUCKETS), member, **options)

    def _rebuild(self) -> Rebuild:
        return Rebuild(
            self.pool, self.hot, cluster=False, say=lambda _: None, now=lambda: time.time() + self.seconds_later
        )

    async def drained(self) -> None:
        async with self.stack.ledger() as ledger:
            await until_drained(self.hot, ledger)

    @asynccontextmanager
    async def writer_paused(self) -> AsyncIterator[None]:
        """SIGSTOP for the ledger writer for the length of the block, at a moment at which it holds no lock."""
        pid = self.stack.pid("ledger_writer")

        async def stopped_at_rest() -> bool:
            os.kill(pid, signal.SIGSTOP)
            async with self.stack.ledger() as ledger:
                busy = await ledger.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tong-ledger-writer' "
                    "AND state <> 'idle'"
                )
            if busy:
                os.kill(pid, signal.SIGCONT)
            return not busy

        try:
            await wait_until("the writer is stopped between two transactions", stopped_at_rest)
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def until_frozen(self, buckets: Iterable[int]) -> None:
        wanted = list(buckets)

        async def frozen() -> bool:
            return all([await self.hot.exists(keys.frozen(bucket)) for bucket in wanted])

        await wait_until(f"buckets {wanted} are frozen", frozen)

    async def until_written(self) -> None:
        """Every stream's end is behind its watermark, whatever the epoch."""

        async def written() -> bool:
            async with self.stack.ledger() as ledger:
                for row in await ledger.fetch("SELECT * FROM ledger_watermark"):
                    name = keys.ledger_stream(row["bucket"])
                    if await self.hot.exists(name):
                        last = (await self.hot.xinfo_stream(name))["last-generated-id"]
                        if last != f"{row['last_ms']}-{row['last_seq']}".encode():
                            return False
            return True

        await wait_until("the ledger has every entry", written)

    async def sealed(self) -> None:
        """Everything in the ledger is behind a seal; the stack's own sealer takes its time."""
        sealer = Sealer(self.pool, self.key, range(BUCKETS))
        for _ in range(SEAL_ROUNDS_MAX):
            with suppress(asyncpg.UniqueViolationError):  # the stack's sealer was faster: look again, as `run` does
                if not await sealer.round():
                    return
        raise AssertionError(f"the ledger was not sealed after {SEAL_ROUNDS_MAX} rounds")


@asynccontextmanager
async def books_of(stack: Stack) -> AsyncIterator[Books]:
    settings = stack.settings
    valkey_url, dsn = settings.stores()
    pool = await open_pool(dsn, size=4)
    try:
        async with open_client(valkey_url, cluster=False) as hot:
            yield Books(stack, pool, hot, read_seal_key(settings.seal_key_path()))
    finally:
        await pool.close()


async def until_ready_names(environment: Environment, bucket: int) -> None:
    """`/readyz` and the metrics say that the bucket is frozen."""

    async def named() -> bool:
        ready = (await environment.tong.http.get("/readyz")).json()
        return bucket in [entry["bucket"] for entry in ready.get("frozen_buckets", ())]

    await wait_until("/readyz names the frozen bucket", named)
    exposition = (await environment.tong.http.get("/metrics")).text
    assert any(line.startswith("tong_frozen_buckets ") and line.split()[1] != "0.0" for line in exposition.splitlines())


@dataclass(frozen=True)
class Asked:
    """A call that was answered 200 or 201, and how to make it again."""

    path: str
    body: Any
    key: str
    content: bytes


class Life:
    """Random calls on the environment for some members. What was applied under a key can be asked again."""

    def __init__(self, environment: Environment, members: list[Member], seed: int) -> None:
        self.environment = environment
        self.members = members
        self.chance = random.Random(seed)
        self.asked: list[Asked] = []
        self.open_holds: list[Json] = []
        self.captured: list[Json] = []
        self.accrued: list[str] = []

    async def live(self, calls: int) -> None:
        kinds: list[Callable[[], Any]] = [
            self.scan,
            self.scan,
            self.hold,
            self.hold,
            self.capture,
            self.void,
            self.refund,
            self.cancel,
            self.accrue,
            self.reverse_accrual,
        ]
        for _ in range(calls):
            await self.chance.choice(kinds)()

    async def _ask(self, path: str, body: Any) -> httpx2.Response:
        key = fresh_key()
        answer = await self.environment.call(path, body, key)
        if answer.status_code in (200, 201):
            self.asked.append(Asked(path, body, key, answer.content))
        else:
            assert answer.status_code < 500, answer.text
        return answer

    def _legs(self) -> list[Json]:
        every = [
            points(self.chance.randint(1, 700)),
            benefit(self.chance.choice(["eng-plain", "eng-day", "eng-month", "eng-stay", "eng-percent"])),
            stored(self.chance.randint(1, 900)),
        ]
        return self.chance.sample(every, self.chance.randint(0, 3))

    def _basket(self, **more: Any) -> Json:
        bill = {
            "reference": f"L-{self.chance.randrange(10**9)}",
            "amount_minor": 25_800,
            "currency": "CNY",
            "lines": [{"category": "dining", "amount_minor": 25_800}],
        }
        if self.chance.random() < 0.5:
            bill["stay"] = f"room-{self.chance.randrange(3)}"
        member = self.chance.choice(self.members)
        return self.environment.basket(member, *self._legs(), bill=bill, confirm_duplicate=True, **more)

    async def scan(self) -> None:
        answer = await self._ask("/v1/verify", self._basket())
        if answer.status_code == 201:
            self.captured.append(answer.json())

    async def hold(self) -> None:
        answer = await self._ask("/v1/verify", self._basket(capture=False, hold_seconds=600))
        if answer.status_code == 201:
            self.open_holds.append(answer.json())

    def _some(self, redemption: Json) -> Json:
        if self.chance.random() < 0.4 or not redemption["legs"]:
            return {}
        leg = self.chance.choice(redemption["legs"])
        if leg["kind"] == "points":
            return {"legs": [points(self.chance.randint(1, leg["points"]))]}
        if leg["kind"] == "benefit":
            return {"legs": [benefit(leg["benefit_id"])]}
        return {"legs": [stored(self.chance.randint(1, leg["amount_minor"]))]}

    async def _step(self, redemption: Json, name: str, body: Json) -> httpx2.Response:
        return await self._ask(f"/v1/redemptions/{redemption['redemption_id']}/{name}", body)

    async def capture(self) -> None:
        if self.open_holds:
            hold = self.open_holds.pop(self.chance.randrange(len(self.open_holds)))
            body = self._some(hold)
            if self.chance.random() < 0.5:
                body["bill"] = {"reference": "CHECKOUT-1", "amount_minor": 99_000, "currency": "CNY"}
            await self._step(hold, "capture", body)
            self.captured.append(hold)

    async def void(self) -> None:
        if self.open_holds:
            await self._step(self.open_holds.pop(), "void", {})

    async def refund(self) -> None:
        if self.captured:
            chosen = self.chance.choice(self.captured)
            await self._step(chosen, "refund", self._some(chosen))

    async def cancel(self) -> None:
        every = self.captured + self.open_holds
        if every and self.chance.random() < 0.5:
            chosen = self.chance.choice(every)
            self.captured = [each for each in self.captured if each is not chosen]
            self.open_holds = [each for each in self.open_holds if each is not chosen]
            shown = await self.environment.shown(chosen)
            if shown["status"] in ("held", "captured", "partially_refunded"):
                await self.environment.call("/v1/cancel", {"redemption_id": chosen["redemption_id"]})
                path = "/v1/verify"
                self.asked = [
                    each
                    for each in self.asked
                    if each.path != path or chosen["redemption_id"].encode() not in each.content
                ]

    async def accrue(self) -> None:
        member = self.chance.choice(self.members)
        who = {"code": self.environment.code(member)} if self.chance.random() < 0.5 else {"member_id": member.member_id}
        bill = {
            "reference": f"P-{self.chance.randrange(10**9)}",
            "amount_minor": self.chance.choice([10, 9_900, 123_400]),
            "currency": "CNY",
        }
        if "member_id" in who:
            await self.environment.seen(member)
        answer = await self._ask("/v1/accruals", {**who, "bill": bill})
        if answer.status_code == 201:
            self.accrued.append(answer.json()["accrual_id"])

    async def reverse_accrual(self) -> None:
        if self.accrued and self.chance.random() < 0.7:
            await self._ask(f"/v1/accruals/{self.accrued.pop()}/reverse", {})

    async def repeats_that_differ(self) -> list[str]:
        """Every call that was applied under a key, made again: which are not answered with the same bytes."""
        wrong = []
        for asked in self.asked:
            again = await self.environment.call(asked.path, asked.body, asked.key)
            if again.content != asked.content or again.headers.get("idempotency-replayed") != "true":
                wrong.append(f"{asked.path}: {asked.content!r} then, {again.content!r} now")
        return wrong
