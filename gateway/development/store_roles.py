"""Users of the private servers: each part of the development stack gets addresses with no more rights than it needs.

Guarantees: passwords never leave this process but in a part's environment: PostgreSQL is handed a SCRAM verifier
(RFC 5803), so that no statement it may log holds one. Where a server was given by its address, that address is used by
every part as it is.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from redemption import rights
from redemption.database import open_pool
from redemption.hot import users
from redemption.rights import creation, roles_present

SCRAM_ITERATIONS: Final = 4_096


class Access(NamedTuple):
    """The user of the hot store and the role of the ledger of a part. None: it gets no address of the hot store."""

    hot: str | None
    ledger: str


GATEWAY: Final = Access(users.GATEWAY, rights.GATEWAY)
WRITER: Final = Access(users.WRITER, rights.WRITER)
SEALER: Final = Access(None, rights.SEALER)
PROJECTOR: Final = Access(None, rights.PROJECTOR)
OPERATIONS: Final = Access(users.OPERATIONS, rights.OPERATIONS)


async def make_roles(owner: str, addresses: Mapping[str, str]) -> None:
    """Make the missing roles and give each the password of its address. Raises asyncpg's faults."""
    pool = await open_pool(owner, size=1, name="tong-roles")
    try:
        async with pool.acquire() as connection:
            present = await roles_present(connection)
            for role, address in addresses.items():
                if role not in present:
                    await connection.execute(creation(role))
                password = urlsplit(address).password
                assert password is not None
                await connection.execute(f"ALTER ROLE {role} PASSWORD '{scram_verifier(password)}'")
    finally:
        await pool.close()


def scram_verifier(password: str) -> str:
    """Return PostgreSQL's verifier of an ASCII password: it checks with it and cannot log in with it (RFC 5802, RFC
    5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"
