"""A gateway's answers held against its own OpenAPI document, with every object closed; and a till that does so."""

import json
from typing import Any

import httpx2
from openapi_schema_validator import OAS31Validator

from gateway.hot_path.verify import VerifyEndpoint
from gateway.server.routes import routes
from tests.support.api.client import TongClient, fresh_key, points_leg
from tests.support.servers.stack import Member, Stack, Terminal

Operation = tuple[str, str]
SPECIAL_HEADERS = {"idempotency-replayed", "retry-after", "www-authenticate", "ratelimit", "ratelimit-policy"}
REDEMPTION = "/v1/redemptions/{redemption_id}"
BILL = {
    "reference": "DOC-1",
    "amount_minor": 25_800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25_800}],
}
DINNER = [
    {"kind": "benefit", "benefit_id": "dining-80"},
    points_leg(600),
    {"kind": "stored_value", "amount_minor": 900},
]


def all_routes() -> list[Any]:
    """The described routes of a worker; the hot endpoint has no parts, for nothing is sent to it."""
    return [each for each in routes(VerifyEndpoint.__new__(VerifyEndpoint)) if each.include_in_schema]


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
    sent = SPECIAL_HEADERS & set(answer.headers)
    assert sent <= told, (operation, sent - told)


async def wealthy_member(stack: Stack) -> Member:
    """A new member with points, benefits and stored value."""
    member = await stack.member()
    entry = {
        "number": member.number,
        "name": "測試員",
        "tier": "gold",
        "points": [{"business": "hotel", "points": 5_000, "expires_in_months": 4}],
        "benefits": [
            {"benefit": "dining-80", "uses": 3, "expires_in_months": 2},
            {"benefit": "spa-30", "uses": 1, "expires_in_months": 2},
        ],
        "stored_value": [{"business": "mall", "amount_minor": 20_000}],
    }
    await stack.load(members=[entry])
    return member


class Till:
    """A till of one business that holds every answer it gets against the document."""

    def __init__(self, tong: TongClient, terminal: Terminal, described: dict[str, Any]) -> None:
        self._tong = tong
        self._terminal = terminal
        self._described = described

    async def get(self, path: str, template: str, **parameters: str) -> httpx2.Response:
        """A look-up, checked."""
        bearer = {"authorization": f"Bearer {self._terminal.api_key}"}
        answer = await self._tong.http.get(path, params=parameters, headers=bearer)
        check_answer(self._described, ("GET", template), answer)
        return answer

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, template: str | None = None, status: int
    ) -> dict[str, Any]:
        """A call, checked, and its status."""
        headers = {"authorization": f"Bearer {self._terminal.api_key}"}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if key is not None:
            headers["idempotency-key"] = key
        answer = await self._tong.http.post(path, content=content, headers=headers)
        check_answer(self._described, ("POST", template or path), answer)
        assert answer.status_code == status, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def step(
        self, redemption_id: str, verb: str, legs: Any = None, *, key: str | None = None, status: int = 200
    ) -> dict[str, Any]:
        """Capture, void or refund."""
        body = {"legs": legs} if legs is not None else None
        path = f"/v1/redemptions/{redemption_id}/{verb}"
        return await self.post(path, body, key=key, template=f"{REDEMPTION}/{verb}", status=status)

    async def verify(self, member: Member, *, status: int = 201, **body: Any) -> dict[str, Any]:
        """A scan of a fresh code under a fresh key."""
        content = {"code": await self._tong.code(member), **body}
        return await self.post("/v1/verify", content, key=fresh_key(), status=status)
