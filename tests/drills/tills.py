"""The load of a drill: tills that verify, hold, capture, void, refund, cancel, earn and try what must be refused.

Guarantees: no call is sent before its intent is in the journal; a till never sends a second call about a redemption of
which it does not know how the first one ended, except to repeat it with its key or to cancel it, as real tills do.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx2

from tests.drills.journal import Answer, Intent, Journal, Json
from tests.support.servers.stack import Member, Terminal

TIMEOUT_SECONDS = 12.0
PAUSE_SECONDS = 0.15  # after a call that came to nothing: as a till would, not as fast as it can
ATTEMPTS_MAX = 3
SHORT_HOLD_SECONDS = 3
LONG_HOLD_SECONDS = 900
KEPT_MAX = 40
SEND_FAULTS = (httpx2.TransportError, httpx2.InvalidURL)
MakeCode = Callable[[int], str]
"""A genuine code of a member number, made now."""


@dataclass
class Taken:
    """A redemption this till knows of: what may still be done with it."""

    intent: Intent
    subject: str
    left: dict[str, int]


@dataclass
class World:
    """What all tills of a drill share."""

    base_url: str
    journal: Journal
    members: Sequence[Member]
    terminals: Sequence[Terminal]
    make_code: MakeCode
    seed: int
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    amounts: "count[int]" = field(default_factory=lambda: count(40_000))
    applied: int = 0
    over_at: float = 0.0
    """When the fault was over, by the monotonic clock."""
    first_after: float | None = None
    """Seconds from then until the first acknowledgement of a call that was sent after it."""
    turned_away: int = 0
    heard: list[Answer] = field(default_factory=list)
    """Every answer, in order."""
    at_work: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, every till finishes its call and waits."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, connections: int = 2) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx2.AsyncClient(base_url=self.base_url, timeout=TIMEOUT_SECONDS, limits=limits)

    async def send(self, http: httpx2.AsyncClient, terminal: Terminal, intent: Intent) -> Answer | None:
        """One attempt; None when nothing was heard. The intent is in the journal already."""
        headers = {"authorization": f"Bearer {terminal.api_key}"}
        if intent.key is not None:
            headers["idempotency-key"] = intent.key
        content = b""
        if intent.body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(intent.body).encode()
        sent_at = time.monotonic()
        try:
            response = await http.post(intent.path, content=content, headers=headers)
        except SEND_FAULTS as fault:
            self.journal.lost(intent.n, type(fault).__name__)
            return None
        replayed = response.headers.get("idempotency-replayed") == "true"
        answer = self.journal.heard(intent.n, response.status_code, response.content, replayed=replayed)
        if answer.outcome == "applied" and not replayed:
            self.applied += 1
            if self.first_after is None and self.over_at and sent_at >= self.over_at:
                self.first_after = time.monotonic() - self.over_at
        self.heard.append(answer)
        if answer.outcome == "turned_away":
            self.turned_away += 1
        return answer

    def over(self) -> None:
        """The fault is over: from here on the time to recover counts."""
        self.over_at, self.first_after = time.monotonic(), None


class Till:
    """One till with its own chance, its own connections and its own memory."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._chance = random.Random(f"{world.seed} till {number}")
        self._terminal = world.terminals[number % len(world.terminals)]
        self._held: list[Taken] = []
        self._captured: list[Taken] = []
        self._accrued: list[tuple[Intent, str]] = []
        self._http = world.client()

    async def work(self) -> None:
        """Until the world ends; finishes what it has in hand."""
        acts = (
            (self._scan, 40),
            (self._hold, 22),
            (self._end_hold, 16),
            (self._refund, 10),
            (self._cancel, 6),
            (self._cancel_before, 2),
            (self._accrue, 7),
            (self._reverse_accrual, 2),
            (self._reuse_key, 3),
            (self._reuse_code, 3),
            (self._ask_too_much, 3),
        )
        names, weights = zip(*acts, strict=True)
        async with self._http:
            while not self._world.ended.is_set():
                await self._world.open.wait()
                self._world.at_work += 1
                try:
                    await self._chance.choices(names, weights)[0]()
                finally:
                    self._world.at_work -= 1

    def _intent(self, kind: str, path: str, body: Json | None, key: str | None, member: str, **more: object) -> Intent:
        number = next(self._world.numbers)
        return Intent(number, kind, self._terminal.terminal_id, path, body, key, member, **more)  # type: ignore[arg-type]

    def _key(self) -> str:
        return f"drill-{self._chance.getrandbits(64):016x}"

    async def _sent(self, intent: Intent) -> Answer | None:
        """Sends it, and mostly repeats it with its key a few times while its end is not known. None: still not
        known."""
        self._world.journal.intend(intent)
        for _ in range(1 if self._chance.random() < 0.4 else ATTEMPTS_MAX):
            answer = await self._world.send(self._http, self._terminal, intent)
            if answer is not None and answer.outcome in ("applied", "refused"):
                return answer
            await asyncio.sleep(PAUSE_SECONDS * self._chance.uniform(0.5, 1.5))
            if self._world.ended.is_set():
                break
        return None

    def _basket(self) -> tuple[list[Json], dict[str, int]]:
        """Legs and what they take of each asset."""
        legs: list[Json] = []
        takes: dict[str, int] = {}
        if self._chance.random() < 0.85:
            takes["points"] = self._chance.randint(2, 30)
            legs.append({"kind": "points", "points": takes["points"]})
        if self._chance.random() < 0.35:
            takes["CNY"] = self._chance.randint(2, 90)
            legs.append({"kind": "stored_value", "amount_minor": takes["CNY"]})
        if self._chance.random() < 0.25 or not legs:
            takes["benefit:drill"] = self._chance.randint(1, 2)
            legs.append({"kind": "benefit", "benefit_id": "drill", "uses": takes["benefit:drill"]})
        self._chance.shuffle(legs)
        return legs, takes

    def _bill(self) -> Json:
        amount = next(self._world.amounts)
        return {"reference": f"DRILL-{amount}", "amount_minor": amount, "currency": "CNY"}

    def _verify_intent(self, kind: str, hold_seconds: int = 0, **more: object) -> Intent:
        member = self._chance.choice(self._world.members)
        legs, takes = self._basket()
        code = self._world.make_code(member.number)
        body: Json = {"code": code, "bill": self._bill(), "legs": legs}
        if hold_seconds:
            body |= {"capture": False, "hold_seconds": hold_seconds}
        fields = {"code": code, "takes": takes, "hold_seconds": hold_seconds} | more
        return self._intent(kind, "/v1/verify", body, self._key(), member.member_id, **fields)

    async def _scan(self) -> None:
        intent = self._verify_intent("verify")
        answer = await self._sent(intent)
        if answer is not None and answer.outcome == "applied":
            self._keep(self._captured, Taken(intent, answer.subject, dict(intent.takes or {})))
        elif answer is None and self._chance.random() < 0.3:
            await self._cancel_of(intent)

    async def _hold(self) -> None:
        seconds = SHORT_HOLD_SECONDS if self._chance.random() < 0.3 else LONG_HOLD_SECONDS
        intent = self._verify_intent("hold", seconds)
        answer = await self._sent(intent)
        if answer is not None and answer.outcome == "applied":
            self._keep(self._held, Taken(intent, answer.subject, dict(intent.takes or {})))
        elif answer is None and self._chance.random() < 0.3:
            await self._cancel_of(intent)

    async def _end_hold(self) -> None:
        if not self._held:
            return
        taken = self._take(self._held)
        if self._chance.random() < 0.3:
            await self._step(taken, "void", None, None)
            return
        part, body = self._part_of(taken)
        answer = await self._step(taken, "capture", body, part)
        if answer is not None and answer.outcome == "applied":
            self._keep(self._captured, Taken(taken.intent, taken.subject, part or dict(taken.left)))

    async def _refund(self) -> None:
        if not self._captured:
            return
        taken = self._take(self._captured)
        part, body = self._part_of(taken)
        answer = await self._step(taken, "refund", body, part)
        if answer is not None and answer.outcome == "applied" and part is not None:
            left = {asset: amount - part.get(asset, 0) for asset, amount in taken.left.items()}
            left = {asset: amount for asset, amount in left.items() if amount}
            if left:
                self._keep(self._captured, Taken(taken.intent, taken.subject, left))

    def _part_of(self, taken: Taken) -> tuple[dict[str, int] | None, Json | None]:
        """Half the time all of it (None), else a part, and the body that says so."""
        if self._chance.random() < 0.5:
            return None, None
        part = {asset: self._chance.randint(0, amount) for asset, amount in taken.left.items()}
        part = {asset: amount for asset, amount in part.items() if amount} or dict.fromkeys(list(taken.left)[:1], 1)
        return part, {"legs": [_leg(asset, amount) for asset, amount in part.items()]}

    async def _step(self, taken: Taken, name: str, body: Json | None, part: dict[str, int] | None) -> Answer | None:
        path = f"/v1/redemptions/{taken.subject}/{name}"
        member = taken.intent.member_id
        return await self._sent(self._intent(name, path, body, self._key(), member, subject=taken.subject, takes=part))

    async def _cancel(self) -> None:
        known = [kept for kept in (self._held, self._captured) if kept]
        if known:
            await self._cancel_of(self._take(self._chance.choice(known)).intent)

    async def _cancel_before(self) -> None:
        """A cancel that comes before its scan: the late original must be refused for ever."""
        late = self._verify_intent("verify", expected="cancelled")
        self._world.journal.intend(late)
        answer = await self._cancel_of(late)
        if answer is not None and answer.outcome == "applied":
            await self._world.send(self._http, self._terminal, late)

    async def _cancel_of(self, intent: Intent) -> Answer | None:
        body = {"idempotency_key": intent.key, "code": intent.code}
        return await self._sent(self._intent("cancel", "/v1/cancel", body, None, intent.member_id, of=intent.n))

    async def _accrue(self) -> None:
        member = self._chance.choice(self._world.members)
        code = self._world.make_code(member.number)
        body = {"code": code, "bill": self._bill()}
        intent = self._intent("accrue", "/v1/accruals", body, self._key(), member.member_id, code=code)
        answer = await self._sent(intent)
        if answer is not None and answer.outcome == "applied":
            self._accrued.append((intent, answer.subject))

    async def _reverse_accrual(self) -> None:
        if self._accrued:
            intent, subject = self._accrued.pop(self._chance.randrange(len(self._accrued)))
            path = f"/v1/accruals/{subject}/reverse"
            await self._sent(
                self._intent("reverse_accrual", path, None, self._key(), intent.member_id, subject=subject)
            )

    async def _reuse_key(self) -> None:
        """The same key with another body: refused, and nothing changes (I6)."""
        if self._captured:
            first = self._chance.choice(self._captured).intent
            body = {**(first.body or {}), "bill": self._bill()}
            await self._sent(
                self._intent(
                    *("reuse", "/v1/verify", body, first.key, first.member_id),
                    code=first.code,
                    of=first.n,
                    expected="idempotency_key_reused",
                )
            )

    async def _reuse_code(self) -> None:
        """A code that was used, under another key (I11)."""
        if self._captured:
            first = self._chance.choice(self._captured).intent
            body = {**(first.body or {}), "bill": self._bill()}
            takes = {"takes": first.takes, "code": first.code, "hold_seconds": first.hold_seconds, "of": first.n}
            await self._sent(self._intent(first.kind, "/v1/verify", body, self._key(), first.member_id, **takes))

    async def _ask_too_much(self) -> None:
        intent = self._verify_intent("verify", expected="points_insufficient")
        assert intent.body is not None
        intent.body["legs"], intent.takes = [{"kind": "points", "points": 900_000_000}], {"points": 900_000_000}
        intent.body["bill"]["amount_minor"] = 1_000_000_000 + intent.n
        await self._sent(intent)

    def _take(self, kept: list[Taken]) -> Taken:
        return kept.pop(self._chance.randrange(len(kept)))

    def _keep(self, kept: list[Taken], taken: Taken) -> None:
        kept.append(taken)
        if len(kept) > KEPT_MAX:
            kept.pop(0)


def _leg(asset: str, amount: int) -> Json:
    if asset == "points":
        return {"kind": "points", "points": amount}
    if asset.startswith("benefit:"):
        return {"kind": "benefit", "benefit_id": asset.removeprefix("benefit:"), "uses": amount}
    return {"kind": "stored_value", "amount_minor": amount}


@asynccontextmanager
async def tills_at_work(world: World, tills: int) -> AsyncIterator[None]:
    """So many tills for the length of the block; at its end each has finished what it had in hand."""
    world.open.set()
    tasks = [asyncio.create_task(Till(world, number).work(), name=f"till {number}") for number in range(tills)]
    try:
        yield
    finally:
        world.ended.set()
        world.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
