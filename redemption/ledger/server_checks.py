"""Checks that a given PostgreSQL is new enough and as durable as the ledger needs.

Guarantees: too old, read-only or unreachable raises ServerUnusable; every weaker setting is returned by
name. Nothing is changed on the server.
"""

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from redemption.database import FAULTS
from redemption.domain.store_warnings import ConfigurationWarning, ServerUnusable

CONNECT_SECONDS: Final = 5.0
VERSION_MIN: Final = 150_000  # server_version_num of 15.0

PROMISED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "fsync": (("on",), "a crash of the machine may destroy the ledger"),
    "full_page_writes": (("on",), "a crash of the machine may leave torn pages in the ledger"),
    "synchronous_commit": (
        ("on", "local", "remote_write", "remote_apply"),
        "the hot store's stream may be trimmed behind rows that a crash then loses",
    ),
    "data_checksums": (("on",), "a damaged page of the ledger is read without a word"),
    "server_encoding": (("UTF8",), "names and contexts in Chinese cannot be stored"),
}


async def check_ledger_server(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[ConfigurationWarning, ...]:
    """Check the server behind an open connection. Raises ServerUnusable; other faults pass through."""
    row: Any = await connection.fetchrow(
        "SELECT current_setting('server_version') AS version,"
        " current_setting('server_version_num')::int AS number,"
        " current_setting('transaction_read_only') AS read_only"
    )
    if row["number"] < VERSION_MIN:
        raise ServerUnusable(
            f"PostgreSQL {row['version']} is too old: 15 or newer is needed. "
            "Upgrade it, or unset TONG_POSTGRES_DSN to use the private one."
        )
    if row["read_only"] == "on":
        raise ServerUnusable("PostgreSQL at TONG_POSTGRES_DSN is read-only: give the address of the primary.")
    found = {
        record["name"]: record["setting"]
        for record in await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", list(PROMISED)
        )
    }
    weaknesses = []
    for setting, (accepted, meaning) in PROMISED.items():
        value = found.get(setting, "unknown")
        if value not in accepted:
            weaknesses.append(ConfigurationWarning("PostgreSQL", setting, value, accepted[0], meaning))
    return tuple(weaknesses)


async def check_ledger_store(dsn: str) -> tuple[ConfigurationWarning, ...]:
    """Connect, check and disconnect. Raises ServerUnusable."""
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
        try:
            return await check_ledger_server(connection)
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
    except (*FAULTS, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise ServerUnusable(
            f"PostgreSQL at TONG_POSTGRES_DSN cannot be used: {reason}. "
            "Check that it runs, and the address, user, password and database; "
            "or unset TONG_POSTGRES_DSN for a private one."
        ) from error
