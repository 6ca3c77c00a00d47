"""A load takes effect within a second in every worker of a running gateway, seen through HTTP."""

import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from gateway.administration.group import export_group, load_group_file
from gateway.administration.keys import create_key
from gateway.development.demo.access import demo_members_and_terminals
from redemption.configuration.group_file import read_group
from redemption.configuration.load import LoadOptions
from redemption.credentials import UnknownTerminal
from tests.support.api.client import TongClient, bill, fresh_key
from tests.support.servers.stack import GROUP_FILE, Stack, Terminal

FOLLOWED_SECONDS = 1.0
"""A worker polls four times as often (redemption/configuration/current.py)."""

Json = dict[str, Any]
OWN: Json = {
    "id": "kiosk",
    "name": {"en": "Kiosk"},
    "currency": "CNY",
    "outlets": [
        {
            "id": "out_kiosk",
            "name": {"en": "Kiosk"},
            "terminals": [{"id": "trm_kiosk_1", "name": "1"}, {"id": "trm_kiosk_2", "name": "2"}],
        }
    ],
}
BENEFIT: Json = {
    "name": {"en": "One off"},
    "granted_by": "kiosk",
    "discount": {"kind": "amount_off", "amount_minor": 100},
    "businesses": ["kiosk"],
}


async def whole_group(stack: Stack, tmp_path: Path, *, prune: bool, **own: Any) -> None:
    """Loads all that is in force, with the kiosk as given: what other tests of this stack loaded stays."""
    group = await export_group(stack.settings)
    group["businesses"] = [each for each in group["businesses"] if each["id"] != "kiosk"] + own["businesses"]
    group["benefits"].pop("kiosk-off", None)
    group["benefits"] |= own["benefits"]
    group["members"] = own.get("members", [])
    path = tmp_path / "whole.yaml"
    path.write_text(yaml.safe_dump(group, allow_unicode=True))
    await load_group_file(stack.settings, path, options=LoadOptions(prune=prune))


async def test_a_retired_terminal_and_benefit_are_gone_within_a_second_and_come_back(
    stack: Stack, tong: TongClient, tmp_path: Path
) -> None:
    await whole_group(stack, tmp_path, prune=False, businesses=[OWN], benefits={"kiosk-off": BENEFIT})
    tills = [
        Terminal("kiosk", "out_kiosk", name, await create_key(stack.settings, name, ()))
        for name in ("trm_kiosk_1", "trm_kiosk_2")
    ]
    for till in tills:
        stack.remembered.add("a terminal's key", till.api_key)
    member = await stack.member(("mall", 500, 3))

    async def code_of(http: httpx2.AsyncClient, till: Terminal) -> str:
        answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {till.api_key}"})
        return str(answer.json()["code"])

    async def offered(http: httpx2.AsyncClient) -> bool:
        return "kiosk-off" in {each["benefit_id"] for each in (await http.get("/v1/group")).json()["benefits"]}

    async def all_there(http: httpx2.AsyncClient) -> bool:
        return [await code_of(http, till) for till in tills] == ["not_found"] * 2 and await offered(http)

    async def retired(http: httpx2.AsyncClient) -> bool:
        codes = [await code_of(http, till) for till in tills]
        return codes == ["not_found", "terminal_revoked"] and not await offered(http)

    await stack.until_every_worker("knows the kiosk", all_there)
    less = {**OWN, "outlets": [{**OWN["outlets"][0], "terminals": OWN["outlets"][0]["terminals"][:1]}]}
    await whole_group(stack, tmp_path, prune=True, businesses=[less], benefits={})
    await stack.until_every_worker("has the till and the benefit retired", retired, FOLLOWED_SECONDS)
    body = {
        "code": stack.code_issuer().issue(member.number, int(time.time()) // 2).code,
        "bill": bill(5_000),
        "legs": [{"kind": "benefit", "benefit_id": "kiosk-off"}],
    }
    refused = await tong.verify(tills[0], body, fresh_key())
    assert refused.json()["code"] == "benefit_unknown", refused.text
    refused = await tong.verify(tills[1], body, fresh_key())
    assert (refused.status_code, refused.json()["code"]) == (401, "terminal_revoked"), refused.text
    taken = await tong.verify(
        tills[0],
        {
            "code": stack.code_issuer().issue(member.number, int(time.time()) // 2 - 1).code,
            "bill": bill(5_000),
            "legs": [{"kind": "points", "points": 100}],
        },
        fresh_key(),
    )
    assert taken.status_code == 201, "what members hold stays"
    with pytest.raises(UnknownTerminal, match="trm_kiosk_2"):
        await create_key(stack.settings, "trm_kiosk_2", ())
    await whole_group(stack, tmp_path, prune=False, businesses=[OWN], benefits={"kiosk-off": BENEFIT})
    await stack.until_every_worker("knows the kiosk again, by its old keys", all_there)


async def test_the_demos_file_has_the_demos_own_members_whatever_the_store_holds(stack: Stack) -> None:
    await stack.members([[]] * 30)
    own = [member.number for member in read_group(GROUP_FILE).group.members]
    found = await demo_members_and_terminals(stack.settings, own)
    assert len(found["members"]) == len(own) == 20
    assert {each["member_id"] for each in found["members"]} == {each["member_id"] for each in stack.demo["members"]}


async def test_a_purchase_in_a_level_that_the_gateway_does_not_know_yet_is_not_taken_for_nothing(
    stack: Stack, tong: TongClient
) -> None:
    """Between a load and the worker that follows it a member may be in a level that the worker does not know."""
    member, till = await stack.member(), stack.terminals["mall"]
    headers = {"authorization": f"Bearer {till.api_key}", "idempotency-key": fresh_key()}

    async def earned(slots_ago: int) -> httpx2.Response:
        code = stack.code_issuer().issue(member.number, int(time.time()) // 2 - slots_ago).code
        return await tong.http.post(
            "/v1/accruals", json={"code": code, "bill": {**bill(5_000), "reference": fresh_key()}}, headers=headers
        )

    async with stack.hot() as hot:
        key = f"{{b{member.bucket}}}:member:{member.member_id}"
        await hot.hset(key, "tier", "nowhere")
        refused = await earned(1)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
        await hot.hset(key, "tier", "gold")
    headers["idempotency-key"] = fresh_key()
    taken = await earned(0)
    assert taken.status_code == 201, taken.text
    assert taken.json()["points"] > 0
