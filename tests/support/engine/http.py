"""The redemption engine as tills see it: an environment of its own businesses, benefits and members, calls, and the
sums that must hold after any of them.

Members are numbered 5000-5999. An environment is loaded through the product's own `load`; it leaves the demo group's
own businesses as they are.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from gateway.administration.keys import create_key
from redemption.configuration.member_load import month_after
from redemption.domain.members import member_id
from redemption.domain.records import record_fields, record_text
from tests.support.api.client import TongClient, client_of, fresh_key
from tests.support.api.problem import refusal_code
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Member, Stack, Terminal, demo_group
from tokens.claims import slot_at
from tokens.codec import CodeIssuer
from tokens.keyring import KeyRing

Json = dict[str, Any]
Holdings = dict[str, int]
"""`<asset>/<lot>` to amount, as HGETALL gives it."""

FIRST_MEMBER, LAST_MEMBER = 5_000, 5_999
_numbers = count(FIRST_MEMBER)


def _benefit(discount: Json, **rules: Any) -> Json:
    return {"name": {"en": "test"}, "granted_by": "eng-shop", "discount": discount, **rules}


def _off(amount_minor: int) -> Json:
    return {"kind": "amount_off", "amount_minor": amount_minor}


BENEFITS: dict[str, Json] = {
    "eng-percent": _benefit(
        {"kind": "percent_off", "percent": 20, "maximum_minor": 5_000}, categories=["dining"], per_day=3
    ),
    "eng-plain": _benefit(_off(1_000)),
    "eng-item": _benefit({"kind": "item", "value_minor": 700}),
    "eng-day": _benefit(_off(500), per_day=2),
    "eng-month": _benefit(_off(500), per_month=3),
    "eng-stay": _benefit({"kind": "none"}, per_stay=1),
    "eng-once-a-day": _benefit(_off(100), per_day=1),
    "eng-diamond": _benefit(_off(100), minimum_tier="diamond"),
    "eng-past": _benefit(_off(100), first_day="2020-01-01", last_day="2020-12-31"),
    "eng-big-bill": _benefit(_off(100), minimum_spend_minor=900_000),
    "eng-dinner": _benefit(_off(100), categories=["dining"], minimum_spend_minor=20_000),
    "eng-elsewhere": _benefit(_off(100), businesses=["eng-other"]),
    "eng-left": _benefit(_off(100), stacking_group="eng"),
    "eng-right": _benefit(_off(100), stacking_group="eng"),
    "eng-alone": _benefit(_off(100), exclusive=True),
    "eng-changing": _benefit(_off(300)),
}

EARN_CEILINGS = {"bill_points": 100, "member_day_points": 400, "terminal_day_points": 1_000}
"""What a purchase may earn at `eng-earn` and `eng-earn-race`."""

BUSINESSES: dict[str, Json] = {
    "eng-shop": {"earn": {"points": 1, "per_minor": 100, "categories": {"groceries": {"points": 1, "per_minor": 200}}}},
    "eng-other": {"earn": {"points": 1, "per_minor": 200, "validity_months": 3}},
    "eng-strict": {"points": {"minimum_points": 10}},
    "eng-few": {"points": {"share_percent": 50, "categories": ["dining"]}},
    "eng-changing": {},
    "eng-guess-verify": {},
    "eng-guess-prepare": {},
    "eng-guess-accruals": {},
    "eng-guess-cancel": {},
    "eng-guess-ids": {},
    "eng-cancels": {},
    "eng-tight": {},
    "eng-earn": {"earn": {"ceilings": EARN_CEILINGS}},
    "eng-earn-race": {"earn": {"ceilings": EARN_CEILINGS}},
}

STANDARD: Json = {
    "points": [
        {"business": "eng-shop", "points": 600, "expires_in_months": 1},
        {"business": "eng-other", "points": 1_400, "expires_in_months": 3},
        {"business": "hotel", "points": 3_000, "expires_in_months": 6},
    ],
    "benefits": [{"benefit": name, "uses": 5, "expires_in_months": 2} for name in BENEFITS if name != "eng-changing"],
    "stored_value": [{"business": "eng-shop", "amount_minor": 50_000}],
}
"""What a member of the environment starts with: 5 000 points, five uses of each benefit but the one whose definition a
test changes, 500.00 of stored value."""

DINNER = {
    "reference": "POS-7-0001",
    "amount_minor": 25_800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25_800}],
}


def points(amount: int) -> Json:
    return {"kind": "points", "points": amount}


def benefit(name: str, uses: int = 1) -> Json:
    return {"kind": "benefit", "benefit_id": name, "uses": uses}


def stored(amount_minor: int) -> Json:
    return {"kind": "stored_value", "amount_minor": amount_minor}


@dataclass
class Environment:
    """Terminals by business, members to take, and calls of a till."""

    stack: Stack
    tong: TongClient
    terminals: dict[str, Terminal]
    _issuer: CodeIssuer = field(repr=False)
    _elsewhere: CodeIssuer = field(repr=False)
    policy: Json | None = None
    """What every further load of members keeps in force."""
    _spare: list[Member] = field(default_factory=list)
    _guesses: "count[int]" = field(default_factory=count)

    @property
    def shop(self) -> Terminal:
        return self.terminals["eng-shop"]

    @property
    def other(self) -> Terminal:
        return self.terminals["eng-other"]

    async def member(self) -> Member:
        """A gold member with `STANDARD`, nobody else's."""
        if not self._spare:
            self._spare = await self.members(40)
        return self._spare.pop()

    async def members(self, wanted: int, tier: str = "gold", **holding: Any) -> list[Member]:
        """New members with `STANDARD` or, where anything is named, with that alone."""
        numbers = [next(_numbers) for _ in range(wanted)]
        assert numbers[-1] <= LAST_MEMBER
        entries = [{"number": n, "name": f"測試{n}", "tier": tier, **(holding or STANDARD)} for n in numbers]
        await load_environment(self.stack, entries, self.policy)
        opening = sum(lot["points"] for lot in (holding or STANDARD).get("points", ()))
        return [Member(n, member_id(n), opening, self.stack.access_token(n)) for n in numbers]

    def code(self, member: Member, *, age_seconds: int = 0) -> str:
        """A genuine code in its JWT form; no two are the same."""
        return self._issuer.issue(member.number, slot_at(time.time() - age_seconds)).code

    def digits(self, member: Member) -> str:
        """A genuine code in its form of 18 digits."""
        return self._issuer.issue(member.number, slot_at(time.time())).digits

    def guess(self) -> str:
        """Digits that nobody here made, well formed: those of an installation with other keys."""
        return self._elsewhere.issue(next(self._guesses), slot_at(time.time())).digits

    async def call(
        self,
        path: str,
        body: Any = None,
        key: str | None = None,
        *,
        terminal: Terminal | None = None,
        tong: TongClient | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """POST of a till; bytes go as they are, `body` None sends none."""
        own = {"authorization": f"Bearer {(terminal or self.shop).api_key}"}
        if body is not None:
            own["content-type"] = "application/json"
        if key is not None:
            own["idempotency-key"] = key
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await (tong or self.tong).http.post(path, content=content, headers={**own, **(headers or {})})

    async def get(self, path: str, *, terminal: Terminal | None = None) -> httpx2.Response:
        return await self.tong.http.get(path, headers={"authorization": f"Bearer {(terminal or self.shop).api_key}"})

    def basket(self, member: Member, *legs: Json, bill: Json | None = DINNER, **more: Any) -> Json:
        """A body of verify with a fresh code."""
        return {"code": self.code(member), "legs": list(legs), **({"bill": bill} if bill else {}), **more}

    async def verify(
        self, member: Member, *legs: Json, terminal: Terminal | None = None, key: str | None = None, **more: Any
    ) -> httpx2.Response:
        """A scan with a fresh code and key."""
        return await self.call("/v1/verify", self.basket(member, *legs, **more), key or fresh_key(), terminal=terminal)

    async def taken(self, member: Member, *legs: Json, **more: Any) -> Json:
        """The answer of a scan that must be applied."""
        answer = await self.verify(member, *legs, **more)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def held(self, member: Member, *legs: Json, hold_seconds: int = 600, **more: Any) -> Json:
        """The answer of a hold."""
        return await self.taken(member, *legs, capture=False, hold_seconds=hold_seconds, **more)

    async def step(
        self, redemption: Json, name: str, body: Any = None, key: str | None = None, **more: Any
    ) -> httpx2.Response:
        """capture, void or refund of what verify answered. A refund of a part gets a key where none is given."""
        if key is None and name == "refund" and isinstance(body, dict) and "legs" in body:
            key = fresh_key()
        return await self.call(f"/v1/redemptions/{redemption['redemption_id']}/{name}", body, key, **more)

    async def seen(self, member: Member, terminal: Terminal | None = None) -> None:
        """The outlet of the terminal scans the member: from now on it may name the member by id."""
        answer = await self.call("/v1/prepare", {"code": self.code(member)}, terminal=terminal)
        assert answer.status_code == 200, answer.text

    async def shown(self, redemption: Json) -> Json:
        """`GET /v1/redemptions/{id}`."""
        answer = await self.get(f"/v1/redemptions/{redemption['redemption_id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def holdings(self, member: Member) -> Holdings:
        """The member's lots, raw."""
        async with self.stack.hot() as hot:
            flat = await hot.hgetall(f"{{b{member.bucket}}}:lots:{member.member_id}")
        return {name.decode(): int(amount) for name, amount in flat.items()}

    async def field_of(self, redemption: Json, name: str, value: str) -> None:
        """Sets a field of a record: the only way to age it by a month."""
        identifier = redemption["redemption_id"]
        async with self.stack.hot() as hot:
            (key,) = [key async for key in hot.scan_iter(match=f"*:redemption:{identifier}", count=100_000)]
            fields = {**record_fields(await hot.get(key)), name: value}
            await hot.set(key, record_text(fields), keepttl=True)

    async def member_field(self, member: Member, name: str, value: str) -> None:
        async with self.stack.hot() as hot:
            await hot.hset(f"{{b{member.bucket}}}:member:{member.member_id}", name, value)

    async def benefits(self, member: Member) -> dict[str, Json]:
        """`GET /v1/me/benefits` by id."""
        answer = await self.tong.http.get(
            "/v1/me/benefits", headers={"authorization": f"Bearer {member.access_token}", "accept-language": "en"}
        )
        assert answer.status_code == 200, answer.text
        return {entry["benefit_id"]: entry for entry in answer.json()["benefits"]}


async def load_environment(stack: Stack, members: Sequence[Json] = (), policy: Json | None = None) -> None:
    """`tong load` of the demo group with the environment's businesses and benefits, and these members."""
    group = demo_group()
    group["benefits"] |= BENEFITS
    for name, rules in BUSINESSES.items():
        terminals = [{"id": f"trm_{name}_{n}", "name": name} for n in (1, 2)]
        outlets = [{"id": f"out_{name}", "name": {"en": name}, "terminals": terminals}]
        group["businesses"].append(
            {"id": name, "name": {"en": name}, "currency": "CNY", "rules": rules, "outlets": outlets}
        )
    group["members"] = list(members)
    if policy is not None:
        group["policy"] = policy
    await stack.load_document(group)


async def open_environment(
    stack: Stack, tong: TongClient, *, policy: Json | None = None, businesses: Sequence[str] = tuple(BUSINESSES)
) -> Environment:
    """Loads the environment, makes a key of each terminal and returns once every worker knows them."""
    await load_environment(stack, policy=policy)
    terminals = {}
    for name in businesses:
        terminal_id = f"trm_{name}_1"
        key = await create_key(stack.settings, terminal_id, ())
        terminals[name] = Terminal(name, f"out_{name}", terminal_id, key)
    last = terminals[businesses[-1]]

    async def known(http: httpx2.AsyncClient) -> bool:
        answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {last.api_key}"})
        return refusal_code(answer) == "not_found"

    await stack.until_every_worker("knows the environment's keys", known)
    elsewhere = CodeIssuer(KeyRing.create("other", "HS256"), "HS256", time.time)
    return Environment(stack, tong, terminals, stack.code_issuer(), elsewhere, policy)


async def unbalanced(environment: Environment, *members: Member) -> list[str]:
    """I1, I2, I8 of these members once the ledger is drained: raw lots against replayed postings, sentences of what
    differs."""
    wrong = []
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
        for member in members:
            lots = {
                name.decode(): int(amount)
                for name, amount in (await hot.hgetall(f"{{b{member.bucket}}}:lots:{member.member_id}")).items()
            }
            held = int(await hot.hget(f"{{b{member.bucket}}}:member:{member.member_id}", "held") or 0)
            rows = await ledger.fetch(
                "SELECT p.asset, p.account, p.lot, sum(p.amount)::bigint AS total FROM ledger_posting AS p "
                "JOIN ledger_transaction AS t USING (bucket, epoch, entry_ms, entry_seq) "
                "WHERE t.member_id = $1 GROUP BY p.asset, p.account, p.lot",
                member.member_id,
            )
            wrong += [f"{member.member_id}: {sentence}" for sentence in _differences(lots, held, rows)]
    return wrong


def _differences(lots: Holdings, held: int, rows: Sequence[Any]) -> list[str]:
    accounts: dict[str, Counter[str]] = {}
    replayed: Counter[str] = Counter()
    for row in rows:
        accounts.setdefault(row["asset"], Counter())[row["account"]] += row["total"]
        if row["account"] == "member_available":
            replayed[f"{row['asset']}/{row['lot']}"] += row["total"]
    found = {name: total for name, total in replayed.items() if total}
    wrong = [] if found == lots else [f"I8: lots {lots}, replayed {found}"]
    wrong += [f"I2: {name} is {amount}" for name, amount in lots.items() if amount < 0]
    for asset, of in accounts.items():
        if sum(of.values()):
            wrong.append(f"I1: {asset} does not sum to zero: {dict(of)}")
        wrong += [f"I2: {asset} {name} is {n}" for name, n in of.items() if n < 0 and name != "business_issued"]
    replayed_held = accounts.get("points", Counter())["member_held"]
    if replayed_held != held:
        wrong.append(f"points held: {held}, replayed {replayed_held}")
    return wrong


def moment(text: str) -> float:
    """Seconds since 1970 of an answer's time."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text).timestamp()


def month(months: int) -> str:
    """The month so many months from now, as an answer tells it."""
    found = month_after(time.time(), months, ZoneInfo("Asia/Shanghai"))
    return f"{found // 100}-{found % 100:02d}"


@asynccontextmanager
async def clients_of_each_worker(stack: Stack, connections: int = 30) -> AsyncIterator[list[TongClient]]:
    """A client for each worker, with open connections to that worker alone."""
    async with AsyncExitStack() as open_clients:
        tills = []
        for position in range(len(stack.workers)):
            till = await open_clients.enter_async_context(client_of(stack, connections=connections))
            async with stack.only_worker(position):
                asked = await asyncio.gather(*(till.http.get("/healthz") for _ in range(connections)))
            assert {answer.status_code for answer in asked} == {200}
            tills.append(till)
        yield tills
