"""Two sides to run a race of the engine on: the real stack over HTTP, and the same use cases in this process over a
private Valkey whose function library lacks a guard.

A race is written once, against `Side`; without its guard its checks must find something, or they are worth nothing.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from itertools import count
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from redis.asyncio import Redis

from redemption.accruals import Accruals, Purchase
from redemption.addresses import Addresses
from redemption.cancellation import Cancellations, Cancelled
from redemption.configuration.current import Business, Configuration, Terminal, Tier
from redemption.domain.codes import CodeUse
from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.members import member_id
from redemption.domain.outcomes import Refusal
from redemption.hot import keys
from redemption.hot.connection import Address, HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.rules.definitions import BenefitDefinition, EarnRules, NoDiscount, PointRules, TierRules
from redemption.rules.eligibility import Place
from redemption.rules.policy import Policy
from redemption.service import Redemptions, Scan, Step
from tests.support.api.client import TongClient, fresh_key
from tests.support.engine.http import Environment, Holdings
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import Member
from tokens.claims import slot_at

POINTS = 1_000
"""What a subject starts with where nothing else is said, and what a purchase earns."""
CAPPED = "eng-once-a-day"

Claim = str
"""A code of a member, as the side of the race writes it."""


@dataclass(frozen=True)
class Ended:
    """What one call came to: `ok`, or the refusal's code. `told` are the figures of its answer."""

    name: str
    code: str
    subject: str = ""
    told: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == "ok"


class Side(Protocol):
    """Where a race is run. `till` chooses the worker; amounts are points."""

    async def subjects(self, wanted: int, *, points: int = POINTS, uses: int = 0) -> list[int]: ...
    def claim(self, subject: int) -> Claim: ...
    async def scan(
        self,
        till: int,
        subject: int,
        claim: Claim,
        key: str,
        *,
        points: int = 0,
        benefit: str = "",
        hold_seconds: int = 0,
        amount: int = 100_000,
    ) -> Ended: ...
    async def step(self, till: int, name: str, redemption: str, points: int | None = None) -> Ended: ...
    async def cancel(self, till: int, subject: int, claim: Claim, key: str) -> Ended: ...
    async def cancel_id(self, till: int, redemption: str) -> Ended: ...
    async def accrue(self, subject: int) -> Ended: ...
    async def reverse(self, till: int, accrual: str) -> Ended: ...
    async def held(self, subject: int) -> int: ...
    async def lots(self, subject: int) -> Holdings: ...
    async def sweep(self, subject: int) -> None: ...


@dataclass
class OverHttp:
    """The stack: neighbours go to different workers."""

    environment: Environment
    tills: list[TongClient]
    members: dict[int, Member] = field(default_factory=dict)

    async def subjects(self, wanted: int, *, points: int = POINTS, uses: int = 0) -> list[int]:
        half = points // 2
        holding = {
            "points": [{"business": "hotel", "points": half, "expires_in_months": n} for n in (1, 4)] if points else [],
            "benefits": [{"benefit": CAPPED, "uses": uses, "expires_in_months": 2}] if uses else [],
        }
        made = await self.environment.members(wanted, "standard", **holding)
        self.members |= {member.number: member for member in made}
        return [member.number for member in made]

    def claim(self, subject: int) -> Claim:
        return self.environment.code(self.members[subject])

    async def scan(
        self,
        till: int,
        subject: int,
        claim: Claim,
        key: str,
        *,
        points: int = 0,
        benefit: str = "",
        hold_seconds: int = 0,
        amount: int = 100_000,
    ) -> Ended:
        legs: list[dict[str, Any]] = [{"kind": "points", "points": points}] if points else []
        if benefit:
            legs.append({"kind": "benefit", "benefit_id": benefit})
        body: dict[str, Any] = {"code": claim, "legs": legs}
        body["bill"] = {"reference": "R", "amount_minor": amount, "currency": "CNY"}
        if hold_seconds:
            body |= {"capture": False, "hold_seconds": hold_seconds}
        return await self._ended("scan", till, "/v1/verify", body, key)

    async def step(self, till: int, name: str, redemption: str, points: int | None = None) -> Ended:
        body = None if points is None else {"legs": [{"kind": "points", "points": points}]}
        key = fresh_key() if body is not None and name == "refund" else None
        return await self._ended(name, till, f"/v1/redemptions/{redemption}/{name}", body, key)

    async def cancel(self, till: int, subject: int, claim: Claim, key: str) -> Ended:
        return await self._ended("cancel", till, "/v1/cancel", {"idempotency_key": key, "code": claim}, None)

    async def cancel_id(self, till: int, redemption: str) -> Ended:
        return await self._ended("cancel", till, "/v1/cancel", {"redemption_id": redemption}, None)

    async def accrue(self, subject: int) -> Ended:
        bill = {"reference": f"R-{fresh_key()}", "amount_minor": POINTS * 100, "currency": "CNY"}
        body = {"code": self.claim(subject), "bill": bill}
        return await self._ended("accrue", subject, "/v1/accruals", body, fresh_key())

    async def reverse(self, till: int, accrual: str) -> Ended:
        return await self._ended("reverse", till, f"/v1/accruals/{accrual}/reverse", None, None)

    async def held(self, subject: int) -> int:
        return int((await self.environment.tong.me(self.members[subject]))["balance"]["points_held"])

    async def lots(self, subject: int) -> Holdings:
        return await self.environment.holdings(self.members[subject])

    async def sweep(self, subject: int) -> None:
        """The stack's own sweeper is at work all the time."""

    async def _ended(self, name: str, till: int, path: str, body: Any, key: str | None) -> Ended:
        answer = await self.environment.call(path, body, key, tong=self.tills[till % len(self.tills)])
        told = answer.json()
        if answer.status_code not in {200, 201}:
            return Ended(name, told["code"])
        subject = str(told.get("redemption_id") or told.get("accrual_id") or told.get("effect"))
        return Ended(name, "ok", subject, {n: told[n] for n in ("points_taken_back", "points_owed") if n in told})


BUSINESS = Business("eng-shop", "CNY", PointRules(), EarnRules())
TILL = Terminal(
    "trm_eng-shop_1",
    "out_eng-shop",
    BUSINESS,
    ZoneInfo("Asia/Shanghai"),
    Place("eng-shop", "out_eng-shop", "CNY", BUSINESS.points),
)


def configuration() -> Configuration:
    """A group of one business, one level and one benefit that may be used once a day."""
    return Configuration(
        version=1,
        buckets=64,
        time_zone=ZoneInfo("Asia/Shanghai"),
        policy=Policy(terminal_rate=1_000_000, outlet_rate=1_000_000, member_rate=1_000_000),
        tiers=(Tier("standard", 0, TierRules()),),
        benefits={CAPPED: BenefitDefinition(name={"en": "x"}, granted_by="eng-shop", discount=NoDiscount(), per_day=1)},
        terms={CAPPED: "1,0,0,*"},
        businesses={"eng-shop": BUSINESS},
        keys={},
    )


def _code(subject: int, claim: Claim) -> CodeUse:
    now = int(time.time())
    return CodeUse(subject, slot_at(now), claim, now, expired=False)


@dataclass
class InProcess:
    """The use cases in this process, over a private Valkey."""

    hot: Any
    store: HotStore
    redemptions: Redemptions
    cancellations: Cancellations
    accruals: Accruals
    numbers: "count[int]" = field(default_factory=lambda: count(5_000))
    nonces: "count[int]" = field(default_factory=count)

    async def subjects(self, wanted: int, *, points: int = POINTS, uses: int = 0) -> list[int]:
        found = []
        for _ in range(wanted):
            number = next(self.numbers)
            found.append(number)
            bucket, name = number % 64, member_id(number)
            await self.hot.hset(
                keys.member(bucket, name), mapping={"tier": "standard", "name": "x", "status": "active"}
            )
            lots = {"points/209901.hotel": points // 2, "points/209902.hotel": points // 2} if points else {}
            if uses:
                lots[f"benefit:{CAPPED}/209901.eng-shop"] = uses
            if lots:
                await self.hot.hset(keys.lots(bucket, name), mapping=lots)
        return found

    def claim(self, subject: int) -> Claim:
        return f"nonce{next(self.nonces)}"

    async def scan(
        self,
        till: int,
        subject: int,
        claim: Claim,
        key: str,
        *,
        points: int = 0,
        benefit: str = "",
        hold_seconds: int = 0,
        amount: int = 100_000,
    ) -> Ended:
        legs: tuple[Leg, ...] = (PointsLeg(points),) if points else ()
        if benefit:
            legs += (BenefitLeg(benefit),)
        scan = Scan(TILL, _code(subject, claim), key, f"of-{claim}", Bill("R", amount, "CNY"), legs, hold_seconds)
        result = (await self.redemptions.verify(scan)).result
        if isinstance(result, Refusal):
            return Ended("scan", result.outcome.name.lower())
        return Ended("scan", "ok", result.redemption_id)

    async def step(self, till: int, name: str, redemption: str, points: int | None = None) -> Ended:
        legs = None if points is None else (PointsLeg(points),)
        step = Step(TILL, redemption, None, "x", legs)
        done = await getattr(self.redemptions, name)(step)
        assert done is not None
        return Ended(name, done.outcome.name.lower() if isinstance(done, Refusal) else "ok")

    async def cancel(self, till: int, subject: int, claim: Claim, key: str) -> Ended:
        return _cancelled(await self.cancellations.by_key(TILL, key, _code(subject, claim)))

    async def cancel_id(self, till: int, redemption: str) -> Ended:
        return _cancelled(await self.cancellations.by_id(TILL, redemption))

    async def accrue(self, subject: int) -> Ended:
        bill, now = Bill(f"R-{fresh_key()}", POINTS * 100, "CNY"), int(time.time())
        code = CodeUse(subject, slot_at(now), self.claim(subject), now, expired=False)
        done = await self.accruals.accrue(Purchase(TILL, subject, code, fresh_key(), "x", bill))
        assert done is not None
        assert not isinstance(done, Refusal)
        return Ended("accrue", "ok", done.accrual_id)

    async def reverse(self, till: int, accrual: str) -> Ended:
        done = await self.accruals.reverse(TILL, accrual, key=None, fingerprint="x")
        assert done is not None
        if isinstance(done, Refusal):
            return Ended("reverse", done.outcome.name.lower())
        return Ended("reverse", "ok", accrual, {"points_taken_back": done.taken_back, "points_owed": done.owed})

    async def held(self, subject: int) -> int:
        return int(await self.hot.hget(keys.member(subject % 64, member_id(subject)), "held") or 0)

    async def lots(self, subject: int) -> Holdings:
        flat = await self.hot.hgetall(keys.lots(subject % 64, member_id(subject)))
        return {name.decode(): int(amount) for name, amount in flat.items()}

    async def sweep(self, subject: int) -> None:
        await self.redemptions.sweep(subject % 64)


def _cancelled(done: Cancelled | Refusal | None) -> Ended:
    if isinstance(done, Cancelled):
        return Ended("cancel", "ok", done.effect)
    return Ended("cancel", "not_found" if done is None else done.outcome.name.lower())


Removal = tuple[str, str, str]
"""File of the library, the text that guards, and what stands there in the control."""


@asynccontextmanager
async def without(*removals: Removal) -> AsyncIterator[InProcess]:
    """The engine in this process without these guards; every text must be there exactly once."""
    sources: dict[str, str] = {}
    folder = resources.files("redemption.hot") / "functions"
    for name, guard, instead in removals:
        source = sources.get(name) or (folder / f"{name}.lua").read_text(encoding="utf-8")
        assert source.count(guard) == 1, f"{name}.lua is written otherwise now: adapt the control of {guard!r}"
        sources[name] = source.replace(guard, instead)
    library = assemble(sources)
    async with private_valkey() as server, Redis.from_url(server.url) as hot:
        await _load(hot, library.source)
        connection = HotConnection(Address.from_url(server.url), in_flight_max=1_024)
        await connection.start()
        try:
            store, one = HotStore(connection, library), configuration()
            addresses = Addresses(lambda: one, time.time, cluster=False)
            yield InProcess(
                hot, store, Redemptions(store, addresses), Cancellations(store, addresses), Accruals(store, addresses)
            )
        finally:
            await connection.close(0)


async def _load(hot: Any, source: str) -> None:
    await hot.execute_command("FUNCTION", "LOAD", source)
