"""Bounds beside the rates, over HTTP: tombstones of cancels, guesses in the group, what a blocked member still gets.

The attack that once filled the hot store with tombstones is repeated as it was made.
"""

import asyncio
import json

import httpx2
import pytest

from redemption.domain.limits import (
    GUESSES_IN_GROUP,
    REDEMPTION_RETENTION_SECONDS,
    TOMBSTONE_SECONDS,
    TOMBSTONES_PER_TERMINAL,
)
from redemption.hot import keys
from tests.support.api.client import TongClient, fresh_key
from tests.support.api.event_streams import listening
from tests.support.api.problem import problem_of
from tests.support.engine.http import DINNER, Environment, Json, open_environment, points
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack

CONNECTIONS = 16
CODE_AND_LEEWAY_SECONDS = 600
"""More than a code lives, is fetched ahead, and clocks differ."""


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


async def test_cancels_of_random_keys_from_sixteen_connections_leave_a_bounded_number_of_tombstones(
    environment: Environment,
) -> None:
    terminal, member = environment.terminals["eng-cancels"], await environment.member()
    code, seats = environment.code(member), asyncio.Semaphore(CONNECTIONS)

    async def cancel() -> httpx2.Response:
        async with seats:
            body = {"idempotency_key": fresh_key(), "code": code}
            return await environment.call("/v1/cancel", body, terminal=terminal)

    answers = await asyncio.gather(*(cancel() for _ in range(TOMBSTONES_PER_TERMINAL + 200)))
    assert sum(answer.status_code == 200 for answer in answers) == TOMBSTONES_PER_TERMINAL
    for answer in answers:
        if answer.status_code != 200:
            document = problem_of(answer)
            assert (answer.status_code, document["code"]) == (429, "rate_limited")
            assert document["scope"] == "terminal's cancels of unknown keys"
            assert int(answer.headers["retry-after"]) >= 1
    async with environment.stack.hot() as hot:
        names = [name async for name in hot.scan_iter(match=f"*:key:{terminal.terminal_id}:*", count=100_000)]
        lives = [await hot.ttl(name) for name in names]
    assert len(names) == TOMBSTONES_PER_TERMINAL
    assert min(lives) > CODE_AND_LEEWAY_SECONDS
    assert max(lives) <= TOMBSTONE_SECONDS + CODE_AND_LEEWAY_SECONDS < REDEMPTION_RETENTION_SECONDS
    held = await environment.held(member, points(10), terminal=environment.shop)
    undone = await environment.call("/v1/cancel", {"redemption_id": held["redemption_id"]})
    assert undone.json()["effect"] == "reversed"


async def test_after_its_tombstone_a_key_still_applies_nothing_that_has_no_code(environment: Environment) -> None:
    member, key = await environment.member(), fresh_key()
    terminal = environment.shop
    taken = await environment.taken(member, points(50))
    cancel = {"idempotency_key": key, "code": environment.code(member)}
    assert (await environment.call("/v1/cancel", cancel)).json()["effect"] == "tombstoned"
    async with environment.stack.hot() as hot:
        (name,) = [each async for each in hot.scan_iter(match=f"*:key:{terminal.terminal_id}:{key}", count=100_000)]
        await hot.delete(name)  # its two hours are over
    bill = {"reference": fresh_key(), "amount_minor": 500, "currency": "CNY"}
    async with nothing_changes(environment.stack, member):
        for path, body in (
            ("/v1/accruals", {"member_id": member.member_id, "bill": bill}),
            (f"/v1/redemptions/{taken['redemption_id']}/refund", {"legs": [points(10)]}),
            (f"/v1/redemptions/{taken['redemption_id']}/refund", None),
        ):
            answer = await environment.call(path, body, key)
            assert (answer.status_code, problem_of(answer)["code"]) == (409, "cancelled"), path


async def test_when_the_group_guesses_only_tills_that_guessed_are_stopped(environment: Environment) -> None:
    honest, guesser = environment.terminals["eng-tight"], environment.terminals["eng-strict"]
    member = await environment.member()
    group = keys.group_guesses(0)

    async def verify(code: str, terminal: str) -> str:
        answer = await environment.call(
            "/v1/verify", {"code": code}, fresh_key(), terminal=environment.terminals[terminal]
        )
        return "applied" if answer.status_code == 201 else str(problem_of(answer)["code"])

    async with environment.stack.hot() as hot:
        before, life = await hot.get(group), max(1, await hot.ttl(group))
        try:
            await hot.set(group, GUESSES_IN_GROUP, ex=600)
            assert await verify(environment.guess(), guesser.business) == "code_forged", "its first guess"
            assert await verify(environment.digits(member), guesser.business) == "rate_limited"
            assert await verify(environment.guess(), guesser.business) == "rate_limited"
            assert await verify(environment.code(member), guesser.business) == "applied", "a JWT code cannot be guessed"
            assert await verify(environment.digits(await environment.member()), honest.business) == "applied"
            assert int(await hot.get(group)) == GUESSES_IN_GROUP + 1, "what is refused does not count for the group"
        finally:
            if before is None:
                await hot.delete(group)
            else:
                await hot.set(group, before, ex=life)
    assert await verify(environment.digits(await environment.member()), guesser.business) == "applied", (
        "the bound is as before"
    )


def bearer(member: Member) -> dict[str, str]:
    return {"authorization": f"Bearer {member.access_token}"}


async def test_a_blocked_member_sees_what_is_there_and_gets_no_codes(
    environment: Environment, tong: TongClient
) -> None:
    member = await environment.member()
    assert (await tong.http.get("/v1/me", headers=bearer(member))).json()["status"] == "active"
    async with listening(tong.http, "/v1/me/events", member.access_token) as page:
        await page.until("the stream is ready", lambda it: bool(it.named("ready")))
        held = await environment.held(member, points(40))
        await environment.member_field(member, "status", "blocked")
        for path in ("/v1/me", "/v1/me/benefits", "/v1/me/activity", "/v1/me/devices"):
            answer = await tong.http.get(path, headers=bearer(member))
            assert answer.status_code == 200, path
        assert (await tong.http.get("/v1/me", headers=bearer(member))).json()["status"] == "blocked"
        for path, body in (("/v1/me/codes", {"count": 1}), ("/v1/me/devices", {"name": "phone"})):
            answer = await tong.http.post(path, json=body, headers=bearer(member))
            assert (answer.status_code, problem_of(answer)["code"]) == (409, "member_blocked"), path
        for path in ("/v1/verify", "/v1/prepare", "/v1/accruals"):
            scan: Json = {"code": environment.code(member), **({"bill": DINNER} if path == "/v1/accruals" else {})}
            answer = await environment.call(path, scan, fresh_key())
            assert problem_of(answer)["code"] == "member_blocked", path
        assert (await environment.step(held, "void")).status_code == 200, "what was held goes back"
        await page.until("the open stream tells it", lambda it: any(each["kind"] == "release" for each in it.notices))
    assert json.loads((await tong.http.get("/v1/me", headers=bearer(member))).content)["balance"]["points_held"] == 0
