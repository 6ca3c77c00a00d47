"""API keys at rest: only their SHA-256, whom they belong to, and whether they were revoked."""

from dataclasses import dataclass
from datetime import datetime

from redemption.database import Connection

KEYS_LISTED_MAX = 10_000


class UnknownTerminal(Exception):
    """No terminal of that id is in the configuration."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key as operations may see it."""

    key_id: str
    kind: str
    terminal_id: str | None
    roles: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


async def store_key(
    connection: Connection, *, key_id: str, fingerprint: bytes, terminal_id: str | None, roles: tuple[str, ...] = ()
) -> None:
    """Keeps a new key: of a terminal when one is given, else of the back office. Raises `UnknownTerminal`."""
    if terminal_id is not None and not await connection.fetchval(
        "SELECT true FROM terminal WHERE terminal_id = $1", terminal_id
    ):
        raise UnknownTerminal(terminal_id)
    await connection.execute(
        "INSERT INTO api_key (key_id, kind, terminal_id, roles, fingerprint) VALUES ($1, $2, $3, $4, $5)",
        key_id,
        "admin" if terminal_id is None else "terminal",
        terminal_id,
        list(roles),
        fingerprint,
    )


async def revoke_key(connection: Connection, key_id: str) -> bool:
    """Revokes a key on every worker within a second; False when there is no such key or it was revoked before."""
    status: str = await connection.execute(
        "UPDATE api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL", key_id
    )
    return status == "UPDATE 1"


async def list_keys(connection: Connection) -> list[StoredKey]:
    """All keys, oldest first."""
    rows = await connection.fetch(
        "SELECT key_id, kind, terminal_id, roles, created_at, revoked_at FROM api_key ORDER BY created_at, key_id "
        "LIMIT $1",
        KEYS_LISTED_MAX,
    )
    return [
        StoredKey(
            row["key_id"], row["kind"], row["terminal_id"], tuple(row["roles"]), row["created_at"], row["revoked_at"]
        )
        for row in rows
    ]
