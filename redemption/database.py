"""Connections to PostgreSQL. The only place that opens them."""

import asyncpg
import asyncpg.pool
import orjson

APPLICATION_NAME = "tong"
CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0

FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Exceptions of a call when PostgreSQL is away, dies in the middle or refuses; asyncpg has no common base for them."""

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        format="binary",
    )


async def open_pool(dsn: str, *, size: int = 4, name: str = APPLICATION_NAME) -> asyncpg.Pool:
    """Open a pool of at most `size` connections whose jsonb columns are Python values.

    Raises where there is no server.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        init=_prepare,
        server_settings={"application_name": name, "timezone": "UTC"},
    )
