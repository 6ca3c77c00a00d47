"""Make, rotate, revoke and list API keys."""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway.settings import Settings
from redemption.credentials import (
    SCOPES,
    CredentialRefused,
    SignatureKey,
    StoredKey,
    key_in_force,
    list_keys,
    revoke_key,
    rotate_key,
    store_key,
)
from redemption.database import open_pool
from tokens import api_keys

SIGNATURE_KEY_BYTES: Final = 32


async def create_key(
    settings: Settings, terminal_id: str | None, roles: tuple[str, ...], business: str | None = None
) -> str:
    """Make a key of a terminal, or of the back office with these roles, of one business or the whole group.

    Raises `UnknownTerminal`, `UnknownRole`, `UnknownBusiness`.
    """
    return (await make_key(settings, KeyWanted(terminal_id, roles, business))).text


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """The holder and rights of a wanted key.

    `signature`: its requests must be signed, by ed25519 with the till's public key, or by hmac-sha256 with a secret
    that is made here.
    """

    terminal_id: str | None
    roles: tuple[str, ...] = ()
    business: str | None = None
    scopes: tuple[str, ...] = SCOPES
    lifetime: timedelta | None = None
    signature: Literal["ed25519", "hmac-sha256"] | None = None
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class KeyMade:
    """A new key as it is shown, once. `signing_secret` is of hmac-sha256 only. `ends`: of the key it replaces."""

    text: str = field(repr=False)
    signing_secret: bytes | None = field(default=None, repr=False)
    ends: datetime | None = None

    def document(self) -> dict[str, str | None]:
        """Return the key to hand over, for JSON."""
        secret = None if self.signing_secret is None else base64.b64encode(self.signing_secret).decode()
        return {
            "api_key": self.text,
            "signing_secret": secret,
            "replaced_ends_at": None if self.ends is None else self.ends.isoformat(timespec="seconds"),
        }

    def lines(self) -> list[str]:
        """Return the key to hand over, as lines."""
        lines = [self.text]
        if self.signing_secret is not None:
            lines.append(f"signing secret, base64: {base64.b64encode(self.signing_secret).decode()}")
        return lines


async def make_key(settings: Settings, wanted: KeyWanted) -> KeyMade:
    """Store a new key and return it. Raises `CredentialRefused`, `SettingsRefused`."""
    signature = None
    if wanted.signature is not None:
        if wanted.terminal_id is None:
            raise CredentialRefused("only a terminal's requests are signed")
        signature = _signature_key(wanted.signature, wanted.public_key)
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    try:
        kind = api_keys.KeyKind.ADMIN if wanted.terminal_id is None else api_keys.KeyKind.TERMINAL
        key = api_keys.mint(kind, settings.environment)
        async with pool.acquire() as connection:
            await store_key(
                connection,
                key_id=key.key_id,
                fingerprint=api_keys.fingerprint(key),
                terminal_id=wanted.terminal_id,
                roles=wanted.roles,
                business=wanted.business,
                scopes=wanted.scopes,
                lifetime=wanted.lifetime,
                signature=signature,
            )
    finally:
        await pool.close()
    return KeyMade(key.text, _shown(signature))


async def rotate(settings: Settings, key_id: str, overlap: timedelta) -> KeyMade:
    """Replace a key in force by a new one; the old one goes on working for `overlap`. Raises `NotRotated`.

    A till that signs by ed25519 goes on with its key; one that signs by hmac-sha256 gets a new secret.
    """
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    try:
        async with pool.acquire() as connection:
            kind, signature = await key_in_force(connection, key_id)
            key = api_keys.mint(api_keys.KeyKind[kind.upper()], settings.environment)
            if signature is not None and signature.algorithm == "hmac-sha256":
                signature = _signature_key("hmac-sha256", None)
            ends = await rotate_key(
                connection,
                key_id,
                new_id=key.key_id,
                fingerprint=api_keys.fingerprint(key),
                overlap=overlap,
                signature=signature,
            )
    finally:
        await pool.close()
    return KeyMade(key.text, _shown(signature), ends)


def _signature_key(algorithm: str, public_key: bytes | None) -> SignatureKey:
    if algorithm == "hmac-sha256":
        if public_key is not None:
            raise CredentialRefused("hmac-sha256 has no public key: its secret is made here")
        return SignatureKey(algorithm, secrets.token_bytes(SIGNATURE_KEY_BYTES))
    if public_key is None or len(public_key) != SIGNATURE_KEY_BYTES:
        raise CredentialRefused(f"ed25519 needs the till's public key, {SIGNATURE_KEY_BYTES} bytes in base64")
    return SignatureKey(algorithm, public_key)


def _shown(signature: SignatureKey | None) -> bytes | None:
    return signature.key if signature is not None and signature.algorithm == "hmac-sha256" else None


async def revoke(settings: Settings, key_id: str) -> bool:
    """Revoke a key. Returns whether there was one."""
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    try:
        async with pool.acquire() as connection:
            return await revoke_key(connection, key_id)
    finally:
        await pool.close()


async def read_stored_keys(settings: Settings) -> list[StoredKey]:
    """Return every key as operations may see it: never the key itself."""
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    try:
        async with pool.acquire() as connection:
            return list(await list_keys(connection))
    finally:
        await pool.close()
