"""/openapi.json and /docs: that they tell the truth about a gateway that runs, and that the page keeps to itself."""

import asyncio
import base64
import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx2
import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from gateway.calls import ANYWHERE, CALLS
from gateway.openapi import document
from gateway.pages import reference
from gateway.problems import KINDS
from gateway.routes import routes
from gateway.verify import VerifyEndpoint
from tests.support.client import TongClient, fresh_key, points_leg
from tests.support.stack import Stack

Operation = tuple[str, str]


def all_routes() -> list[Any]:
    """The routes of a worker; the hot endpoint has no parts, for nothing is sent to it."""
    return list(routes(VerifyEndpoint.__new__(VerifyEndpoint)))


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return document(all_routes())


def operations(described: dict[str, Any]) -> dict[Operation, dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def closed(schema: Any) -> Any:
    """The schema with every object closed, so that a member that is not documented is a fault."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner


def faults(described: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    root = closed({**schema, "components": {"schemas": described["components"]["schemas"]}})
    OAS31Validator.check_schema(root)
    return [f"{fault.json_path}: {fault.message}" for fault in OAS31Validator(root).iter_errors(value)]


def check_answer(described: dict[str, Any], operation: Operation, answer: httpx2.Response) -> None:
    """Status, media type, headers and body are documented for this operation."""
    responses = operations(described)[operation]["responses"]
    assert str(answer.status_code) in responses, (operation, answer.status_code, answer.text)
    response = responses[str(answer.status_code)]
    media_type = answer.headers["content-type"]
    assert media_type in response["content"], (operation, answer.status_code, media_type)
    content = response["content"][media_type]
    body: Any = answer.json() if "json" in media_type else answer.text
    assert faults(described, content["schema"], body) == [], (operation, answer.text)
    if "json" in media_type and "code" in body and "retry" in body:
        assert body["code"] in content["examples"], f"{operation} does not document {body['code']}"
    told = {name.lower() for name in response.get("headers", {})}
    sent = {"idempotency-replayed", "retry-after", "www-authenticate"} & set(answer.headers)
    assert sent <= told, (operation, sent - told)


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
    assert routed == {(call.method, call.path) for call in CALLS}
    assert routed == set(operations(generated))
    assert len(CALLS) == len(routed)


def test_operation_ids_are_unique_and_summaries_are_there(generated: dict[str, Any]) -> None:
    all_operations = operations(generated).values()
    assert all(count == 1 for count in Counter(each["operationId"] for each in all_operations).values())
    for each in all_operations:
        assert each["summary"]
        assert each["operationId"].isidentifier()
        assert "\n" not in each["summary"]


def test_every_kind_of_problem_is_documented_where_it_can_come_and_no_other_is() -> None:
    documented = {code for call in CALLS for code in call.refusals}
    assert documented | set(ANYWHERE) == set(KINDS)
    for call in CALLS:
        assert len(set(call.refusals)) == len(call.refusals), call.path


def test_every_example_is_valid_by_its_schema_and_taken_by_its_decoder(generated: dict[str, Any]) -> None:
    for call in CALLS:
        operation = operations(generated)[call.method, call.path]
        for name, example in call.request_examples.items():
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert faults(generated, schema, example) == [], (call.path, name)
            msgspec.json.decode(json.dumps(example), type=call.request)
        if call.request is not None:
            assert call.request_examples, f"{call.path} shows no body"
        for answer in call.answers:
            content = operation["responses"][str(answer.status)]["content"][answer.media_type]
            assert faults(generated, content["schema"], answer.example) == [], (call.path, answer.status)


def test_every_example_of_a_problem_is_valid_and_stands_under_its_status(generated: dict[str, Any]) -> None:
    examples = generated["components"]["examples"]
    for code, kind in KINDS.items():
        value = examples[code]["value"]
        assert faults(generated, {"$ref": "#/components/schemas/ProblemAnswer"}, value) == [], code
        assert (value["code"], value["status"], value["retry"]) == (code, kind.status, kind.retry)
        assert "-1" not in value["detail"], f"the example of {code} lacks its figures (gateway/openapi.py)"
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
    member = await stack.member(("hotel", 500, 2), ("mall", 300, 5))
    bearer = {"authorization": f"Bearer {member.access_token}"}
    for call in CALLS:
        if call.path == "/v1/me/codes":
            for example in call.request_examples.values():
                answer = await tong.ask_codes(member, json.dumps(example).encode())
                assert answer.status_code == 200
                check_answer(generated, ("POST", "/v1/me/codes"), answer)
    me = await tong.http.get("/v1/me", headers=bearer)
    assert me.status_code == 200
    check_answer(generated, ("GET", "/v1/me"), me)
    for answer in (
        await tong.ask_codes(member, b'{"count": 6}'),
        await tong.ask_codes(member, b"x" * 20_000),
        await tong.http.post("/v1/me/codes"),
        await tong.http.post("/v1/me/codes", content=b"1", headers={**bearer, "content-type": "text/plain"}),
    ):
        assert answer.status_code >= 400
        check_answer(generated, ("POST", "/v1/me/codes"), answer)
    check_answer(generated, ("GET", "/v1/me"), await tong.http.get("/v1/me"))


async def test_a_till_is_answered_as_documented_when_applied_repeated_refused_and_looked_up(
    stack: Stack, tong: TongClient, generated: dict[str, Any]
) -> None:
    verify: Operation = ("POST", "/v1/verify")
    lookup: Operation = ("GET", "/v1/redemptions/{redemption_id}")
    till = stack.terminals["hotel"]
    member = await stack.member(("hotel", 500, 2), ("mall", 300, 5))
    body = {
        "code": await tong.code(member),
        "bill": {
            "reference": "DOC-1",
            "amount_minor": 25_800,
            "currency": "CNY",
            "lines": [{"category": "dining", "amount_minor": 100}],
        },
        "legs": [points_leg(600)],
    }
    key = fresh_key()
    applied = await tong.verify(till, body, key)
    assert applied.status_code == 201, applied.text
    repeated = await tong.verify(till, body, key)
    assert repeated.headers["idempotency-replayed"] == "true"
    identity = await tong.verify(till, {"code": await tong.code(member)}, fresh_key())
    assert identity.status_code == 201
    for answer in (applied, repeated, identity):
        check_answer(generated, verify, answer)
    found = await tong.redemption(till, applied.json()["redemption_id"])
    assert found.status_code == 200
    check_answer(generated, lookup, found)
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
        check_answer(generated, lookup, await tong.redemption(till, redemption_id))


@pytest.mark.parametrize(
    "example", [name for call in CALLS if call.path == "/v1/verify" for name in call.request_examples]
)
async def test_the_bodies_shown_for_verify_are_applied_with_a_live_code(
    stack: Stack, tong: TongClient, generated: dict[str, Any], example: str
) -> None:
    call = next(call for call in CALLS if call.path == "/v1/verify")
    member = await stack.member(("hotel", 5_000, 4))
    body = {**call.request_examples[example], "code": (await tong.codes(member))[0].digits}
    answer = await tong.verify(stack.terminals["hotel"], body, fresh_key())
    assert answer.status_code == 201, answer.text
    check_answer(generated, ("POST", "/v1/verify"), answer)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "wbr", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles.append(data)

    def values(self, attribute: str) -> Iterator[str]:
        return (value for name, value in self.attributes if name == attribute)


async def test_the_page_needs_no_script_and_no_other_host_and_may_use_none(tong: TongClient) -> None:
    answer = await tong.http.get("/docs")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.open == [], "every element is closed"
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "style", "srcset"}]
    assert all(target.startswith(("#", "/")) for target in page.values("href"))
    (style,) = page.styles
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_page_shows_every_call_and_every_refusal_in_three_languages(
    tong: TongClient, generated: dict[str, Any]
) -> None:
    text = (await tong.http.get("/docs")).text
    page = Page(text)
    anchors = Counter(page.values("id"))
    assert all(count == 1 for count in anchors.values())
    assert all(target[1:] in anchors for target in page.values("href") if target.startswith("#"))
    for operation in operations(generated).values():
        assert operation["operationId"] in anchors
    for kind in KINDS.values():
        assert kind.type_uri.rsplit("/", 1)[1] in anchors
        assert all(hint in unescape(text) for hint in kind.hints.values())


async def test_the_command_shown_for_verify_works_as_shown(stack: Stack, tong: TongClient) -> None:
    text = (await tong.http.get("/docs")).text
    shown = unescape(text.split('id="postVerify"', 1)[1].split("<pre>", 1)[1].split("</pre>", 1)[0])
    member = await stack.member(("hotel", 5_000, 4))
    till = stack.terminals["hotel"]
    shell = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        shown,
        env={
            "PATH": "/usr/bin:/bin",
            "TONG": stack.base_url,
            "TERMINAL_KEY": till.api_key,
            "CODE": await tong.code(member),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(shell.communicate(), 30)
    assert json.loads(output)["status"] == "captured", output


def test_what_comes_from_the_document_is_escaped_on_the_page(generated: dict[str, Any]) -> None:
    hostile = "<script>alert('`1`')</script>\"'&"
    described: dict[str, Any] = json.loads(json.dumps(generated))
    described["info"]["description"] = hostile
    for tag in described["tags"]:
        tag["description"] = hostile
    for operation in operations(described).values():
        operation["description"] = hostile
        for response in operation["responses"].values():
            response["description"] = hostile
            for content in response["content"].values():
                if "example" in content:
                    content["example"] = {hostile: hostile}
    for schema in described["components"]["schemas"].values():
        schema["description"] = hostile
        schema["properties"] = {
            name: {**field, "description": hostile} for name, field in schema.get("properties", {}).items()
        }
    text = reference.page(described)
    assert "<script" not in text
    assert Page(text).open == []
