"""What schemathesis and the fuzzers found, each held by itself: U+0000 where PostgreSQL would have to look for it, and
the methods of paths that have several routes."""

import base64
from typing import Any

import pytest

from tests.support.api.client import TongClient
from tests.support.api.problem import problem_of
from tests.support.servers.stack import Stack
from tests.support.settlement.http import BASE

NUL = "%00"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "path",
    [
        f"/agreements/{NUL}",
        f"/disputes/dsp_{NUL}",
        f"/periods/202611.a{NUL}.b",
        f"/periods/{NUL}",
        f"/reconciliations/rec_{NUL}",
        f"/reconciliations/{NUL}/bills",
    ],
)
async def test_an_id_with_u0000_is_the_id_of_nothing_and_no_fault_of_a_store(
    stack: Stack, tong: TongClient, path: str
) -> None:
    answer = await tong.http.get(BASE + path, headers=bearer(stack.demo["admin_api_key"]))
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/lines/{NUL}/disputes", {"reason": "x", "business": "hotel"}),
        (f"/disputes/{NUL}/resolve", {"note": "x"}),
    ],
)
async def test_a_call_on_an_id_with_u0000_does_nothing(
    stack: Stack, tong: TongClient, path: str, body: dict[str, Any]
) -> None:
    answer = await tong.http.post(BASE + path, json=body, headers=bearer(stack.demo["admin_api_key"]))
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/lines/stl_1/disputes", {"reason": "a\x00b", "business": "hotel"}, "reason"),
        ("/disputes/dsp_1/resolve", {"note": "\x00"}, "note"),
        ("/periods/202611.hotel.mall/pay", {"reference": "BANK\x00"}, "reference"),
    ],
)
async def test_text_with_u0000_is_refused_with_its_place(
    stack: Stack, tong: TongClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await tong.http.post(BASE + path, json=body, headers=bearer(stack.demo["admin_api_key"]))
    problem = problem_of(answer)
    assert (answer.status_code, problem["errors"][0]["field"]) == (400, field)


async def test_a_cursor_or_a_bills_reference_with_u0000_is_refused(stack: Stack, tong: TongClient) -> None:
    cursor = base64.urlsafe_b64encode(b'["\\u0000",1]').decode().rstrip("=")
    admin, till = bearer(stack.demo["admin_api_key"]), bearer(stack.terminals["hotel"].api_key)
    for path, headers, field in (
        (f"{BASE}/agreements?cursor={cursor}", admin, "cursor"),
        (f"/v1/redemptions?bill_reference=T{NUL}1", till, "bill_reference"),
        ("/v1/redemptions?bill_reference=T%0A", till, "bill_reference"),
    ):
        problem = problem_of(await tong.http.get(path, headers=headers))
        assert (problem["status"], problem["errors"][0]["field"]) == (400, field)


async def test_an_agreement_that_is_not_there_has_no_further_page_either(stack: Stack, tong: TongClient) -> None:
    cursor = base64.urlsafe_b64encode(b'["points",1]').decode().rstrip("=")
    answer = await tong.http.get(
        f"{BASE}/agreements/nowhere?cursor={cursor}", headers=bearer(stack.demo["admin_api_key"])
    )
    assert problem_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/me/devices", "GET, HEAD, POST"),
        (f"{BASE}/reconciliations", "GET, HEAD, POST"),
        ("/v1/verify", "POST"),
        ("/v1/accruals/acr_1/reverse", "POST"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    tong: TongClient, path: str, methods: str
) -> None:
    answer = await tong.http.request("PATCH", path)
    assert (problem_of(answer)["code"], answer.headers["allow"]) == ("method_not_allowed", methods)
