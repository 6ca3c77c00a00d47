"""What an operator does from the command line: load a group, make and revoke keys, rotate code keys."""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from gateway.settings import Settings, SettingsRefused
from redemption.addresses import Addresses
from redemption.configuration import group_document, stored_state
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
from redemption.database import Pool, open_pool
from redemption.devices.store import DeviceStore
from redemption.directory import read_directory
from redemption.domain.clock import system_clock
from redemption.domain.limits import HOT_IN_FLIGHT_MAX
from redemption.domain.members import member_number
from redemption.group_file import read_group
from redemption.group_load import DEFAULT_OPTIONS, LoadOptions, LoadReport, Say, load_group
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.members_status import UnknownMember, keep_member_status
from redemption.memberships import Memberships
from tokens import api_keys
from tokens.keyring import KeyRing

SIGNATURE_KEY_BYTES: Final = 32


async def _pool(settings: Settings) -> Pool:
    return await open_pool(settings.ledger(), size=2, name="tong-operations")


async def load_group_file(
    settings: Settings, path: Path, *, options: LoadOptions = DEFAULT_OPTIONS, say: Say = lambda _: None
) -> LoadReport:
    """Load the file into both stores. Raises `GroupFileRefused`, `SettingsRefused` and the stores' faults."""
    file = read_group(path)
    if settings.valkey_url is None:
        raise SettingsRefused("TONG_VALKEY_URL is needed")
    pool = await _pool(settings)
    hot = HotConnection(
        Address.from_url(settings.valkey_url.get_secret_value()), in_flight_max=HOT_IN_FLIGHT_MAX, name="tong-load"
    )
    try:
        await hot.start()
        return await load_group(
            file,
            pool,
            HotStore(hot, assemble()),
            buckets=settings.buckets,
            clock=system_clock,
            say=say,
            options=options,
        )
    finally:
        await hot.close(5.0)
        await pool.close()


@dataclass(frozen=True, slots=True)
class MemberTold:
    """A member's status after a change, and a sentence about it."""

    status: str
    text: str


async def export_group(settings: Settings) -> dict[str, Any]:
    """Return the configuration in force as a group file says it, without members."""
    pool = await _pool(settings)
    try:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            return group_document(await stored_state(connection))
    finally:
        await pool.close()


async def set_member_status(
    settings: Settings, member_id: str, *, blocked: bool | None, revoke_codes: bool
) -> MemberTold:
    """Blocks or unblocks (None: leaves that) a member in both stores, and revokes codes. Raises `UnknownMember`."""
    pool = await _pool(settings)
    hot = HotConnection(Address.from_url(settings.hot_store()), in_flight_max=4, name="tong-members")
    try:
        await hot.start()
        async with pool.acquire() as connection:
            directory = await read_directory(connection)
            addresses = Addresses(lambda: directory, system_clock, cluster=settings.valkey_cluster)
            memberships = Memberships(HotStore(hot, assemble()), addresses)
            valid_from = memberships.after_every_code() if revoke_codes else None
            status = await keep_member_status(connection, member_id, blocked=blocked, codes_valid_from=valid_from)
        number = member_number(member_id)
        assert number is not None
        if revoke_codes:
            await DeviceStore(pool).revoke_all(number)
        known = await memberships.set_status(number, blocked=status == "blocked", codes_valid_from=valid_from)
    finally:
        await hot.close(1.0)
        await pool.close()
    if not known:
        raise UnknownMember(f"{member_id} is not in the hot store")
    revoked = ", every code made until now and every device is revoked" if revoke_codes else ""
    return MemberTold(status, f"{member_id} is {status}{revoked}")


async def create_key(
    settings: Settings, terminal_id: str | None, roles: tuple[str, ...], business: str | None = None
) -> str:
    """A new key of a terminal, or of the back office with these roles, of one business or the whole group.

    Raises `UnknownTerminal`, `UnknownRole`, `UnknownBusiness`.
    """
    return (await make_key(settings, KeyWanted(terminal_id, roles, business))).text


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """What a new key is for. `signature`: its requests must be signed, by ed25519 with the till's public key, or by
    hmac-sha256 with a secret that is made here."""

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
        """What to hand over, for JSON."""
        secret = None if self.signing_secret is None else base64.b64encode(self.signing_secret).decode()
        return {
            "api_key": self.text,
            "signing_secret": secret,
            "replaced_ends_at": None if self.ends is None else self.ends.isoformat(timespec="seconds"),
        }

    def lines(self) -> list[str]:
        """What to hand over."""
        lines = [self.text]
        if self.signing_secret is not None:
            lines.append(f"signing secret, base64: {base64.b64encode(self.signing_secret).decode()}")
        return lines


async def make_key(settings: Settings, wanted: KeyWanted) -> KeyMade:
    """Stores a new key and gives it out. Raises `CredentialRefused`, `SettingsRefused`."""
    signature = None
    if wanted.signature is not None:
        if wanted.terminal_id is None:
            raise CredentialRefused("only a terminal's requests are signed")
        signature = _signature_key(wanted.signature, wanted.public_key)
    pool = await _pool(settings)
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
    """A new key in the place of one in force, which goes on working for `overlap`. Raises `NotRotated`.

    A till that signs by ed25519 goes on with its key; one that signs by hmac-sha256 gets a new secret.
    """
    pool = await _pool(settings)
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
    """Whether there was such a key to revoke."""
    pool = await _pool(settings)
    try:
        async with pool.acquire() as connection:
            return await revoke_key(connection, key_id)
    finally:
        await pool.close()


async def read_stored_keys(settings: Settings) -> list[StoredKey]:
    """Return every key as operations may see it: never the key itself."""
    pool = await _pool(settings)
    try:
        async with pool.acquire() as connection:
            return list(await list_keys(connection))
    finally:
        await pool.close()


def list_code_keys(settings: Settings) -> list[dict[str, Any]]:
    """Return every key of the ring's file without its secrets; `signs`: it signs now. Raises `KeyRingError`."""
    ring = KeyRing.load(settings.code_keys_path(), settings.environment)
    signing = ring.signing_key(settings.code_algorithm, system_clock())
    return [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "signs_from": f"{datetime.fromtimestamp(key.signs_from, UTC):%F %T}" if key.signs_from else "",
            "signs": key.kid == signing.kid,
        }
        for key in ring.keys
    ]


def rotate_code_key(settings: Settings) -> str:
    """Adds a signing key of the configured algorithm to the ring's file; its id. Raises `KeyRingError`."""
    path = settings.code_keys_path()
    ring = KeyRing.load(path, settings.environment).rotate(settings.code_algorithm, system_clock())
    ring.save(path)
    return ring.keys[-1].kid


def retire_code_key(settings: Settings, kid: str) -> None:
    """Takes a key out of the ring's file. Raises `KeyRingError`."""
    path = settings.code_keys_path()
    KeyRing.load(path, settings.environment).retire(kid, system_clock()).save(path)
