"""Connections to the stores of a running stack as the users and roles of its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from tests.support.servers.stack import HotClient, Stack


def hot_password(stack: Stack, user: str) -> str:
    """The password of a user of the private Valkey."""
    return (stack.home / "valkey" / "users" / user).read_text()


def ledger_password(stack: Stack, role: str) -> str:
    """The password of a role of the private PostgreSQL."""
    return (stack.home / "postgres" / "roles" / role).read_text()


@asynccontextmanager
async def hot_as(stack: Stack, user: str) -> AsyncIterator[HotClient]:
    """A client of the hot store that is this user."""
    address = urlsplit(stack.demo["valkey_url"])
    url = f"redis://{user}:{hot_password(stack, user)}@{address.hostname}:{address.port}/0"
    async with Redis.from_url(url, protocol=2) as client:
        yield client


@asynccontextmanager
async def ledger_as(stack: Stack, role: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection to PostgreSQL in this role."""
    address = urlsplit(stack.demo["postgres_dsn"])
    dsn = f"postgresql://{role}:{ledger_password(stack, role)}@{address.hostname}:{address.port}{address.path}"
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def refused_inside_functions(hot: HotClient) -> list[str]:
    """Commands that a function was refused in the middle of its work since the server started (ACL LOG)."""
    entries = await hot.execute_command("ACL", "LOG", 128)
    found = [dict(zip(entry[::2], entry[1::2], strict=True)) if isinstance(entry, list) else entry for entry in entries]
    named = [{_text(name): _text(value) for name, value in entry.items()} for entry in found]
    return [f"{entry['username']} {entry['object']}" for entry in named if entry["context"] in ("lua", "script")]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
