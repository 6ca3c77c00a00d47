"""Stored API keys: their SHA-256, holder, rights and end.

Guarantees: a key is stored whole or not at all; a rotation makes the new key and ends the old one in one transaction.
The one secret that is kept as it is: the shared secret of a terminal that signs by hmac-sha256
(docs/explanation/security.md).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from redemption.database import Connection
from redemption.domain.errors import RefusedError

KEYS_LISTED_MAX = 10_000
Role = Literal["back_office", "operations", "settlement"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""What a back-office key may be for."""
TerminalScope = Literal["redeem", "hold", "refund", "accrue"]
SCOPES: Final[tuple[TerminalScope, ...]] = get_args(TerminalScope)
"""What a terminal's key may do; reading its own business's records needs none."""
OVERLAP_MAX = timedelta(days=90)


class CredentialRefused(RefusedError):
    """A key cannot be made or changed as asked; nothing was changed. The kinds below say why."""


class UnknownTerminal(CredentialRefused):
    """No terminal of that id is in force."""


class UnknownRole(CredentialRefused):
    """A role is not one of `ROLES`."""


class UnknownScope(CredentialRefused):
    """A scope is not one of `SCOPES`."""


class UnknownBusiness(CredentialRefused):
    """No business of that id is in the configuration."""


class NotRotated(CredentialRefused):
    """There is no such key in force, or the overlap is out of range."""


@dataclass(frozen=True, slots=True)
class SignatureKey:
    """The key that a terminal signs its requests with (RFC 9421). `key` has 32 bytes: a public key, or the shared
    secret."""

    algorithm: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key as operations may see it."""

    key_id: str
    kind: str
    terminal_id: str | None
    roles: tuple[str, ...]
    business: str | None
    """The one business that a back-office key is bound to; None: the whole group."""
    scopes: tuple[str, ...]
    signs: str | None
    """The algorithm that its requests must be signed with."""
    replaces: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute; None: never, or not yet noted."""


async def store_key(
    connection: Connection,
    *,
    key_id: str,
    fingerprint: bytes,
    terminal_id: str | None,
    roles: tuple[str, ...] = (),
    business: str | None = None,
    scopes: Sequence[str] = SCOPES,
    lifetime: timedelta | None = None,
    signature: SignatureKey | None = None,
) -> None:
    """Store a new key: of a terminal where one is given, else of the back office, of one `business` or the whole group.

    Raises `UnknownTerminal`, `UnknownRole`, `UnknownScope`, `UnknownBusiness`.
    """
    for role in roles:
        if role not in ROLES:
            raise UnknownRole(f"{role!r} is no role: {', '.join(ROLES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownScope(f"{scope!r} is no scope: {', '.join(SCOPES)}")
    if business is not None and not await connection.fetchval(
        "SELECT true FROM business WHERE business_id = $1", business
    ):
        raise UnknownBusiness(f"there is no business {business!r}")
    if terminal_id is not None and not await connection.fetchval(
        "SELECT true FROM terminal WHERE terminal_id = $1 AND retired_at IS NULL", terminal_id
    ):
        raise UnknownTerminal(f"there is no terminal {terminal_id!r}")
    await connection.execute(
        "INSERT INTO api_key (key_id, kind, terminal_id, roles, fingerprint, business_id, scopes, expires_at,"
        " signature_algorithm, signature_key) VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval, $9, $10)",
        key_id,
        "admin" if terminal_id is None else "terminal",
        terminal_id,
        list(roles),
        fingerprint,
        business,
        list(scopes),
        lifetime,
        signature.algorithm if signature is not None else None,
        signature.key if signature is not None else None,
    )


async def key_in_force(connection: Connection, key_id: str) -> tuple[str, SignatureKey | None]:
    """Return the kind of a key (`terminal`, `admin`) and its signature key.

    Raises `NotRotated` for one not in force.
    """
    row = await connection.fetchrow(
        "SELECT kind, signature_algorithm, signature_key FROM api_key WHERE key_id = $1 AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > now())",
        key_id,
    )
    if row is None:
        raise NotRotated(f"{key_id} is no key in force")
    signature = SignatureKey(row["signature_algorithm"], row["signature_key"]) if row["signature_key"] else None
    return row["kind"], signature


async def rotate_key(
    connection: Connection,
    key_id: str,
    *,
    new_id: str,
    fingerprint: bytes,
    overlap: timedelta,
    signature: SignatureKey | None,
) -> datetime:
    """Add a new key for the holder and the rights of one in force. Returns when the old one ends.

    The old key ends after `overlap`, or when it would have ended anyway if that is sooner. Raises `NotRotated`.
    """
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise NotRotated(f"the overlap is between 0 and {OVERLAP_MAX.days} days")
    async with connection.transaction():
        ends: datetime | None = await connection.fetchval(
            "UPDATE api_key SET expires_at = least(expires_at, now() + $2::interval) WHERE key_id = $1"
            " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) RETURNING expires_at",
            key_id,
            overlap,
        )
        if ends is None:
            raise NotRotated(f"{key_id} is no key in force")
        await connection.execute(
            "INSERT INTO api_key (key_id, kind, terminal_id, roles, fingerprint, business_id, scopes, replaces,"
            " signature_algorithm, signature_key)"
            " SELECT $2, kind, terminal_id, roles, $3, business_id, scopes, key_id, $4, $5 FROM api_key"
            " WHERE key_id = $1",
            key_id,
            new_id,
            fingerprint,
            signature.algorithm if signature is not None else None,
            signature.key if signature is not None else None,
        )
    return ends


async def revoke_key(connection: Connection, key_id: str) -> bool:
    """Revoke a key on every worker within a second. Returns False where it is missing or was revoked before."""
    status: str = await connection.execute(
        "UPDATE api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL", key_id
    )
    return status == "UPDATE 1"


async def note_use(connection: Connection, key_ids: Collection[str]) -> None:
    """Note that these keys were used now. A key that is gone meanwhile is ignored."""
    await connection.execute(
        "INSERT INTO api_key_use (key_id, last_used_at) SELECT key_id, now() FROM api_key WHERE key_id = ANY ($1)"
        " ORDER BY key_id ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at",
        sorted(key_ids),
    )


async def list_keys(connection: Connection) -> list[StoredKey]:
    """Return all keys, oldest first."""
    rows = await connection.fetch(
        "SELECT key_id, kind, terminal_id, roles, business_id, scopes, signature_algorithm, replaces, created_at,"
        " expires_at, revoked_at, last_used_at FROM api_key LEFT JOIN api_key_use USING (key_id)"
        " ORDER BY created_at, key_id LIMIT $1",
        KEYS_LISTED_MAX,
    )
    return [
        StoredKey(
            row["key_id"],
            row["kind"],
            row["terminal_id"],
            tuple(row["roles"]),
            row["business_id"],
            tuple(row["scopes"]),
            row["signature_algorithm"],
            row["replaces"],
            row["created_at"],
            row["expires_at"],
            row["revoked_at"],
            row["last_used_at"],
        )
        for row in rows
    ]
