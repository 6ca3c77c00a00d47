"""Shared parts of the steps of `tong demo`: one member's means, calls over HTTP, and the ledger that must agree.

    StepDiffered     a step had another result than it must

Guarantees: nothing is taken for granted. After every step that moves value the member's balances, asked over HTTP, are
what they were before and the change; the ledger has the step's transactions, each sums to zero, and the balances
replayed from its postings are the same. Every wait is bounded.
"""

import asyncio
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.formats.money import money_text
from redemption.database import Pool, open_pool
from redemption.domain.errors import ConflictError

BENEFIT: Final = "dining-80"
CURRENCY: Final = "CNY"
ANSWER_SECONDS: Final = 10.0
CODE_SECONDS: Final = 30.0
LEDGER_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02

_TRANSACTIONS: Final = """
SELECT transaction.kind, coalesce((
    SELECT bool_or(total <> 0) FROM (
        SELECT sum(amount) AS total FROM ledger_posting AS posting
        WHERE (posting.bucket, posting.epoch, posting.entry_ms, posting.entry_seq)
            = (transaction.bucket, transaction.epoch, transaction.entry_ms, transaction.entry_seq)
        GROUP BY posting.asset) AS sums), false) AS uneven
FROM ledger_transaction AS transaction
WHERE transaction.subject_id = $1
ORDER BY transaction.entry_ms, transaction.entry_seq
"""
_POSTINGS: Final = """
SELECT posting.asset, posting.account, posting.owner, posting.lot, posting.amount
FROM ledger_transaction AS transaction CROSS JOIN LATERAL (
    SELECT * FROM ledger_posting AS posting
    WHERE (posting.bucket, posting.epoch, posting.entry_ms, posting.entry_seq, posting.occurred_at)
        = (transaction.bucket, transaction.epoch, transaction.entry_ms, transaction.entry_seq, transaction.occurred_at)
    OFFSET 0) AS posting
WHERE transaction.subject_id = $1
ORDER BY posting.entry_ms, posting.entry_seq, posting.line
"""
_MEANS: Final = """
SELECT
    coalesce(sum(amount) FILTER (WHERE asset = 'points' AND account = 'member_available'), 0)::bigint AS points,
    coalesce(sum(amount) FILTER (WHERE asset = 'points' AND account = 'member_held'), 0)::bigint AS held,
    coalesce(sum(amount) FILTER (WHERE asset = $2 AND account = 'member_available'), 0)::bigint AS stored_minor,
    coalesce(sum(amount) FILTER (WHERE asset = 'benefit:' || $3 AND account = 'member_available'), 0)::bigint AS uses
FROM ledger_posting
WHERE owner = $1 AND account IN ('member_available', 'member_held')
"""


class StepDiffered(ConflictError):
    """A step had another result than it must; the text says which."""


class Means(NamedTuple):
    """A member's means: points, points in holds, stored value in minor units, uses of the benefit."""

    points: int
    held: int
    stored_minor: int
    uses: int

    def after(self, *, points: int = 0, held: int = 0, stored_minor: int = 0, uses: int = 0) -> "Means":
        """Return these means and a change."""
        return Means(self.points + points, self.held + held, self.stored_minor + stored_minor, self.uses + uses)

    def told_to(self, other: "Means") -> str:
        """Return the differences between these means and later ones."""
        parts = []
        if self.points != other.points:
            parts.append(f"points {self.points} → {other.points}")
        if self.held != other.held:
            parts.append(f"held {self.held} → {other.held}")
        if self.stored_minor != other.stored_minor:
            parts.append(f"stored value {money(self.stored_minor)} → {money(other.stored_minor)}")
        if self.uses != other.uses:
            parts.append(f"{BENEFIT} {self.uses} → {other.uses}")
        return ", ".join(parts) or "balances as before"


NOTHING: Final = Means(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the gateway."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Sent:
    """A verify that was sent, with its answer."""

    business: str
    body: dict[str, Any]
    key: str
    answer: Answer

    @property
    def redemption_id(self) -> str:
        return str(self.answer.json()["redemption_id"])


@dataclass(slots=True)
class Tour:
    """The shared state of the steps. `demo` is the content of demo.json."""

    demo: dict[str, Any]
    folder: Path
    member: dict[str, Any] = field(default_factory=dict)
    means: Means = NOTHING
    entries: list[dict[str, str]] = field(default_factory=list)
    scanned: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    accruals: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opening: Means = NOTHING
    prepared: dict[str, Any] = field(default_factory=dict)
    stay: str = ""
    late: tuple[str, dict[str, Any]] = ("", {})

    async def own_means(self) -> Means:
        """Return the member's means as the member app reads them."""
        me = await self.ok("GET", "/v1/me", self.member["access_token"])
        benefits = (await self.ok("GET", "/v1/me/benefits", self.member["access_token"]))["benefits"]
        stored = {each["currency"]: each["amount_minor"] for each in me["balance"]["stored_value"]}
        uses = sum(each["remaining_uses"] for each in benefits if each["benefit_id"] == BENEFIT)
        return Means(me["balance"]["points"], me["balance"]["points_held"], stored.get(CURRENCY, 0), uses)

    async def moved(
        self,
        subject_id: str,
        kinds: tuple[str, ...],
        *,
        points: int = 0,
        held: int = 0,
        stored_minor: int = 0,
        uses: int = 0,
    ) -> str:
        """Check that the member's means changed by this much and that the ledger has it. Returns the change as text.

        `kinds` are all transactions the subject must have by now.
        """
        before, self.means = self.means, await self.own_means()
        wanted = before.after(points=points, held=held, stored_minor=stored_minor, uses=uses)
        expect(self.means == wanted, f"/v1/me tells {self.means} after {before}; {wanted} it must be")
        async with self.ledger() as pool:
            await self._until_written(pool, subject_id, kinds)
        return before.told_to(self.means)

    async def unmoved(self) -> None:
        """Check that the member's means are unchanged."""
        now = await self.own_means()
        expect(now == self.means, f"/v1/me tells {now} after {self.means}, though nothing may have moved")

    async def _until_written(self, pool: Pool, subject_id: str, kinds: tuple[str, ...]) -> None:
        deadline = time.monotonic() + LEDGER_SECONDS
        while True:
            rows = await pool.fetch(_TRANSACTIONS, subject_id)
            found = tuple(row["kind"] for row in rows)
            row = await pool.fetchrow(_MEANS, self.member["member_id"], CURRENCY, BENEFIT)
            assert row is not None
            replayed = Means(*row.values())
            if found == kinds and replayed == self.means:
                break
            expect(
                time.monotonic() < deadline,
                f"after {LEDGER_SECONDS:.0f} s the ledger has {found} of {subject_id}, {kinds} it must have, and "
                f"replays {replayed}, where /v1/me tells {self.means}",
            )
            await asyncio.sleep(POLL_SECONDS)
        uneven = [row["kind"] for row in rows if row["uneven"]]
        expect(not uneven, f"{subject_id}: {uneven} do not sum to zero")

    async def postings(self, subject_id: str) -> list[str]:
        """Return the postings of a subject as lines to read."""
        async with self.ledger() as pool:
            return [
                f"{row['amount']:+8} {row['asset']}  {row['account'] + ' of ' + row['owner']:34} lot {row['lot']}"
                for row in await pool.fetch(_POSTINGS, subject_id)
            ]

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Pool]:
        """Open the ledger's database for the length of the block."""
        pool = await open_pool(self.demo["postgres_dsn"], size=1, name="tong-demo")
        try:
            yield pool
        finally:
            await pool.close()

    async def code(self) -> str:
        """Return a fresh code of the member's."""
        return (await self.codes(1))[0]["code"]

    async def codes(self, count: int) -> list[dict[str, str]]:
        """Return fresh codes of the member's. One who used every code of the next seconds waits for the next."""
        deadline = time.monotonic() + CODE_SECONDS
        while True:
            answer = await self.call("POST", "/v1/me/codes", self.member["access_token"], {"count": count})
            if answer.status != 429 or time.monotonic() > deadline:
                expect(answer.status == 200, f"/v1/me/codes answers {told(answer)}")
                issued: list[dict[str, str]] = answer.json()["codes"]
                expect(len(issued) == count, f"{len(issued)} codes came, not {count}")
                return issued
            await asyncio.sleep(int(answer.headers["Retry-After"]))

    async def scan(self, name: str, business: str, **body: Any) -> dict[str, Any]:
        """Send a verify that must be applied, keep it as `sent[name]` and return its answer."""
        key = fresh_key()
        content = {"code": body.pop("code", None) or await self.code(), **body}
        answer = await self.verify(business, content, key)
        expect(answer.status == 201, f"verify at the {business} answers {told(answer)}")
        expect("Idempotency-Replayed" not in answer.headers, "a first answer says it is a repeat")
        self.sent[name] = Sent(business, content, key, answer)
        redemption: dict[str, Any] = answer.json()
        expect(redemption["member"]["member_id"] == self.member["member_id"], "the code is another member's")
        return redemption

    async def verify(self, business: str, body: dict[str, Any], key: str, language: str = "en") -> Answer:
        """Send `POST /v1/verify` as a till of the business."""
        headers = {"Idempotency-Key": key, "Accept-Language": language}
        return await self.call("POST", "/v1/verify", self.till(business), body, headers)

    async def step(self, name: str, verb: str, legs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Capture or refund what was `sent` under a name and return the answer."""
        sent = self.sent[name]
        body = {} if legs is None else {"legs": legs}
        path = f"/v1/redemptions/{sent.redemption_id}/{verb}"
        return await self.ok("POST", path, self.till(sent.business), body, {"Idempotency-Key": fresh_key()})

    def till(self, business: str) -> str:
        """Return the API key of a terminal of the business."""
        keys = [each["api_key"] for each in self.demo["terminals"] if each["business"] == business]
        expect(bool(keys), f"demo.json has no terminal of {business}")
        return str(keys[0])

    async def ok(self, method: str, path: str, bearer: str, body: Any = None, headers: Any = None) -> dict[str, Any]:
        """Send one request that must be answered with 200 or 201. Returns the body."""
        answer = await self.call(method, path, bearer, body, headers)
        expect(answer.status in (200, 201), f"{path} answers {told(answer)}")
        content: dict[str, Any] = answer.json()
        return content

    async def call(
        self,
        method: str,
        path: str,
        bearer: str | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request. Raises `StepDiffered` where there is no answer in time."""
        sent = dict(headers or {})
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        content = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - demo.json names http://, and it is ours
            self.demo["base_url"] + path, content, sent, method=method
        )
        return await asyncio.to_thread(_exchange, request)


def _exchange(request: urllib.request.Request) -> Answer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine needs no proxy
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())
    except (OSError, HTTPException) as fault:
        raise StepDiffered(f"{request.full_url} does not answer ({fault}); does `tong up` still run?") from None


def expect(holds: bool, otherwise: str) -> None:
    """Raise `StepDiffered` unless the condition holds."""
    if not holds:
        raise StepDiffered(otherwise)


def told(answer: Answer) -> str:
    """Return an answer as a person reads it."""
    return f"{answer.status}: {answer.body[:600].decode(errors='replace')}"


def money(minor: int) -> str:
    """Return the amount in the demo group's currency: 25800 is 258.00."""
    return money_text(minor, CURRENCY)


def bill(base_minor: int = 20_000, *, category: str | None = None, stay: str | None = None) -> dict[str, Any]:
    """Return a bill of `base_minor` and a random part, so that it is no duplicate of one of the last minute."""
    amount = base_minor + int(time.time() * 100) % 6_000
    found: dict[str, Any] = {
        "reference": f"DEMO-{secrets.token_hex(4)}",
        "amount_minor": amount,
        "currency": CURRENCY,
    }
    if category is not None:
        found["lines"] = [{"category": category, "amount_minor": amount}]
    if stay is not None:
        found["stay"] = stay
    return found


def points_leg(points: int) -> dict[str, Any]:
    """Return a leg of points."""
    return {"kind": "points", "points": points}


def fresh_key() -> str:
    """Return an Idempotency-Key never used before."""
    return f"demo-{secrets.token_hex(8)}"
