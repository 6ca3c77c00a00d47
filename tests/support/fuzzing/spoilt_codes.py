"""A gateway worker in this process whose clock can be moved, on the stores of a stack; and each way in which the code
of a request, or what the request was judged by, can change after its key was answered.

A `Way` says which form of code the requests carry and what happens to them: the code's time runs out, its key is
retired, its device or the member is refused from now on, the terminal has another key or stands elsewhere.
"""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2

from gateway.administration.keys import create_key, rotate
from gateway.api.state import State
from gateway.server.app import application
from gateway.server.lifespan import running
from tests.support.api.client import bill, points_leg
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until
from tokens import base64url
from tokens.claims import CodeClaim, slot_at
from tokens.codec import CodeIssuer
from tokens.keyring import KeyRing
from tokens.offline import step_at, write_offline

_numbers = itertools.count(1)
Json = dict[str, Any]


@dataclass
class Worker:
    """One worker. `ahead` is how many seconds its clock is ahead of everybody else's."""

    stack: Stack
    state: State = field(init=False)
    http: httpx2.AsyncClient = field(init=False)
    ahead: float = 0.0

    def clock(self) -> float:
        return time.time() + self.ahead

    async def until(self, what: str, holds: Callable[[], object]) -> None:
        await wait_until(what, holds, seconds=20)


@asynccontextmanager
async def running_worker(stack: Stack) -> AsyncIterator[Worker]:
    """A worker for the length of the block."""
    worker = Worker(stack)
    async with running(stack.settings, worker.clock) as state:
        worker.state = state
        transport = httpx2.ASGITransport(app=application(state))
        async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as http:
            worker.http = http
            yield worker


@dataclass
class Till:
    """A terminal of a business of its own, which a test may move, and a member with points."""

    worker: Worker
    terminal_id: str
    business: str
    api_key: str = field(repr=False)
    member: Member

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.api_key}"} | ({"idempotency-key": key} if key else {})
        return await self.worker.http.post(path, json=body, headers=headers)

    async def placed(self, outlet: str, business: str, currency: str = "CNY") -> None:
        """The terminal stands in an outlet of a business from now on. Another currency than the demo group's is set
        behind the group file, whose benefits are in one."""
        await self.worker.stack.load(businesses=[_business(business, outlet, self.terminal_id)])
        if currency != "CNY":
            async with self.worker.stack.ledger() as ledger:
                await ledger.execute("UPDATE business SET currency = $2 WHERE business_id = $1", business, currency)
        there = (outlet, currency)
        await self.worker.until("the terminal is known where it stands", lambda: self.place == there)

    @property
    def place(self) -> tuple[str, str]:
        """The outlet and the currency by which the worker judges this terminal's requests."""
        holders = self.worker.state.configuration.current.keys.values()
        terminal = next(
            each.terminal for each in holders if each.terminal and each.terminal.terminal_id == self.terminal_id
        )
        return terminal.outlet_id, terminal.business.currency

    async def until_known(self) -> None:
        await self.until_looked_up("not_found")

    async def until_looked_up(self, said: str, api_key: str | None = None) -> None:
        """Waits until a look-up of nothing with the till's key, or another, says this."""
        headers = {"authorization": f"Bearer {api_key or self.api_key}"}

        async def holds() -> bool:
            answer = await self.worker.http.get("/v1/redemptions/none", headers=headers)
            return bool(answer.json()["code"] == said)

        await wait_until(f"a look-up with the key says {said}", holds)

    async def guesses(self) -> int:
        """How many guesses of digits are counted of this terminal."""
        async with self.worker.stack.hot() as hot:
            counted = [await hot.get(name) async for name in hot.scan_iter(match=f"*:guess:{self.terminal_id}")]
        return sum(int(each) for each in counted)


async def tills_of(worker: Worker, wanted: int) -> list[Till]:
    """Fresh tills, each a terminal in a business of its own with a member of its own."""
    members = await worker.stack.members([[("hotel", 5_000, 3)]] * wanted)
    numbers = [next(_numbers) for _ in range(wanted)]
    await worker.stack.load(businesses=[_business(f"keys-{n}", f"out_keys_{n}", f"trm_keys_{n}") for n in numbers])
    tills = []
    for number, member in zip(numbers, members, strict=True):
        api_key = await create_key(worker.stack.settings, f"trm_keys_{number}", ())
        tills.append(Till(worker, f"trm_keys_{number}", f"keys-{number}", api_key, member))
    await tills[-1].until_known()
    return tills


def _business(business: str, outlet: str, terminal_id: str) -> Json:
    terminals = [{"id": terminal_id, "name": terminal_id}]
    outlets = [{"id": outlet, "name": {"en": outlet}, "terminals": terminals}]
    return {"id": business, "name": {"en": business}, "currency": "CNY", "outlets": outlets}


@dataclass
class Codes:
    """Genuine codes of one member in one form, no two of them the same; `read` tells whether one can be read now."""

    till: Till
    form: str
    issuer: CodeIssuer = field(repr=False)
    device: Json = field(default_factory=dict, repr=False)
    made: Iterator[int] = field(default_factory=itertools.count)
    """How many slots ahead the next code is of."""

    def __next__(self) -> str:
        position, now = next(self.made), self.till.worker.clock()
        if self.form == "device":
            key = base64url.decode(self.device["key"])
            assert key is not None
            return write_offline(self.device["code_prefix"], key, step_at(now) + (0, 1, -1)[position])
        issued = self.issuer.issue(self.till.member.number, slot_at(now) + position)
        return issued.digits if self.form == "digits" else issued.code


async def codes_of(till: Till, form: str) -> Codes:
    worker = till.worker
    device: Json = {}
    if form == "device":
        headers = {"authorization": f"Bearer {till.member.access_token}"}
        enrolled = await worker.http.post("/v1/me/devices", json={"name": "phone"}, headers=headers)
        assert enrolled.status_code == 201, enrolled.text
        device = enrolled.json()
    settings = worker.stack.settings
    ring = KeyRing.load(settings.code_keys_path(), settings.environment)
    return Codes(till, form, CodeIssuer(ring, settings.code_algorithm, worker.clock), device)


@dataclass(frozen=True)
class Way:
    """What becomes of codes of a form. `unreadable`: nothing of them can be read afterwards."""

    name: str
    form: str
    happens: Callable[[Till, Codes, str], Awaitable[None]]
    unreadable: bool = False


def _later(seconds: float) -> Callable[[Till, Codes, str], Awaitable[None]]:
    async def happens(till: Till, codes: Codes, sample: str) -> None:
        till.worker.ahead += seconds

    return happens


async def _rotated(till: Till, codes: Codes, sample: str) -> None:
    worker = till.worker
    settings = worker.stack.settings
    ring = KeyRing.load(settings.code_keys_path(), settings.environment)
    ring.rotate(settings.code_algorithm, time.time(), 0).save(settings.code_keys_path())
    newest = f"{ring.environment}-{ring.next_number}"
    await worker.until("the worker signs with the new code key", lambda: worker.state.issuer.current_kid == newest)


async def _retired(till: Till, codes: Codes, sample: str) -> None:
    worker = till.worker
    old = worker.state.issuer.current_kid
    await _rotated(till, codes, sample)
    settings = worker.stack.settings
    ring = KeyRing.load(settings.code_keys_path(), settings.environment)
    ring.retire(old, time.time()).save(settings.code_keys_path())

    def is_forged() -> bool:
        return not isinstance(worker.state.reader.read(sample, worker.clock()), CodeClaim)

    await worker.until("the worker reads no codes of the retired key", is_forged)


async def _device_revoked(till: Till, codes: Codes, sample: str) -> None:
    headers = {"authorization": f"Bearer {till.member.access_token}"}
    gone = await till.worker.http.delete(f"/v1/me/devices/{codes.device['device_id']}", headers=headers)
    assert gone.status_code == 200

    def is_revoked() -> bool:
        claim = till.worker.state.reader.read(sample, till.worker.clock())
        return isinstance(claim, CodeClaim) and claim.standing.value == "revoked"

    await till.worker.until("the worker knows that the device is revoked", is_revoked)


async def _codes_revoked(till: Till, codes: Codes, sample: str) -> None:
    members = till.worker.state.memberships
    assert await members.set_status(till.member.number, blocked=False, codes_valid_from=members.end_of_issued_codes())


async def _blocked(till: Till, codes: Codes, sample: str) -> None:
    assert await till.worker.state.memberships.set_status(till.member.number, blocked=True, codes_valid_from=None)


async def _new_key(till: Till, codes: Codes, sample: str) -> None:
    old = till.api_key
    till.api_key = (await rotate(till.worker.stack.settings, old.split("_")[3], timedelta(0))).text
    await till.until_known()
    await till.until_looked_up("terminal_revoked", old)


def _moved(kind: str, currency: str = "CNY") -> Callable[[Till, Codes, str], Awaitable[None]]:
    async def happens(till: Till, codes: Codes, sample: str) -> None:
        number = next(_numbers)
        business = till.business if kind == "outlet" else f"keys-moved-{number}"
        await till.placed(f"out_moved_{number}", business, currency)

    return happens


async def _moved_later(till: Till, codes: Codes, sample: str) -> None:
    await _moved("business")(till, codes, sample)
    till.worker.ahead += 65 * 60


async def _days_later(till: Till, codes: Codes, sample: str) -> None:
    """Twenty-nine days: the worker's clock and all that dies by its time to live in the hot store."""
    till.worker.ahead += 29 * 86_400
    await age(till.worker.stack, 29 * 86_400)


async def age(stack: Stack, seconds: int) -> None:
    """Lets what has a time to live in the hot store grow older."""
    async with stack.hot() as hot:
        async for name in hot.scan_iter(match="{b*}:*", count=1_000):
            left = await hot.pttl(name)
            if left >= 0:
                await hot.pexpire(name, max(1, left - seconds * 1_000))


WAYS = (
    Way("JWT that has expired", "jwt", _later(90)),
    Way("digits older than an hour", "digits", _later(65 * 60), unreadable=True),
    Way("device's step that is over", "device", _later(3_600)),
    Way("JWT of a code key that no longer signs", "jwt", _rotated),
    Way("digits of a code key that no longer signs", "digits", _rotated),
    Way("JWT of a retired code key", "jwt", _retired, unreadable=True),
    Way("digits of a retired code key", "digits", _retired, unreadable=True),
    Way("device's code of a retired code key", "device", _retired, unreadable=True),
    Way("code of a revoked device", "device", _device_revoked),
    Way("revoked codes of a member", "jwt", _codes_revoked),
    Way("code of a blocked member", "jwt", _blocked),
    Way("terminal with a new API key", "jwt", _new_key),
    Way("terminal in another outlet", "jwt", _moved("outlet")),
    Way("terminal of another business", "jwt", _moved("business")),
    Way("terminal of another business, digits older than an hour", "digits", _moved_later, unreadable=True),
    Way("terminal of a business with another currency", "jwt", _moved("business", "HKD")),
    Way("JWT of twenty-nine days ago", "jwt", _days_later),
    Way("digits of twenty-nine days ago", "digits", _days_later, unreadable=True),
)


@dataclass(frozen=True)
class Asked:
    """A request that was answered: what it was, and the answer."""

    name: str
    path: str
    body: Json | None
    key: str
    answer: httpx2.Response

    @property
    def document(self) -> Json:
        return dict(self.answer.json())


@dataclass
class Story:
    """One request of every kind that takes a key, each answered once; `scan` is the one to be cancelled."""

    till: Till
    asked: list[Asked] = field(default_factory=list)

    async def ask(self, name: str, path: str, body: Json | None, status: int) -> Asked:
        key = f"{name.replace(' ', '-')}-{next(_numbers)}"
        answer = await self.till.post(path, body, key)
        assert answer.status_code == status, answer.text
        found = Asked(name, path, body, key, answer)
        self.asked.append(found)
        return found


async def told(till: Till, codes: Codes) -> tuple[Story, Asked]:
    """Asks every kind of request; codes of the form under test where a request has one that counts."""
    story = Story(till)
    jwt = await codes_of(till, "jwt")
    jwt.made = itertools.count(20)  # slots that no code of `codes` is of

    def basket(points: int, code: str, **more: Any) -> Json:
        amount = bill(10_000 + points, reference=f"POS-{points}")
        return {"code": code, "bill": amount, "legs": [points_leg(points)], **more}

    async def held(points: int) -> str:
        body = basket(points, next(jwt), capture=False, hold_seconds=3_600)
        made = await till.post("/v1/verify", body, f"hold-{next(_numbers)}")
        assert made.status_code == 201, made.text
        return f"/v1/redemptions/{made.json()['redemption_id']}"

    scan = await story.ask("verify", "/v1/verify", basket(100, next(codes)), 201)
    await story.ask("verify a hold", "/v1/verify", basket(110, next(codes), capture=False), 201)
    earned = await story.ask("accrue", "/v1/accruals", {"code": next(codes), "bill": bill(7_000, "EARN-1")}, 201)
    await story.ask("reverse", f"/v1/accruals/{earned.document['accrual_id']}/reverse", {}, 200)
    await story.ask("capture", f"{await held(120)}/capture", {}, 200)
    changed = bill(9_000, "POS-CHANGED")
    await story.ask("capture with a bill", f"{await held(130)}/capture", {"bill": changed}, 200)
    await story.ask("void", f"{await held(140)}/void", {}, 200)
    taken = await till.post("/v1/verify", basket(150, next(jwt)), f"taken-{next(_numbers)}")
    path = f"/v1/redemptions/{taken.json()['redemption_id']}/refund"
    await story.ask("refund", path, {"legs": [points_leg(50)]}, 200)
    return story, scan
