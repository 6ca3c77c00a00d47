"""/openapi.json: that it is valid and whole, and tells the truth about a gateway that runs."""

import json
import re
from collections import Counter
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from gateway.openapi.document import document
from gateway.problems.documents import KINDS
from gateway.problems.groups import ANYWHERE
from gateway.server.routes import OPERATIONS
from tests.support.api.client import TongClient, fresh_key, points_leg
from tests.support.api.openapi import (
    BILL,
    REDEMPTION,
    Operation,
    all_routes,
    check_answer,
    faults,
    operations,
    wealthy_member,
)
from tests.support.servers.stack import Stack


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return document(all_routes())


async def test_the_served_document_is_valid_openapi_and_the_generated_one(
    tong: TongClient, generated: dict[str, Any]
) -> None:
    answer = await tong.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    validate(answer.json())
    assert answer.json() == json.loads(json.dumps(generated))
    assert answer.json()["openapi"].startswith("3.1.")


def test_routes_and_rows_and_document_are_the_same_calls(generated: dict[str, Any]) -> None:
    routed = {(method, route.path) for route in all_routes() for method in route.methods - {"HEAD"}}
    assert routed == {(call.method, call.path) for call in OPERATIONS}
    assert routed == set(operations(generated))
    assert len(OPERATIONS) == len(routed)


VERBS = (
    *("add", "approve", "cancel", "capture", "close", "create", "download", "enrol", "export", "get", "list", "open"),
    *("pay", "prepare", "refund", "resolve", "reverse", "revoke", "search", "stream", "verify", "void"),
)
"""What an operation's id begins with. A generated client calls its method so: an id is never changed."""


def test_operation_ids_are_verbs_and_nouns_and_unique(generated: dict[str, Any]) -> None:
    ids = Counter(each["operationId"] for each in operations(generated).values())
    assert [name for name, count in ids.items() if count > 1] == []
    for name in ids:
        assert re.fullmatch(rf"({'|'.join(VERBS)})([A-Z][a-z]+)*", name), name
        assert name == "verify" or not name.islower(), f"{name} names no noun"


def test_every_operation_has_a_summary_examples_and_its_refusals(generated: dict[str, Any]) -> None:
    for operation, described in operations(generated).items():
        assert described["summary"], operation
        assert "\n" not in described["summary"]
        body = described.get("requestBody", {}).get("content", {})
        for media_type, content in body.items():
            assert "example" in content or content["examples"], (operation, media_type)
        for status, response in described["responses"].items():
            for media_type, content in response["content"].items():
                assert "example" in content or content["examples"], (operation, status, media_type)
        if operation[1].startswith("/v1/"):
            assert any(int(status) >= 400 for status in described["responses"]), operation


def test_a_field_with_a_default_is_optional_and_says_its_default_in_words(generated: dict[str, Any]) -> None:
    """Generators of types read `default` as "always there": the least request would not compile."""
    schemas = generated["components"]["schemas"]
    with_default = [
        (name, member)
        for name, schema in schemas.items()
        for member, described in schema.get("properties", {}).items()
        if "default" in described
    ]
    assert with_default == []
    assert schemas["VerifyRequest"]["required"] == ["code"]
    assert schemas["VerifyRequest"]["properties"]["capture"]["description"].endswith("Default: `true`.")
    assert schemas["BenefitLeg"]["required"] == ["kind", "benefit_id"]


def test_every_kind_of_problem_is_documented_where_it_can_come_and_no_other_is() -> None:
    documented = {code for call in OPERATIONS for code in call.refusals}
    assert documented | set(ANYWHERE) == set(KINDS)
    for call in OPERATIONS:
        assert len(set(call.refusals)) == len(call.refusals), call.path


def test_every_example_is_valid_by_its_schema_and_taken_by_its_decoder(generated: dict[str, Any]) -> None:
    for call in OPERATIONS:
        operation = operations(generated)[call.method, call.path]
        for name, example in call.request_examples.items():
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert faults(generated, schema, example) == [], (call.path, name)
            msgspec.json.decode(json.dumps(example), type=call.request)
        if call.request is not None:
            assert call.request_examples, f"{call.path} shows no body"
        for answer in call.returns:
            content = operation["responses"][str(answer.status)]["content"][answer.media_type]
            assert faults(generated, content["schema"], answer.example) == [], (call.path, answer.status)


def test_every_example_of_a_problem_is_valid_and_stands_under_its_status(generated: dict[str, Any]) -> None:
    examples = generated["components"]["examples"]
    for code, kind in KINDS.items():
        value = examples[code]["value"]
        assert faults(generated, {"$ref": "#/components/schemas/ProblemAnswer"}, value) == [], code
        assert (value["code"], value["status"], value["retry"]) == (code, kind.status, kind.retry)
        assert "-1" not in value["detail"], f"the example of {code} lacks its figures (gateway/openapi/document.py)"
    for operation, described in operations(generated).items():
        for status, response in described["responses"].items():
            for content in response["content"].values():
                for code in content.get("examples", {}):
                    assert KINDS[code].status == int(status), (operation, code)


async def test_what_the_platform_asks_is_answered_as_documented(tong: TongClient, generated: dict[str, Any]) -> None:
    for method, path in operations(generated):
        if method == "GET" and not path.startswith("/v1/"):
            check_answer(generated, (method, path), await tong.http.get(path))


async def test_a_members_calls_are_answered_as_documented(
    stack: Stack, tong: TongClient, generated: dict[str, Any]
) -> None:
    member = await wealthy_member(stack)
    bearer = {"authorization": f"Bearer {member.access_token}"}
    for call in OPERATIONS:
        if call.path == "/v1/me/codes":
            for example in call.request_examples.values():
                answer = await tong.ask_codes(member, json.dumps(example).encode())
                assert answer.status_code == 200
                check_answer(generated, ("POST", "/v1/me/codes"), answer)
    for path in ("/v1/me", "/v1/me/benefits"):
        answer = await tong.http.get(path, headers=bearer)
        assert answer.status_code == 200
        check_answer(generated, ("GET", path), answer)
        check_answer(generated, ("GET", path), await tong.http.get(path))
        gone = {"authorization": f"Bearer {stack.access_token(99_999_998)}"}
        check_answer(generated, ("GET", path), await tong.http.get(path, headers=gone))
    for answer in (
        await tong.ask_codes(member, b'{"count": 6}'),
        await tong.ask_codes(member, b"x" * 20_000),
        await tong.http.post("/v1/me/codes"),
        await tong.http.post("/v1/me/codes", content=b"1", headers={**bearer, "content-type": "text/plain"}),
    ):
        assert answer.status_code >= 400
        check_answer(generated, ("POST", "/v1/me/codes"), answer)


async def test_a_till_is_answered_as_documented_when_applied_repeated_refused_and_looked_up(
    stack: Stack, tong: TongClient, generated: dict[str, Any]
) -> None:
    verify: Operation = ("POST", "/v1/verify")
    till = stack.terminals["hotel"]
    member = await stack.member(("hotel", 500, 2), ("mall", 300, 5))
    body = {"code": await tong.code(member), "bill": BILL, "legs": [points_leg(600)]}
    key = fresh_key()
    applied = await tong.verify(till, body, key)
    assert applied.status_code == 201, applied.text
    assert "ratelimit" in applied.headers
    repeated = await tong.verify(till, body, key)
    assert repeated.headers["idempotency-replayed"] == "true"
    identity = await tong.verify(till, {"code": await tong.code(member)}, fresh_key())
    assert identity.status_code == 201
    for answer in (applied, repeated, identity):
        check_answer(generated, verify, answer)
    found = await tong.redemption(till, applied.json()["redemption_id"])
    assert found.status_code == 200
    check_answer(generated, ("GET", REDEMPTION), found)
    fresh = await tong.code(member)
    refused_key = fresh_key()
    for answer in (
        await tong.verify(till, {**body, "legs": []}, key),
        await tong.verify(till, body, fresh_key()),
        await tong.verify(till, body, None),
        await tong.verify(till, {"code": "hello"}, fresh_key()),
        await tong.verify(till, {"code": stack.aged_code(member, 60).code}, fresh_key()),
        await tong.verify(till, {"code": fresh, "legs": [points_leg(0)]}, fresh_key()),
        await tong.verify(till, {**body, "code": fresh, "legs": [points_leg(700)]}, refused_key),
        await tong.verify(till, {**body, "code": fresh, "legs": [points_leg(700)]}, refused_key),
        await tong.verify(till, b"{" * 17_000, fresh_key()),
        await tong.http.post("/v1/verify", json={"code": fresh}, headers={"idempotency-key": key}),
    ):
        assert answer.status_code >= 400, answer.text
        check_answer(generated, verify, answer)
    for redemption_id in ("none", "rdm_000000000000000000"):
        check_answer(generated, ("GET", REDEMPTION), await tong.redemption(till, redemption_id))
