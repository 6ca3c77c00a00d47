"""/v1/ops on a real stack of two workers: figures add up, are those of /metrics, and are told to whom they concern.

On a stack of its own: a worker that another test runs in its own process reports to the shared stack's figures too, and
its counters are in no /metrics of the stack.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from gateway.administration.keys import create_key
from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.api.event_streams import listening
from tests.support.servers.stack import Stack, running_stack
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack(workers=2) as own:
        yield own


@pytest.fixture(scope="module")
async def tong(stack: Stack) -> AsyncIterator[TongClient]:
    async with client_of(stack) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "accept-language": "en"}


async def ask(tong: TongClient, stack: Stack, path: str, key: str | None = None) -> dict[str, Any]:
    answer = await tong.http.get(path, headers=bearer(key or stack.demo["admin_api_key"]))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def outcomes(tong: TongClient) -> Counter[str]:
    """tong_verify_total by outcome, over all workers."""
    prefix = 'tong_verify_total{outcome="'
    lines = (await tong.http.get("/metrics")).text.splitlines()
    found = Counter(
        {
            line[len(prefix) :].partition('"')[0]: int(float(line.rpartition(" ")[2]))
            for line in lines
            if line.startswith(prefix)
        }
    )
    return +found


async def until(
    tong: TongClient, stack: Stack, holds: Callable[[dict[str, Any]], bool], key: str | None = None
) -> dict[str, Any]:
    """Return the first snapshot that the condition accepts."""

    async def accepted() -> dict[str, Any] | None:
        found = await ask(tong, stack, "/v1/ops/snapshot", key)
        return found if holds(found) else None

    return await wait_until("the snapshot says so", accepted)


async def admin_key(stack: Stack, tong: TongClient, business: str | None = None, role: str = "operations") -> str:
    """A fresh key that every worker knows."""
    key = await create_key(stack.settings, None, (role,), business)

    async def known(http: Any) -> bool:
        return bool((await http.get("/v1/ops/snapshot", headers=bearer(key))).status_code != 401)

    await stack.until_every_worker("knows the key of operations", known)
    return key


async def test_figures_add_up_over_the_workers_and_are_those_of_metrics(stack: Stack, tong: TongClient) -> None:
    shop = await stack.terminal("figures")
    members = await stack.members([[("hotel", 500, 2)]] * 6)
    for position in range(len(stack.workers)):
        async with stack.only_worker(position):
            for member in members[3 * position : 3 * position + 3]:
                async with httpx2.AsyncClient(base_url=stack.base_url, timeout=30.0) as http:
                    alone = TongClient(http)
                    code = await alone.code(member)
                    assert (await alone.verify(shop, {"code": code, "bill": bill()}, fresh_key())).status_code == 201
                    assert (await alone.verify(shop, {"code": code}, fresh_key())).status_code == 409
    await tong.verify(shop, {"code": "hello"}, fresh_key())

    async def equal() -> dict[str, Any] | None:
        found, counted = await ask(tong, stack, "/v1/ops/snapshot"), await outcomes(tong)
        told = found["redemptions"]
        reasons = {each["code"]: each["total"] for each in found["refused_by_reason"]}
        are_equal = (
            told["accepted"] == counted["applied"]
            and told["replayed"] == counted["replayed"]
            and reasons == {code: count for code, count in counted.items() if code not in ("applied", "replayed")}
        )
        return found if are_equal else None

    # A worker tells the others' figures and /metrics what it counted a moment later.
    found = await wait_until("the snapshot and the metrics agree", equal)
    (ours,) = [each for each in found["by_business"] if each["business_id"] == "figures"]
    assert (ours["accepted"], ours["refused"]) == (6, 7)
    assert (ours["outlets"][0]["outlet_id"], ours["outlets"][0]["accepted"]) == (shop.outlet, 6)
    assert sum(each["accepted"] for each in found["by_business"]) == found["redemptions"]["accepted"]
    assert found["workers"]["alive"] == len(stack.workers)
    assert {each["pid"] for each in found["workers"]["list"]} == set(stack.workers)
    assert found["latency"]["p50_ms"] <= found["latency"]["p95_ms"] <= found["latency"]["p99_ms"]
    assert found["hot_store"]["memory_bytes"] > 0
    assert found["ledger"]["backlog_entries"] is not None
    exported = (await tong.http.get("/metrics")).text
    assert 'tong_outlet_verify_total{business="figures",outlet="out_figures",result="accepted"} 6.0' in exported
    series = await ask(tong, stack, "/v1/ops/series?minutes=2")
    accepted = series["columns"].index("accepted")
    seconds = [row[0] for row in series["rows"]]
    assert seconds == sorted(set(seconds))
    assert sum(row[accepted] for row in series["rows"]) >= 6


async def test_a_key_of_one_business_is_told_of_that_business_only(stack: Stack, tong: TongClient) -> None:
    one, other = await stack.terminal("opsone"), await stack.terminal("opsother")
    member = await stack.member(("hotel", 500, 2))
    key = await admin_key(stack, tong, "opsone")
    for till, count in ((one, 2), (other, 3)):
        for _ in range(count):
            assert (await tong.verify(till, {"code": await tong.code(member)}, fresh_key())).status_code == 201
        answer = await tong.verify(till, {"code": await tong.code(member), "legs": [points_leg(10**6)]}, fresh_key())
        assert answer.json()["code"] == "points_insufficient"
    found = await until(tong, stack, lambda it: it["redemptions"]["refused"] == 1, key)
    assert found["scope"] == "opsone"
    assert found["redemptions"] == {
        **found["redemptions"],
        "accepted": 2,
        "replayed": 0,
        "refused": 1,
        "unknown": None,
    }
    assert [each["business_id"] for each in found["by_business"]] == ["opsone"]
    assert [each["code"] for each in found["refused_by_reason"]] == ["points_insufficient"]
    refusals = (await ask(tong, stack, "/v1/ops/refusals", key))["refusals"]
    assert {each["business"]["business_id"] for each in refusals} == {"opsone"}
    assert of_till(refusals, one.terminal_id) == {("/v1/verify", "points_insufficient")}
    series = await ask(tong, stack, "/v1/ops/series?minutes=5", key)
    counted = [sum(row[series["columns"].index(name)] for row in series["rows"]) for name in ("accepted", "refused")]
    assert counted == [2, 1]
    async with listening(tong.http, "/v1/ops/events", key) as page:
        assert page.named("snapshot")[0].data["scope"] == "opsone"
        await tong.verify(other, {"code": "nothing"}, fresh_key())
        await tong.verify(one, {"code": "nothing"}, fresh_key())
        await page.until("the business's refusal is told", lambda it: it.named("refusals"))
        told = [each for found in page.named("refusals") for each in found.data["refusals"]]
        assert {each["terminal_id"] for each in told} == {one.terminal_id}


def of_till(told: list[dict[str, Any]], terminal_id: str) -> set[tuple[str, str]]:
    """Path and reason, without the look-up by which the fixture finds out that workers know a till."""
    looked_up = "/v1/redemptions/{redemption_id}"
    return {
        (each["path"], each["code"])
        for each in told
        if each["terminal_id"] == terminal_id and each["path"] != looked_up
    }


async def test_the_last_refusals_tell_reason_and_place_and_no_member_or_code(stack: Stack, tong: TongClient) -> None:
    till = await stack.terminal("lastrefused")
    member = await stack.member(("hotel", 500, 2))
    key = {"authorization": f"Bearer {till.api_key}"}
    async with listening(tong.http, "/v1/ops/events", stack.demo["admin_api_key"]) as page:
        used = await tong.code(member)
        assert (await tong.verify(till, {"code": used}, fresh_key())).status_code == 201
        await tong.verify(till, {"code": used}, fresh_key())
        await tong.http.post("/v1/prepare", json={"code": used}, headers=key)
        await tong.http.post("/v1/redemptions/rdm_000000000000000000/void", json={}, headers=key)

        def ours() -> set[tuple[str, str]]:
            told = [each for found in page.named("refusals") for each in found.data["refusals"]]
            return of_till(told, till.terminal_id)

        wanted = {
            ("/v1/verify", "code_used"),
            ("/v1/prepare", "code_used"),
            ("/v1/redemptions/{redemption_id}/void", "not_found"),
        }
        await page.until("all of them are told", lambda _: ours() == wanted)
    listed = [
        each
        for each in (await ask(tong, stack, "/v1/ops/refusals?limit=200"))["refusals"]
        if each["terminal_id"] == till.terminal_id
    ]
    assert of_till(listed, till.terminal_id) == wanted
    assert listed[0]["outlet"] == {"outlet_id": till.outlet, "name": till.outlet}
    async with stack.hot() as hot:
        kept = b"".join(fields[b"j"] for _, fields in await hot.xrange("ops:refusals"))
    assert member.member_id.encode() not in kept
    assert used.encode() not in kept


async def test_figures_are_for_operations_and_a_revoked_key_ends_its_stream(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 500, 2))
    settlement = await admin_key(stack, tong, role="settlement")
    paths = ("/v1/ops/snapshot", "/v1/ops/series", "/v1/ops/refusals", "/v1/ops/events")
    for path in paths:
        for key, status in ((settlement, 403), (stack.terminals["hotel"].api_key, 403), (member.access_token, 401)):
            assert (await tong.http.get(path, headers=bearer(key))).status_code == status, path
        assert (await tong.http.get(path)).status_code == 401
    for path in (
        "/v1/ops/series?minutes=61",
        "/v1/ops/series?minutes=0",
        "/v1/ops/refusals?limit=201",
        "/v1/ops/snapshot?a=1",
    ):
        answer = await tong.http.get(path, headers=bearer(stack.demo["admin_api_key"]))
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), path
    key = await admin_key(stack, tong)
    async with listening(tong.http, "/v1/ops/events", key) as page:
        async with stack.ledger() as ledger:
            await ledger.execute("UPDATE api_key SET revoked_at = now() WHERE key_id = $1", key.split("_")[3])
        await page.until("the stream ends", lambda it: it.named("end") and it.over)
        assert page.named("end")[0].data == {"reason": "revoked"}
