"""Scans that are wrong as HTTP or as JSON, sent as they are, and what must be true of every answer to them."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack, Terminal


@dataclass(frozen=True)
class Environment:
    """A member nobody changes, and a code that stays unused."""

    stack: Stack
    tong: TongClient
    member: Member
    terminal: Terminal
    code: str

    def valid(self) -> dict[str, Any]:
        """A body that would be taken."""
        return {"code": self.code, "bill": bill() | {"lines": [line()]}, "legs": [points_leg(100)], "capture": True}


def line(amount_minor: Any = 100, category: Any = "dining") -> dict[str, Any]:
    """A line of a bill."""
    return {"category": category, "amount_minor": amount_minor}


async def refused(environment: Environment, body: bytes, status: int = 400, **headers: str) -> dict[str, Any]:
    """Sends the body; it is refused with the status, and nothing changes."""
    async with nothing_changes(environment.stack, environment.member):
        answer = await environment.tong.verify(environment.terminal, body, fresh_key(), headers)
    document = problem_of(answer)
    assert answer.status_code == status, document
    assert document["outcome"] == "not_applied"
    return document


async def raw_verify(environment: Environment, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """A scan with header values that HTTP clients refuse to send: status and body of the answer."""
    content = json.dumps(environment.valid()).encode()
    lines = [b"POST /v1/verify HTTP/1.1", b"host: tong", b"connection: close", b"content-length: %d" % len(content)]
    lines += [name + b": " + value for name, value in headers]
    address = httpx2.URL(environment.stack.base_url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    async with nothing_changes(environment.stack, environment.member):
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
