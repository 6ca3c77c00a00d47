"""Hot connections for tests: opened, asked, and always closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from redemption.hot.connection import Address, HotConnection, Reply

STALL_SECONDS = 0.3


@contextlib.asynccontextmanager
async def connected(
    port: int, kind: type[HotConnection] = HotConnection, **options: Any
) -> AsyncIterator[HotConnection]:
    defaults: dict[str, Any] = {"in_flight_max": 256, "stall_timeout_seconds": STALL_SECONDS}
    connection = kind(Address(port=port), **(defaults | options))
    await connection.start()
    try:
        yield connection
    finally:
        await connection.close(0)


async def ask(connection: HotConnection, *args: bytes | str | int, deadline_seconds: float = 5.0) -> Reply:
    return await connection.execute(*args, deadline_seconds=deadline_seconds)


async def outcomes(futures: list[asyncio.Future[Reply]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 10)


def text(reply: Reply) -> bytes:
    """A reply that must be a string; an absent one is empty."""
    assert reply is None or isinstance(reply, bytes)
    return reply or b""
