"""A till and a member app over HTTP: thin, so that what a test sends and gets is what went over the wire."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.servers.stack import Member, Stack, Terminal

TIMEOUT_SECONDS = 30.0
Body = Mapping[str, Any] | bytes


@dataclass(frozen=True)
class Code:
    """One entry of `POST /v1/me/codes`."""

    code: str
    digits: str
    expires_at: str
    refresh_at: str


def fresh_key() -> str:
    """An Idempotency-Key nobody used."""
    return f"key-{secrets.token_hex(8)}"


def points_leg(points: int) -> dict[str, Any]:
    """A leg of points."""
    return {"kind": "points", "points": points}


def bill(amount_minor: int = 25_800, reference: str = "POS-7-20261122-0001") -> dict[str, Any]:
    """A bill in the demo group's currency."""
    return {"reference": reference, "amount_minor": amount_minor, "currency": "CNY"}


class TongClient:
    """Calls of one running stack. Nothing is retried."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def seen(self, terminal: Terminal, member: Member) -> None:
        """The outlet of the terminal scans the member: from now on it may name the member by id."""
        answer = await self.http.post(
            "/v1/prepare",
            json={"code": await self.code(member)},
            headers={"authorization": f"Bearer {terminal.api_key}"},
        )
        assert answer.status_code == 200, answer.text

    async def verify(
        self, terminal: Terminal, body: Body, key: str | None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """`POST /v1/verify`; bytes are sent as they are, `key` None leaves the header out."""
        own = {"authorization": f"Bearer {terminal.api_key}", "content-type": "application/json"}
        if key is not None:
            own["idempotency-key"] = key
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post("/v1/verify", content=content, headers={**own, **(headers or {})})

    async def codes(self, member: Member, count: int = 1) -> list[Code]:
        """`POST /v1/me/codes`, which must be answered with codes."""
        answer = await self.ask_codes(member, json.dumps({"count": count}).encode())
        assert answer.status_code == 200, answer.text
        return [Code(**entry) for entry in answer.json()["codes"]]

    async def code(self, member: Member) -> str:
        """One fresh code in its JWT form."""
        return (await self.codes(member))[0].code

    async def ask_codes(self, member: Member, content: bytes) -> httpx2.Response:
        """`POST /v1/me/codes` with any body."""
        headers = {"authorization": f"Bearer {member.access_token}", "content-type": "application/json"}
        return await self.http.post("/v1/me/codes", content=content, headers=headers)

    async def me(self, member: Member) -> dict[str, Any]:
        """`GET /v1/me`, which must be answered."""
        answer = await self.http.get("/v1/me", headers={"authorization": f"Bearer {member.access_token}"})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def points(self, member: Member) -> int:
        """What the member has available."""
        return int((await self.me(member))["balance"]["points"])

    async def faults(self) -> int:
        """Count of unforeseen faults of the stack's workers so far."""
        (row,) = [
            row for row in (await self.http.get("/metrics")).text.splitlines() if row.startswith("tong_faults_total ")
        ]
        return int(float(row.split()[1]))

    async def redemption(self, terminal: Terminal, redemption_id: str) -> httpx2.Response:
        """`GET /v1/redemptions/{id}`."""
        return await self.http.get(
            f"/v1/redemptions/{redemption_id}", headers={"authorization": f"Bearer {terminal.api_key}"}
        )


@asynccontextmanager
async def client_of(stack: Stack, *, connections: int = 100) -> AsyncIterator[TongClient]:
    """A client for the length of the block, with at most so many connections."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx2.AsyncClient(
        base_url=stack.base_url, timeout=TIMEOUT_SECONDS, limits=limits, event_hooks=stack.remembered.hooks
    ) as http:
        yield TongClient(http)
