"""Every refusal that a scan can meet so far, through HTTP: what it says, which goes first, and that nothing changes.

The reasons are in tests/support/engine/defects.py.
"""

import asyncio
import dataclasses
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from redemption.domain.limits import VERIFY_IN_FLIGHT_MAX
from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.engine.defects import DEFECTS, NOT_TOGETHER, Environment, Scan, environment_of, spoilt
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Stack, Terminal
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await environment_of(stack, tong)


PAIRS = [pair for pair in itertools.combinations(DEFECTS, 2) if pair not in NOT_TOGETHER]


@pytest.mark.parametrize("reason", DEFECTS)
async def test_a_refusal_is_told_whole_and_changes_nothing(environment: Environment, reason: str) -> None:
    scan = spoilt(environment, reason)
    body = await scan.prepare()
    async with nothing_changes(environment.stack, scan.member):
        answer = await scan.send(body)
    document = problem_of(answer)
    status, retry, _ = DEFECTS[reason]
    assert (document["code"], answer.status_code, document["retry"]) == (reason, status, retry)
    assert document["outcome"] == "not_applied"
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
async def test_of_two_reasons_the_first_of_the_table_is_given(environment: Environment, pair: tuple[str, str]) -> None:
    scan = spoilt(environment, *pair)
    body = await scan.prepare()
    async with nothing_changes(environment.stack, scan.member):
        answer = await scan.send(body)
    assert problem_of(answer)["code"] == pair[0]


@pytest.mark.parametrize("reason", DEFECTS)
async def test_the_cashier_reads_the_hint_in_the_tills_language(environment: Environment, reason: str) -> None:
    scan = spoilt(environment, reason)
    body = await scan.prepare()
    await scan.send(body)
    hints = {}
    for language in ("zh-Hant", "zh-Hans", "en", "zh-TW", "zh-CN", "en-GB;q=0.4, zh-HK", "fr, en;q=0.1", "de"):
        document = problem_of(await scan.send(body, **{"accept-language": language}))
        assert document["code"] == reason
        hints[language] = document["operator_hint"]
    assert len({hints["zh-Hant"], hints["zh-Hans"], hints["en"]}) >= 2
    assert hints["en"].isascii()
    assert not hints["zh-Hant"].isascii()
    assert hints["zh-TW"] == hints["en-GB;q=0.4, zh-HK"] == hints["zh-Hant"]
    assert hints["zh-CN"] == hints["zh-Hans"]
    assert hints["fr, en;q=0.1"] == hints["de"] == hints["en"]


async def test_a_refusal_of_points_says_how_many_and_of_which_leg(environment: Environment) -> None:
    scan = spoilt(environment, "points_insufficient")
    document = problem_of(await scan.send(await scan.prepare()))
    assert (document["leg"], document["detail"]) == (0, "200 points asked, 30 available")


DECIDED_BY_STATE: dict[str, Callable[[Scan], Awaitable[None]]] = {}
"""Refusals whose reason can go away while the code is still good, and how it goes."""


async def unrevoke(scan: Scan) -> None:
    await scan.member_field("codes_valid_from", None)


async def unblock(scan: Scan) -> None:
    await scan.member_field("status", "active")


async def accept(scan: Scan) -> None:
    stack = scan.environment.stack
    async with stack.ledger() as connection:
        await connection.execute(
            "UPDATE business SET rules = $2::text::jsonb WHERE business_id = $1", scan.terminal.business, "{}"
        )
    member, amounts = scan.environment.rich.pop(), itertools.count(1_000)

    async def takes_points(http: httpx2.AsyncClient) -> bool:
        code = stack.aged_code(member, 0).code
        answer = await TongClient(http).verify(
            scan.terminal, {"code": code, "bill": bill(next(amounts)), "legs": [points_leg(1)]}, fresh_key()
        )
        return answer.status_code == 201

    await stack.until_every_worker("the business takes any number of points", takes_points)


DECIDED_BY_STATE |= {"code_revoked": unrevoke, "member_blocked": unblock, "leg_not_allowed_here": accept}


@pytest.mark.parametrize("reason", DECIDED_BY_STATE)
async def test_a_refused_key_stays_refused_after_the_reason_has_gone(environment: Environment, reason: str) -> None:
    environment = dataclasses.replace(
        environment, closed=await environment.stack.terminal("reopened", rules={"accepted": False})
    )
    scan = spoilt(environment, reason)
    body = await scan.prepare()
    first = await scan.send(body)
    assert first.json()["code"] == reason
    await DECIDED_BY_STATE[reason](scan)
    async with nothing_changes(environment.stack, scan.member):
        again = await scan.send(body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    scan.key = fresh_key()
    assert (await scan.send(body)).status_code == 201, "control: the reason has gone, and the code is still good"


async def test_a_key_refused_for_want_of_points_stays_refused_when_points_come(environment: Environment) -> None:
    scan = spoilt(environment, "points_insufficient")
    body = await scan.prepare()
    first = await scan.send(body)
    earned = await environment.tong.http.post(
        "/v1/accruals",
        json={"code": environment.stack.aged_code(scan.member, 4).code, "bill": bill(100_000, fresh_key())},
        headers={"authorization": f"Bearer {scan.terminal.api_key}", "idempotency-key": fresh_key()},
    )
    assert earned.status_code == 201, earned.text
    assert await environment.tong.points(scan.member) == scan.member.points + earned.json()["points"] >= scan.points
    again = await scan.send(body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    scan.key = fresh_key()
    assert (await scan.send(body)).status_code == 201


async def test_a_key_used_for_another_body_still_answers_the_first_one(environment: Environment) -> None:
    scan = spoilt(environment)
    body = await scan.prepare()
    first = await scan.send(body)
    assert first.status_code == 201
    async with nothing_changes(environment.stack, scan.member):
        for other in ({**body, "legs": []}, {**body, "bill": bill(25_801)}, {**body, "code": f" {body['code']}"}):
            assert problem_of(await scan.send(other))["code"] == "idempotency_key_reused"
        again = await scan.send(body)
    assert (again.status_code, again.content) == (201, first.content)


@pytest.mark.parametrize("path", ["/v", "/v1", "/v1/verifyy", "/v1/verify/", "/v2/verify", "/v1/redemption", "/v1//me"])
async def test_a_path_that_is_none_is_not_found(tong: TongClient, path: str) -> None:
    answer = await tong.http.post(path, content=b"{}", headers={"content-type": "application/json"})
    assert problem_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/verify", "POST"),
        ("PUT", "/v1/verify", "POST"),
        ("DELETE", "/v1/redemptions/rdm_1", "GET"),
        ("GET", "/v1/me/codes", "POST"),
        ("POST", "/v1/me", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
async def test_a_method_that_is_not_taken_is_told_which_is(
    tong: TongClient, method: str, path: str, allowed: str
) -> None:
    answer = await tong.http.request(method, path)
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method_not_allowed")
    assert allowed in answer.headers["allow"].split(", ")


async def test_a_scan_that_found_no_answer_is_unknown_and_the_same_key_resolves_it(
    environment: Environment, stack: Stack
) -> None:
    scan = spoilt(environment)
    body = await scan.prepare()
    valkey = stack.pid("valkey")
    os.kill(valkey, signal.SIGSTOP)
    try:
        document = problem_of(await scan.send(body))
        assert (document["code"], document["status"], document["outcome"]) == ("unavailable", 503, "unknown")

        async def not_unknown() -> dict[str, Any] | None:
            late = spoilt(environment)
            found = problem_of(await late.send(await late.prepare()))
            return None if found["outcome"] == "unknown" else found

        document = await wait_until("a call that cannot be sent is not unknown", not_unknown, seconds=10)
        assert (document["code"], document["retry"]) == ("unavailable", "same_key")
    finally:
        os.kill(valkey, signal.SIGCONT)

    async def available() -> httpx2.Response | None:
        found = await scan.send(body)
        return None if found.status_code == 503 else found

    answer = await wait_until("the hot store answers again", available, seconds=10)
    assert answer.status_code == 201, answer.text
    assert await environment.tong.points(scan.member) == scan.member.points - 200


async def until_taken(tong: TongClient, terminal: Terminal, body: dict[str, Any], key: str) -> httpx2.Response:
    """Asks again with the same key as long as the gateway sheds, as a till does."""

    async def taken() -> httpx2.Response | None:
        found = await tong.verify(terminal, body, key)
        if found.status_code != 503:
            return found
        assert found.headers["retry-after"] == "1"
        await asyncio.sleep(0.2)
        return None

    answer = await wait_until("the scan is not shed", taken, seconds=60)
    assert answer.status_code == 201, answer.text
    return answer


def _scan_bytes(terminal: Terminal, body: dict[str, Any], key: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/verify HTTP/1.1\r\nHost: tong\r\nAuthorization: Bearer {terminal.api_key}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _answer_of(reader: asyncio.StreamReader) -> httpx2.Response:
    async with asyncio.timeout(60):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        length = next(int(value) for name, value in headers.items() if name.lower() == "content-length")
        return httpx2.Response(int(status.split(" ")[1]), headers=headers, content=await reader.readexactly(length))


async def test_more_scans_than_can_be_decided_in_time_are_refused_early_and_apply_nothing(stack: Stack) -> None:
    member, wanted = await stack.member(("hotel", 100_000, 2)), VERIFY_IN_FLIGHT_MAX + 100
    issuer, slot = stack.code_issuer(), int(time.time()) // 2
    bodies = [
        {"code": issuer.issue(member.number, slot).code, "bill": bill(1_000 + n), "legs": [points_leg(7)]}
        for n in range(wanted)
    ]
    keys, terminal, valkey = [fresh_key() for _ in bodies], stack.terminals["park"], stack.pid("valkey")
    address = httpx2.URL(stack.base_url)
    async with stack.only_worker(0):
        lines = [await asyncio.open_connection(address.host, address.port) for _ in bodies]
        os.kill(valkey, signal.SIGSTOP)
        try:
            # All at once, however busy the machine is: over open connections, as bytes made beforehand.
            for (_, writer), body, key in zip(lines, bodies, keys, strict=True):
                writer.write(_scan_bytes(terminal, body, key))
            answers = await asyncio.gather(*(_answer_of(reader) for reader, _ in lines))
        finally:
            os.kill(valkey, signal.SIGCONT)
            for _, writer in lines:
                writer.close()
    documents = [problem_of(answer) for answer in answers]
    refused = [n for n, document in enumerate(documents) if document["code"] == "overloaded"]
    assert refused, f"nothing was refused early: {Counter(document['code'] for document in documents)}"
    assert all(documents[n]["outcome"] == "not_applied" for n in refused)
    assert all(d["code"] == "unavailable" for n, d in enumerate(documents) if n not in set(refused))
    async with client_of(stack) as tong, stack.hot() as hot:

        async def ready() -> bool:
            return bool((await tong.http.get("/readyz")).status_code == 200)

        await wait_until("the gateway is ready", ready)
        for n in refused:
            record = f"*:key:{terminal.terminal_id}:{keys[n]}"
            assert not [name async for name in hot.scan_iter(match=record, count=100_000)][:1]
            if n >= refused[0] + 3:
                break
        settled = await asyncio.gather(
            *(until_taken(tong, terminal, body, key) for body, key in zip(bodies, keys, strict=True))
        )
        assert len({answer.json()["redemption_id"] for answer in settled}) == wanted
        assert await tong.points(member) == 100_000 - 7 * wanted
