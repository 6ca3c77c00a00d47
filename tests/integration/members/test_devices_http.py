"""Codes that a member's device makes without network, on a real stack: taken once, everywhere, until it is revoked."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.servers.stack import Member, Stack
from tokens import base64url
from tokens.offline import step_at, write_offline

PATH = "/v1/me/devices"


def bearer(member: Member) -> dict[str, str]:
    return {"authorization": f"Bearer {member.access_token}", "accept-language": "en"}


async def enrol(tong: TongClient, member: Member, **body: Any) -> dict[str, Any]:
    answer = await tong.http.post(PATH, json={"name": "手機", **body}, headers=bearer(member))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def code_of(device: dict[str, Any], steps: int = 0) -> str:
    """What the device shows now, or so many steps later."""
    key = base64url.decode(device["key"])
    assert key is not None
    return write_offline(device["code_prefix"], key, step_at(time.time()) + steps)


async def verify(tong: TongClient, stack: Stack, code: str, key: str | None = None) -> httpx2.Response:
    return await tong.verify(stack.terminals["hotel"], {"code": code}, key or fresh_key())


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_devices_code_is_taken_once_by_whatever_call_and_answered_again_under_its_key(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 500, 2))
    device = await enrol(tong, member)
    code, key = code_of(device), fresh_key()
    assert len(code) <= 160
    till = stack.terminals["hotel"]
    headers = {"authorization": f"Bearer {till.api_key}"}
    prepared = await tong.http.post("/v1/prepare", json={"code": code}, headers=headers)
    assert prepared.json()["member"]["member_id"] == member.member_id
    body = {"code": code, "bill": bill(), "legs": [points_leg(100)]}
    first = await tong.verify(till, body, key)
    assert first.status_code == 201, first.text
    assert refusal(await verify(tong, stack, code)) == (409, "code_used")
    assert refusal(await tong.http.post("/v1/prepare", json={"code": code}, headers=headers)) == (409, "code_used")
    again = await tong.verify(till, body, key)
    assert (again.status_code, again.content) == (201, first.content)
    ahead = code_of(device, 1)
    accrued = {"code": ahead, "bill": bill(10_000, fresh_key())}
    earned = await tong.http.post("/v1/accruals", json=accrued, headers={**headers, "idempotency-key": fresh_key()})
    assert earned.status_code == 201
    assert refusal(await verify(tong, stack, ahead)) == (409, "code_used")
    undone = await tong.http.post("/v1/cancel", json={"idempotency_key": key, "code": code}, headers=headers)
    assert undone.json()["effect"] == "reversed"
    # The codes of the gateway and of another device are codes of their own.
    assert (await verify(tong, stack, await tong.code(member))).status_code == 201
    other = await enrol(tong, member)
    assert (await verify(tong, stack, code_of(other))).status_code == 201


async def test_one_step_raced_at_many_tills_is_taken_by_one(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 500, 2))
    device = await enrol(tong, member)
    code = code_of(device)
    answers = await asyncio.gather(*(verify(tong, stack, code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"code_used"}


@pytest.mark.parametrize(("steps", "found"), [(-10, "code_expired"), (10, "code_expired"), (-4, "code_expired")])
async def test_steps_out_of_time_are_expired(stack: Stack, tong: TongClient, steps: int, found: str) -> None:
    member = await stack.member(("hotel", 500, 2))
    device = await enrol(tong, member)
    assert refusal(await verify(tong, stack, code_of(device, steps))) == (409, found)


async def test_a_device_cannot_speak_for_another(stack: Stack, tong: TongClient) -> None:
    one, other = await stack.members([[("hotel", 500, 2)], [("hotel", 500, 2)]])
    mine, theirs = await enrol(tong, one), await enrol(tong, other)
    for prefix, key in (
        (theirs["code_prefix"], mine["key"]),
        (mine["code_prefix"].replace(f".{one.number}.", f".{other.number}."), mine["key"]),
    ):
        forged = code_of({"code_prefix": prefix, "key": key})
        assert refusal(await verify(tong, stack, forged)) == (409, "code_forged")
    assert (await verify(tong, stack, code_of(mine))).json()["member"]["member_id"] == one.member_id


async def test_a_revoked_device_is_refused_by_every_worker_and_call_and_its_old_answers_stand(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 500, 2))
    device = await enrol(tong, member)
    key, used = fresh_key(), code_of(device)
    earning_key, earned_with = fresh_key(), code_of(device, 1)
    till = {"authorization": f"Bearer {stack.terminals['hotel'].api_key}"}
    first = await verify(tong, stack, used, key)
    accrual = {"code": earned_with, "bill": bill(10_000, fresh_key())}
    earned = await tong.http.post("/v1/accruals", json=accrual, headers={**till, "idempotency-key": earning_key})
    assert (first.status_code, earned.status_code) == (201, 201)
    gone = await tong.http.delete(f"{PATH}/{device['device_id']}", headers=bearer(member))
    assert gone.status_code == 200
    assert gone.json()["revoked_at"] is not None
    assert (await tong.http.delete(f"{PATH}/{device['device_id']}", headers=bearer(member))).json() == gone.json()

    async def refused_here(http: httpx2.AsyncClient) -> bool:
        answer = await http.post("/v1/prepare", json={"code": code_of(device, 2)}, headers=till)
        return bool(answer.json().get("code") == "code_revoked")

    await stack.until_every_worker("refuses the revoked device", refused_here)
    assert refusal(await verify(tong, stack, code_of(device, 2))) == (409, "code_revoked")
    assert refusal(await verify(tong, stack, used)) == (409, "code_used")  # comes first in the order of refusals
    for attempt in ("first", "repeat"):
        refused = await tong.http.post(
            "/v1/accruals",
            json={"code": code_of(device, 2), "bill": bill(10_000)},
            headers={**till, "idempotency-key": f"revoked-{device['device_id']}"},
        )
        assert refusal(refused) == (409, "code_revoked"), attempt
    assert (await verify(tong, stack, used, key)).content == first.content
    again = await tong.http.post("/v1/accruals", json=accrual, headers={**till, "idempotency-key": earning_key})
    assert again.content == earned.content


async def test_devices_are_listed_replaced_and_bounded_and_only_the_members_own(stack: Stack, tong: TongClient) -> None:
    one, other = await stack.members([[("hotel", 500, 2)], [("hotel", 500, 2)]])
    first = await enrol(tong, one, name="first")
    second = await enrol(tong, one, name="second", replaces=first["device_id"])
    for number in range(4):
        await enrol(tong, one, name=f"more {number}")
    full = await tong.http.post(PATH, json={"name": "one too many"}, headers=bearer(one))
    assert refusal(full) == (409, "devices_exhausted")
    listed = (await tong.http.get(PATH, headers=bearer(one))).json()["devices"]
    assert [each["name"] for each in listed] == ["more 3", "more 2", "more 1", "more 0", "second", "first"]
    assert [each["revoked_at"] is None for each in listed] == [True] * 5 + [False]
    assert all(each["key_current"] for each in listed)
    assert "key" not in listed[0]
    assert (await tong.http.get(PATH, headers=bearer(other))).json() == {"devices": []}
    foreign = await tong.http.delete(f"{PATH}/{second['device_id']}", headers=bearer(other))
    assert refusal(foreign) == (404, "not_found")
    taken = await tong.http.post(PATH, json={"name": "x", "replaces": second["device_id"]}, headers=bearer(other))
    assert refusal(taken) == (404, "not_found")
    for body in (
        {},
        {"name": ""},
        {"name": "x" * 41},
        {"name": "x", "replaces": "dvc_1"},
        {"name": "a\nb"},
        {"name": "\u202eenohp"},
        {"name": "a\x85b"},
    ):
        answer = await tong.http.post(PATH, json=body, headers=bearer(other))
        assert refusal(answer) == (400, "malformed"), body
    assert (await tong.http.get(PATH, headers=bearer(other))).json() == {"devices": []}
    await asyncio.gather(*(tong.http.post(PATH, json={"name": "raced"}, headers=bearer(other)) for _ in range(12)))
    raced = (await tong.http.get(PATH, headers=bearer(other))).json()["devices"]
    assert len(raced) == 5
