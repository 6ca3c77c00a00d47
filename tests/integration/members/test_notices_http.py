"""GET /v1/me/events and /v1/me/activity on a real stack: the member hears of what happens, whole, once, and alone."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest

from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.api.event_streams import Listening, listening
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until

PATH = "/v1/me/events"
StackMaker = Callable[..., AbstractAsyncContextManager[Stack]]


def bearer(member: Member, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {member.access_token}", "accept-language": "en", **headers}


async def scan(tong: TongClient, stack: Stack, member: Member, points: int, **more: Any) -> dict[str, Any]:
    """A redemption of so many points at the hotel."""
    body = {"code": await tong.code(member), "bill": bill(), "legs": [points_leg(points)], **more}
    answer = await tong.verify(stack.terminals["hotel"], body, fresh_key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def step(tong: TongClient, stack: Stack, redemption: dict[str, Any], verb: str, **body: Any) -> None:
    key = {"authorization": f"Bearer {stack.terminals['hotel'].api_key}", "idempotency-key": fresh_key()}
    answer = await tong.http.post(f"/v1/redemptions/{redemption['redemption_id']}/{verb}", json=body, headers=key)
    assert answer.status_code == 200, answer.text


async def activity(tong: TongClient, member: Member, query: str = "") -> dict[str, Any]:
    answer = await tong.http.get(f"/v1/me/activity{query}", headers=bearer(member))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kinds(page: Listening) -> list[str]:
    return [each["kind"] for each in page.notices]


async def test_a_redemption_is_told_with_place_and_balance_and_which_code_it_used(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 500, 2), ("mall", 300, 5))
    async with listening(tong.http, PATH, member.access_token) as page:
        assert page.named("ready")[0].data["balance"]["points"] == 800
        code = (await tong.codes(member))[0]
        answer = await tong.verify(
            stack.terminals["hotel"], {"code": code.digits, "bill": bill(), "legs": [points_leg(600)]}, fresh_key()
        )
        assert answer.status_code == 201
        await page.until("the redemption is told", lambda it: it.notices)
        (told,) = page.notices
    assert told["kind"] == "redeem"
    assert told["subject_id"] == answer.json()["redemption_id"]
    assert told["at"] == answer.json()["created_at"]
    assert told["business"] == {"business_id": "hotel", "name": "Tong Hotel"}
    assert told["outlet"] == {"outlet_id": "out_hotel_lobby", "name": "Front desk"}
    assert told["code"] == {"form": "scan", "expires_at": code.expires_at}
    assert told["bill"]["payable_minor"] == answer.json()["bill"]["payable_minor"]
    assert [lot["amount"] for lot in told["changes"][0]["lots"]] == [500, 100]
    assert (told["changes"][0]["available"], told["changes"][0]["held"]) == (-600, 0)
    assert told["balance"]["points"] == 200
    assert "600 points" in told["explanation"]


async def test_every_step_is_told_in_order_and_the_history_tells_the_same(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 2))
    till = {"authorization": f"Bearer {stack.terminals['hotel'].api_key}"}
    async with listening(tong.http, PATH, member.access_token) as page:
        held = await scan(tong, stack, member, 400, capture=False, hold_seconds=600)
        await step(tong, stack, held, "capture", legs=[points_leg(300)])
        await step(tong, stack, held, "refund", legs=[points_leg(50)])
        voided = await scan(tong, stack, member, 10, capture=False)
        await step(tong, stack, voided, "void")
        cancelled = await scan(tong, stack, member, 20)
        undone = await tong.http.post("/v1/cancel", json={"redemption_id": cancelled["redemption_id"]}, headers=till)
        assert undone.status_code == 200
        earned = await tong.http.post(
            "/v1/accruals",
            json={"member_id": member.member_id, "bill": bill(10_000, fresh_key())},
            headers={**till, "idempotency-key": fresh_key()},
        )
        assert earned.status_code == 201
        identified = await tong.verify(stack.terminals["hotel"], {"code": await tong.code(member)}, fresh_key())
        assert identified.status_code == 201
        expected = ["hold", "capture", "refund", "hold", "release", "redeem", "reverse", "accrue", "identify"]
        await page.until("all of it is told", lambda it: len(it.notices) >= len(expected))
        assert kinds(page) == expected
        assert [each["event_id"] for each in page.notices] == [each.identifier for each in page.named("notice")]
        told = page.notices
    assert [each["reason"] for each in told if each["kind"] in ("release", "reverse")] == ["voided", "cancelled"]
    newest = told[-1]["event_id"]
    await _until_written(tong, member, newest)
    history = (await activity(tong, member))["activity"]
    assert [each["kind"] for each in history] == [*reversed(expected), "issue"]
    for live, kept in zip(reversed(told), history, strict=False):
        assert {name: live[name] for name in live if name not in ("balance", "hold_expires_at")} == {
            name: kept[name] for name in kept if name not in ("status", "given_back", "hold_expires_at")
        }
    # A notice tells when the hold would have ended; the history only of what is still held.
    assert [each["hold_expires_at"] for each in told if each["kind"] == "hold"] == [
        held["hold_expires_at"],
        voided["hold_expires_at"],
    ]
    assert {each["hold_expires_at"] for each in told if each["kind"] != "hold"} == {None}
    assert {each["hold_expires_at"] for each in history} == {None}
    by_id = {each["subject_id"]: each for each in history if each["status"] is not None}
    assert by_id[held["redemption_id"]]["status"] == "partially_refunded"
    assert by_id[held["redemption_id"]]["given_back"] == [{"kind": "points", "amount": 150}]
    assert by_id[voided["redemption_id"]]["status"] == "voided"
    assert by_id[cancelled["redemption_id"]]["status"] == "reversed"
    assert by_id[earned.json()["accrual_id"]]["status"] == "accrued"
    assert by_id[identified.json()["redemption_id"]]["status"] == "identified"


async def _until_written(tong: TongClient, member: Member, event_id: str) -> None:
    """The ledger is a moment behind."""
    for _ in range(600):
        found = await activity(tong, member, "?limit=1")
        if found["activity"] and found["activity"][0]["event_id"] == event_id:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the history does not come up to the notices")


async def test_the_history_is_read_page_by_page_without_loss_or_double(stack: Stack, tong: TongClient) -> None:
    member, other = await stack.members([[("hotel", 500, 2)], [("hotel", 500, 2)]])
    last = ""
    for points in (1, 2, 3, 4, 5):
        await scan(tong, stack, other, points)
        last = (await scan(tong, stack, member, points))["created_at"]
    await wait_until_activity(tong, member, lambda found: found["activity"][0]["at"] == last)
    whole = (await activity(tong, member, "?limit=100"))["activity"]
    assert [each["legs"][0]["points"] for each in whole[:-1]] == [5, 4, 3, 2, 1]
    paged, query = [], "?limit=2"
    while True:
        page = await activity(tong, member, query)
        assert len(page["activity"]) <= 2
        paged += page["activity"]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert paged == whole
    for query in ("?limit=0", "?limit=101", "?limit=x", "?cursor=%00", "?cursor=MTIz", "?page=1"):
        answer = await tong.http.get(f"/v1/me/activity{query}", headers=bearer(member))
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), query


async def wait_until_activity(
    tong: TongClient, member: Member, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    for _ in range(600):
        found = await activity(tong, member)
        if found["activity"] and holds(found):  # the ledger is a moment behind
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("the history did not come to it")


async def test_nobody_hears_of_another_member_also_of_the_same_bucket(stack: Stack, tong: TongClient) -> None:
    members = await stack.members([[("hotel", 100, 2)]] * 65)
    one, neighbour = members[0], members[64]
    assert one.bucket == neighbour.bucket
    async with (
        listening(tong.http, PATH, one.access_token) as page,
        listening(tong.http, PATH, neighbour.access_token) as other,
    ):
        mine = await scan(tong, stack, one, 1)
        theirs = await scan(tong, stack, neighbour, 2)
        await other.until("the neighbour hears of its own", lambda it: it.notices)
        await page.until("so does the one", lambda it: it.notices)
        again = await scan(tong, stack, one, 3)
        await page.until("and of the next", lambda it: len(it.notices) == 2)
        assert [each["subject_id"] for each in page.notices] == [mine["redemption_id"], again["redemption_id"]]
        assert [each["subject_id"] for each in other.notices] == [theirs["redemption_id"]]


async def test_a_page_that_comes_back_hears_what_it_missed_once_and_streams_end_with_their_worker(
    private_stack: StackMaker,
) -> None:
    async with private_stack(workers=1) as own, client_of(own) as tong:
        member = await own.member(("hotel", 1_000, 2))
        heard: list[str] = []
        async with listening(tong.http, PATH, member.access_token) as page:
            heard_first = (await scan(tong, own, member, 1))["redemption_id"]
            await page.until("the first is told", lambda it: it.notices)
            since = page.last_id
            stopped = own.pid("gateway")
            os.kill(stopped, signal.SIGKILL)
            await page.until("the stream is over", lambda it: it.over)
        await wait_until("another worker runs", lambda: own.pid("gateway") != stopped, seconds=60)
        made = [heard_first]
        async with client_of(own) as again:
            for points in range(2, 6):
                made.append((await scan(again, own, member, points))["redemption_id"])
                if points == 3:  # what is old enough comes from PostgreSQL, what is not from the stream
                    await wait_until_activity(
                        again, member, lambda found: found["activity"][0]["subject_id"] == made[-1]
                    )
            async with listening(again.http, PATH, member.access_token, {"last-event-id": since}) as page:
                made.append((await scan(again, own, member, 6))["redemption_id"])
                await page.until("what came since is told too", lambda it: len(it.notices) >= len(made) - 1)
                heard = [each["subject_id"] for each in page.notices]
                assert [each.get("missed", False) for each in page.notices] == [True] * 4 + [False]
                since = page.last_id
            assert heard == made[1:]
            async with listening(again.http, PATH, member.access_token, {"last-event-id": since}) as page:
                assert page.notices == []
                first = page.named("ready")[0].identifier
                assert first is not None
            async with (
                listening(again.http, PATH, member.access_token, {"last-event-id": "0-0"}) as page,
                listening(again.http, "/v1/ops/events", own.demo["admin_api_key"]) as figures,
            ):
                assert [each["subject_id"] for each in page.notices][1:] == made
                own.process.terminate()
                await page.until("the page is told that its worker stops", lambda it: it.named("end") and it.over)
                await figures.until("operations are told too", lambda it: it.named("end") and it.over)
                assert page.named("end")[0].data == figures.named("end")[0].data == {"reason": "draining"}
        await own.process.wait()
        assert "ASGI callable returned without completing" not in own.said
        assert "unforeseen fault" not in own.said


async def test_a_stream_ends_with_the_access_token(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 2))
    async with listening(tong.http, PATH, stack.access_token(member.number, seconds=3)) as page:
        await page.until("the token is over", lambda it: it.named("end") and it.over)
        assert page.named("end")[0].data == {"reason": "token_expired"}


async def test_streams_of_one_member_are_bounded_and_a_closed_one_makes_room(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 2))
    async with stack.only_worker(0), AsyncExitStack() as open_pages, client_of(stack) as fresh:
        for _ in range(4):
            await open_pages.enter_async_context(listening(fresh.http, PATH, member.access_token))
        refused = await fresh.http.get(PATH, headers=bearer(member))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        await open_pages.aclose()
        for _ in range(600):  # the worker hears of a closed connection a moment later
            async with fresh.http.stream("GET", PATH, headers=bearer(member)) as answer:
                if answer.status_code == 200:
                    break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("no seat became free")


@pytest.mark.parametrize("given", ["42", "x", "-", "1-2-3", "99999999999999999999-0", "0-0, 1-0", "%0a", "9" * 15_000])
async def test_an_event_id_that_no_stream_gave_gets_a_reset_and_then_what_happens(
    stack: Stack, tong: TongClient, given: str
) -> None:
    member = await stack.member(("hotel", 100, 2))
    known = {"last-event-id": given}
    async with (
        listening(tong.http, PATH, member.access_token, known) as page,
        listening(tong.http, "/v1/ops/events", stack.demo["admin_api_key"], known) as figures,
    ):
        redemption = (await scan(tong, stack, member, 3))["redemption_id"]
        await page.until("what happens is told", lambda it: it.notices)
        assert [each.name for each in page.events[:3]] == ["reset", "ready", "notice"]
        assert [each["subject_id"] for each in page.notices] == [redemption]
        for stream in (page, figures):
            assert stream.events[0].name == "reset"
            assert stream.events[0].data == {"reason": "unknown_event_id"}


async def test_what_is_no_stream_is_refused_before_it_begins(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 2))
    assert (await tong.http.get(PATH)).status_code == 401
    till = {"authorization": f"Bearer {stack.terminals['hotel'].api_key}"}
    assert (await tong.http.get(PATH, headers=till)).status_code == 401
    assert (await tong.http.head(PATH, headers=bearer(member))).status_code == 200
