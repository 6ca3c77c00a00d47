"""Live pages are answered as /openapi.json says, with every object closed."""

import json
from typing import Any

from gateway.api.members import examples as examples_live
from gateway.openapi.document import document
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.openapi import all_routes, check_answer, wealthy_member
from tests.support.servers.stack import Stack


async def test_history_devices_and_figures_are_answered_as_documented(stack: Stack, tong: TongClient) -> None:
    described: dict[str, Any] = json.loads(json.dumps(document(all_routes())))
    member = await wealthy_member(stack)
    mine = {"authorization": f"Bearer {member.access_token}"}
    legs = [
        points_leg(600),
        {"kind": "benefit", "benefit_id": "dining-80"},
        {"kind": "stored_value", "amount_minor": 9},
    ]
    till = stack.terminals["restaurant"]
    dining = bill() | {"lines": [{"category": "dining", "amount_minor": 25_800}]}
    taken = await tong.verify(till, {"code": await tong.code(member), "bill": dining, "legs": legs}, fresh_key())
    assert taken.status_code == 201, taken.text
    assert (await tong.verify(till, {"code": await tong.code(member)}, fresh_key())).status_code == 201
    given_back = await tong.http.post(
        f"/v1/redemptions/{taken.json()['redemption_id']}/refund",
        json={},
        headers={"authorization": f"Bearer {till.api_key}", "idempotency-key": fresh_key()},
    )
    assert given_back.status_code == 200, given_back.text
    for query in ("", "?limit=1", "?limit=0"):
        check_answer(
            described, ("GET", "/v1/me/activity"), await tong.http.get(f"/v1/me/activity{query}", headers=mine)
        )
    devices = ("POST", "/v1/me/devices")
    enrolled = await tong.http.post("/v1/me/devices", json=examples_live.ENROL["a phone"], headers=mine)
    assert enrolled.status_code == 201
    check_answer(described, devices, enrolled)
    check_answer(described, devices, await tong.http.post("/v1/me/devices", json={"name": 1}, headers=mine))
    check_answer(described, ("GET", "/v1/me/devices"), await tong.http.get("/v1/me/devices", headers=mine))
    one = ("DELETE", "/v1/me/devices/{device_id}")
    for device in (enrolled.json()["device_id"], "dvc_zzzzzzz", "none"):
        check_answer(described, one, await tong.http.delete(f"/v1/me/devices/{device}", headers=mine))
    operations = {"authorization": f"Bearer {stack.demo['admin_api_key']}"}
    for path in ("/v1/ops/snapshot", "/v1/ops/series", "/v1/ops/refusals"):
        check_answer(described, ("GET", path), await tong.http.get(path, headers=operations))
        check_answer(described, ("GET", path), await tong.http.get(f"{path}?x=1", headers=operations))
        check_answer(described, ("GET", path), await tong.http.get(path, headers=mine))
