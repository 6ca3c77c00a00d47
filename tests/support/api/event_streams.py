"""A page that listens: server-sent events of one stream, read as they come, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.suite.waiting import wait_until

OPEN_SECONDS = 20.0


@dataclass(frozen=True)
class Event:
    """One event as it came."""

    name: str
    identifier: str | None
    data: Any


class Listening:
    """An open stream. `over` is set when the server ended it."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.events: list[Event] = []
        self.over = False

    def named(self, name: str) -> list[Event]:
        return [each for each in self.events if each.name == name]

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [each.data for each in self.named("notice")]

    @property
    def last_id(self) -> str:
        return next(each.identifier for each in reversed(self.events) if each.identifier is not None)

    async def until(self, description: str, holds: Callable[["Listening"], object], seconds: float = 20.0) -> None:
        await wait_until(description, lambda: holds(self), seconds=seconds)

    async def read(self) -> None:
        """Reads until the stream is over."""
        fields: dict[str, str] = {}
        try:
            async for line in self.response.aiter_lines():
                if line.startswith(":"):
                    continue
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    self.events.append(Event(fields["event"], fields.get("id"), json.loads(fields["data"])))
                    fields = {}
        except httpx2.TransportError:
            pass  # a connection that was cut is over too
        finally:
            self.over = True


@asynccontextmanager
async def listening(
    http: httpx2.AsyncClient, path: str, token: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listening]:
    """A stream for the length of the block, past its first event."""
    own = {"authorization": f"Bearer {token}", "accept-language": "en", **(headers or {})}
    async with http.stream("GET", path, headers=own, timeout=httpx2.Timeout(OPEN_SECONDS, read=60.0)) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        page = Listening(response)
        reading = asyncio.create_task(page.read())
        try:
            await page.until("the stream says where it stands", lambda it: it.named("ready") or it.named("snapshot"))
            yield page
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
