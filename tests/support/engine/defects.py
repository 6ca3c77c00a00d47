"""Scans that deserve a refusal: each reason of the contract as a defect that can be put into a scan.

`DEFECTS` lists the reasons in the contract's order. Each knows how to spoil a scan that would otherwise be taken, so
any two can be put together.
"""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from gateway.administration.keys import create_key, revoke
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import refusal_code
from tests.support.servers.stack import Member, Stack, Terminal

EXPIRED_SECONDS = 90


@dataclass
class Environment:
    """What the scans are made of, set up once."""

    stack: Stack
    tong: TongClient
    plain: Terminal
    closed: Terminal
    minimum: Terminal
    rich: list[Member]
    poor: list[Member]
    revoked: dict[str, str] = field(repr=False)
    """Of each terminal a key that was revoked, and every worker knows."""


@dataclass
class Scan:
    """One scan that would be taken as it stands."""

    environment: Environment
    member: Member
    terminal: Terminal
    key: str | None = field(default_factory=fresh_key)
    points: int = 200
    amount_minor: int = 25_800
    code: str | None = None
    age_seconds: int = 0
    text: Callable[[str], str] = str
    spoil: Callable[[bytes], bytes] = bytes
    headers: dict[str, str] = field(default_factory=dict)
    before: list[Callable[["Scan", dict[str, Any]], Awaitable[None]]] = field(default_factory=list)

    async def prepare(self) -> dict[str, Any]:
        code = self.environment.stack.aged_code(self.member, self.age_seconds).code
        body = {"code": self.text(code), "bill": bill(self.amount_minor), "legs": [points_leg(self.points)]}
        for step in self.before:
            await step(self, {**body, "code": code})
        return body

    async def send(self, body: dict[str, Any], **headers: str) -> httpx2.Response:
        content = self.spoil(json.dumps(body).encode())
        return await self.environment.tong.verify(self.terminal, content, self.key, {**self.headers, **headers})

    async def member_field(self, name: str, value: str | None) -> None:
        name_of_hash = f"{{b{self.member.bucket}}}:member:{self.member.member_id}"
        async with self.environment.stack.hot() as hot:
            await (hot.hdel(name_of_hash, name) if value is None else hot.hset(name_of_hash, name, value))


def too_large(scan: Scan) -> None:
    before = scan.spoil
    scan.spoil = lambda body: before(body) + b" " * 20_000


def not_json(scan: Scan) -> None:
    scan.headers["content-type"] = "text/plain"


def misspelt(scan: Scan) -> None:
    before = scan.spoil
    scan.spoil = lambda body: before(body).replace(b'"legs"', b'"legz"', 1)


def no_key(scan: Scan) -> None:
    scan.key = None


def unknown_caller(scan: Scan) -> None:
    scan.headers["authorization"] = "Bearer tong_tk_dev_nobody"


def revoked_key(scan: Scan) -> None:
    async def hold_it(scan: Scan, _: dict[str, Any]) -> None:
        scan.headers["authorization"] = f"Bearer {scan.environment.revoked[scan.terminal.terminal_id]}"

    scan.before.append(hold_it)


def back_office_key(scan: Scan) -> None:
    scan.headers["authorization"] = f"Bearer {scan.environment.stack.demo['admin_api_key']}"


def key_of_another_request(scan: Scan) -> None:
    async def use_it(scan: Scan, _: dict[str, Any]) -> None:
        other = scan.environment.stack.code_issuer().issue(scan.member.number, int(time.time()) // 2).code
        await scan.environment.tong.verify(scan.terminal, {"code": other}, scan.key)

    scan.before.insert(0, use_it)


def no_code(scan: Scan) -> None:
    scan.text = lambda _: "6901234567892"


def changed_signature(scan: Scan) -> None:
    before = scan.text
    scan.text = lambda code: before(code[:-8] + ("AAAAAAAA" if code[-8:] != "AAAAAAAA" else "BBBBBBBB"))


def old_code(scan: Scan) -> None:
    scan.age_seconds = EXPIRED_SECONDS


def used_code(scan: Scan) -> None:
    async def use_it(scan: Scan, body: dict[str, Any]) -> None:
        answer = await scan.environment.tong.verify(scan.environment.plain, {"code": body["code"]}, fresh_key())
        assert answer.status_code == 201, answer.text

    scan.before.insert(0, use_it)


def revoked_code(scan: Scan) -> None:
    async def revoke_it(scan: Scan, _: dict[str, Any]) -> None:
        await scan.member_field("codes_valid_from", str(int(time.time()) + 600))

    scan.before.append(revoke_it)


def blocked_member(scan: Scan) -> None:
    async def block(scan: Scan, _: dict[str, Any]) -> None:
        await scan.member_field("status", "blocked")

    scan.before.append(block)


def same_basket_again(scan: Scan) -> None:
    async def take_it(scan: Scan, body: dict[str, Any]) -> None:
        other = scan.environment.stack.aged_code(scan.member, 2).code
        answer = await scan.environment.tong.verify(scan.terminal, {**body, "code": other}, fresh_key())
        assert answer.status_code == 201, answer.text

    scan.before.insert(0, take_it)


def closed_to_points(scan: Scan) -> None:
    scan.terminal = scan.environment.closed


def below_minimum(scan: Scan) -> None:
    scan.points = 50
    if scan.terminal is not scan.environment.closed:
        scan.terminal = scan.environment.minimum


def too_few_points(scan: Scan) -> None:
    scan.member = scan.environment.poor.pop()


def small_bill(scan: Scan) -> None:
    scan.amount_minor = 20


DEFECTS: dict[str, tuple[int, str, Callable[[Scan], None]]] = {
    "body_too_large": (413, "never", too_large),
    "unsupported_media_type": (415, "never", not_json),
    "malformed": (400, "never", misspelt),
    "idempotency_key_missing": (400, "new_key", no_key),
    "unauthenticated": (401, "never", unknown_caller),
    "terminal_revoked": (401, "never", revoked_key),
    "forbidden": (403, "never", back_office_key),
    "idempotency_key_reused": (422, "new_key", key_of_another_request),
    "code_malformed": (409, "new_code", no_code),
    "code_forged": (409, "new_code", changed_signature),
    "code_expired": (409, "new_code", old_code),
    "code_used": (409, "new_code", used_code),
    "code_revoked": (409, "new_code", revoked_code),
    "member_blocked": (409, "never", blocked_member),
    "possible_duplicate": (409, "new_key", same_basket_again),
    "leg_not_allowed_here": (409, "new_key", closed_to_points),
    "points_below_minimum": (409, "new_key", below_minimum),
    "points_insufficient": (409, "new_key", too_few_points),
    "exceeds_bill": (409, "new_key", small_bill),
}
"""Reasons in the contract's order: status, what may be tried again, and how a scan comes to deserve it."""

NOT_TOGETHER = {
    ("idempotency_key_missing", "idempotency_key_reused"),  # a key that is not there
    ("unauthenticated", "terminal_revoked"),  # one Authorization header
    ("unauthenticated", "forbidden"),
    ("terminal_revoked", "forbidden"),
    *(  # what was refused cannot have been taken a moment ago
        ("possible_duplicate", later)
        for later in ("leg_not_allowed_here", "points_below_minimum", "points_insufficient", "exceeds_bill")
    ),
    ("code_expired", "code_used"),  # nothing can use a code that has expired; test_verify_http.py waits for it
}


async def environment_of(stack: Stack, tong: TongClient) -> Environment:
    """The terminals, members and keys that the defects need."""
    rich = await stack.members([[("hotel", 10_000, 2)]] * 240)
    poor = await stack.members([[("hotel", 30, 2)]] * 60)
    closed = await stack.terminal("closed", rules={"accepted": False, "minimum_points": 100})
    minimum = await stack.terminal("minimum", rules={"minimum_points": 100})
    plain, revoked = stack.terminals["hotel"], {}
    for terminal in (plain, closed, minimum):
        key = await create_key(stack.settings, terminal.terminal_id, ())
        assert await revoke(stack.settings, key.split("_")[3])
        revoked[terminal.terminal_id] = key

    async def revoked_everywhere(http: httpx2.AsyncClient) -> bool:
        answers = [
            await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {key}"})
            for key in revoked.values()
        ]
        return {refusal_code(answer) for answer in answers} == {"terminal_revoked"}

    await stack.until_every_worker("the keys are revoked", revoked_everywhere)
    return Environment(stack, tong, plain, closed, minimum, rich, poor, revoked)


def spoilt(environment: Environment, *reasons: str) -> Scan:
    """A scan with these defects."""
    scan = Scan(environment, environment.rich.pop(), environment.plain)
    for reason in reasons:
        DEFECTS[reason][2](scan)
    return scan
