"""Malformed requests on every path of the engine: told where, and before anything that needs to know the caller."""

from typing import Any

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import (
    Environment,
    Json,
    benefit,
    open_environment,
    points,
    stored,
)
from tests.support.servers.stack import Stack


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


BILL = {"reference": "R", "amount_minor": 5_000, "currency": "CNY"}
CODE = {"code": "x"}
STEP = "/v1/redemptions/rdm_000000000000000000"
MALFORMED: list[tuple[str, Any, str]] = [
    *(
        (path, body, place)
        for path in ("/v1/prepare", "/v1/accruals")
        for body, place in (
            ({**CODE, "bill": BILL, "extra": 1}, ""),
            ({"code": 5, "bill": BILL}, "code"),
            ({"code": "", "bill": BILL}, "code"),
            ({**CODE, "bill": {**BILL, "amount_minor": 1.5}}, "bill.amount_minor"),
            ({**CODE, "bill": {**BILL, "amount_minor": -1}}, "bill.amount_minor"),
            ({**CODE, "bill": {**BILL, "currency": "cny"}}, "bill.currency"),
            ({**CODE, "bill": {**BILL, "lines": [{"category": "X"}]}}, "bill.lines[0].category"),
            ({**CODE, "bill": {**BILL, "stay": ""}}, "bill.stay"),
            ({**CODE, "bill": {**BILL, "currency": "JPY"}}, "bill.currency"),
            ({**CODE, "bill": {**BILL, "lines": [{"category": "a", "amount_minor": 5_001}]}}, "bill.lines"),
            (b"{", "body"),
            (b"[]", "body"),
            (b'{"code": "x", "code": "y"}', ""),
        )
    ),
    ("/v1/accruals", CODE, ""),
    ("/v1/accruals", {"bill": BILL}, "body"),
    ("/v1/accruals", {**CODE, "member_id": "mem_0000001", "bill": BILL}, "body"),
    ("/v1/accruals", {"member_id": "mem_1", "bill": BILL}, "member_id"),
    ("/v1/accruals", {"member_id": 1, "bill": BILL}, "member_id"),
    ("/v1/accruals/acr_000000000000000000/reverse", {"points": 1}, ""),
    ("/v1/accruals/acr_000000000000000000/reverse", b"[]", "body"),
    *(
        (f"{STEP}/{step}", body, place)
        for step in ("capture", "refund")
        for body, place in (
            ({"legs": "all"}, "legs"),
            ({"legs": []}, "legs"),
            ({"legs": [{"kind": "points"}]}, "legs[0]"),
            ({"legs": [{"kind": "gold", "points": 1}]}, "legs[0].kind"),
            ({"legs": [points(0)]}, "legs[0].points"),
            ({"legs": [points(1)] * 9}, "legs"),
            ({"legs": [benefit("eng-plain", 0)]}, "legs[0].uses"),
            ({"legs": [benefit("Not A Benefit")]}, "legs[0].benefit_id"),
            ({"legs": [stored(-5)]}, "legs[0].amount_minor"),
            ({"points": 5}, ""),
        )
    ),
    (f"{STEP}/capture", {"bill": {**BILL, "currency": "JPY"}}, "bill.currency"),
    (f"{STEP}/void", {"legs": [points(1)]}, ""),
    ("/v1/cancel", {}, "body"),
    ("/v1/cancel", {"idempotency_key": "k"}, "body"),
    ("/v1/cancel", {"code": "x"}, "body"),
    ("/v1/cancel", {"redemption_id": "rdm_1", "idempotency_key": "k", "code": "x"}, "body"),
    ("/v1/cancel", {"redemption_id": "rdm_1", "code": "x"}, "body"),
    ("/v1/cancel", {"redemption_id": 1}, "redemption_id"),
    ("/v1/verify", {**CODE, "hold_seconds": 60}, "hold_seconds"),
    ("/v1/verify", {**CODE, "capture": True, "hold_seconds": 60}, "hold_seconds"),
    ("/v1/verify", {**CODE, "capture": False, "hold_seconds": 0}, "hold_seconds"),
    ("/v1/verify", {**CODE, "capture": False, "hold_seconds": 14 * 86_400 + 1}, "hold_seconds"),
    ("/v1/verify", {**CODE, "capture": "no"}, "capture"),
    ("/v1/verify", {**CODE, "confirm_duplicate": 1}, "confirm_duplicate"),
    ("/v1/verify", {**CODE, "legs": [benefit("eng-plain", 101)]}, "legs[0].uses"),
    ("/v1/verify", {**CODE, "legs": [{"kind": "stored_value", "amount_minor": 1, "currency": "CNY"}]}, "legs[0]"),
]


@pytest.mark.parametrize("number", range(len(MALFORMED)))
async def test_a_malformed_request_is_told_where(environment: Environment, number: int) -> None:
    path, body, place = MALFORMED[number]
    document = problem_of(await environment.call(path, body, fresh_key()))
    assert (document["status"], document["code"]) == (400, "malformed"), document
    if place:
        assert document["errors"][0]["field"] == place, document
    if "JPY" not in str(body) and "5001" not in str(body):
        anonymous = await environment.call(path, body, fresh_key(), headers={"authorization": "Bearer nobody"})
        assert anonymous.json()["code"] == "malformed", "what can be seen without knowing the caller goes first"


BAD_LISTS: list[tuple[str, str]] = [
    ("bill_reference=", "bill_reference"),
    ("bill_reference=%E5%B8%B3", "bill_reference"),
    ("bill_reference=a&bill_reference=b", "bill_reference"),
    ("bill_reference=a&more=1", "more"),
    ("status=open", "status"),
    ("outlet=hotel", "outlet"),
    ("from=yesterday", "from"),
    ("from=2026-13-01", "from"),
    ("from=2026-11-22T10:00:00", "from"),
    ("to=9999-12-31", "to"),
    ("from=2026-11-22&to=2026-11-21", "to"),
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("cursor=none", "cursor"),
    ("cursor=WyJkIiwxLCJyZG1fMSJd", "cursor"),
    ("cursor=WyJ0IiwtMSwicmRtXzEiXQ", "cursor"),
]


@pytest.mark.parametrize(("query", "place"), BAD_LISTS)
async def test_a_list_by_a_parameter_that_cannot_be_read_names_it(
    environment: Environment, query: str, place: str
) -> None:
    document = problem_of(await environment.get(f"/v1/redemptions?{query}"))
    assert (document["code"], document["errors"][0]["field"]) == ("malformed", place)


@pytest.mark.parametrize("key", ["", "a b", "k" * 65])
async def test_a_key_that_is_none_is_refused_where_it_is_given(environment: Environment, key: str) -> None:
    for path, body in ((f"{STEP}/capture", None), (f"{STEP}/void", None), ("/v1/accruals", {**CODE, "bill": BILL})):
        answer = await environment.call(path, body, key)
        assert problem_of(answer)["code"] == "idempotency_key_missing"
    answer = await environment.call("/v1/cancel", {"idempotency_key": key, "code": "x"})
    assert problem_of(answer)["code"] == "idempotency_key_missing"
    missing = await environment.call("/v1/accruals", {**CODE, "bill": BILL})
    assert problem_of(missing)["code"] == "idempotency_key_missing"


@pytest.mark.parametrize(
    "path", ["/v1/prepare", "/v1/accruals", "/v1/cancel", f"{STEP}/capture", f"{STEP}/void", f"{STEP}/refund"]
)
async def test_size_and_type_are_refused_first_and_unknown_callers_before_codes(
    environment: Environment, path: str
) -> None:
    nobody = {"authorization": "Bearer nobody"}
    large = await environment.call(path, b" " * 20_000, headers={**nobody, "content-type": "text/plain"})
    assert problem_of(large)["code"] == "body_too_large"
    text = await environment.call(path, b"nonsense", headers={**nobody, "content-type": "text/plain"})
    assert problem_of(text)["code"] == "unsupported_media_type"
    body: Json = {}
    if path in {"/v1/prepare", "/v1/accruals"}:
        body = {**CODE, "bill": BILL}
    elif path == "/v1/cancel":
        body = {**CODE, "idempotency_key": "k"}
    assert problem_of(await environment.call(path, body, fresh_key(), headers=nobody))["code"] == "unauthenticated"
    admin = {"authorization": f"Bearer {environment.stack.demo['admin_api_key']}"}
    assert problem_of(await environment.call(path, body, fresh_key(), headers=admin))["code"] == "forbidden"
