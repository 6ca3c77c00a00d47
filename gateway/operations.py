"""What an operator does from the command line: load a group, make and revoke keys, rotate code keys."""

from pathlib import Path

from gateway.settings import Settings, SettingsRefused
from redemption.addresses import Addresses
from redemption.credentials import list_keys, revoke_key, store_key
from redemption.database import Pool, open_pool
from redemption.directory import read_directory
from redemption.domain.clock import system_clock
from redemption.domain.limits import HOT_IN_FLIGHT_MAX
from redemption.domain.members import member_number
from redemption.group import load_group, read_group
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.members_status import UnknownMember, keep_member_status
from redemption.memberships import Memberships
from tokens import api_keys
from tokens.keyring import KeyRing


async def _pool(settings: Settings) -> Pool:
    if settings.postgres_dsn is None:
        raise SettingsRefused("TONG_POSTGRES_DSN is needed")
    return await open_pool(settings.postgres_dsn.get_secret_value(), size=2, name="tong-operations")


async def load_group_file(settings: Settings, path: Path) -> None:
    """Loads the file into both stores. Raises `GroupFileRefused`, `SettingsRefused` and the stores' faults."""
    group = read_group(path)
    if settings.valkey_url is None:
        raise SettingsRefused("TONG_VALKEY_URL is needed")
    pool = await _pool(settings)
    hot = HotConnection(
        Address.from_url(settings.valkey_url.get_secret_value()), in_flight_max=HOT_IN_FLIGHT_MAX, name="tong-load"
    )
    try:
        await hot.start()
        await load_group(
            group, pool, HotStore(hot, assemble()), buckets=settings.buckets, clock=system_clock, say=print
        )
    finally:
        await hot.close(5.0)
        await pool.close()


async def set_member_status(settings: Settings, member_id: str, *, blocked: bool | None, revoke_codes: bool) -> str:
    """Blocks or unblocks (None: leaves that) a member in both stores, and revokes codes. Raises `UnknownMember`."""
    if settings.valkey_url is None:
        raise SettingsRefused("TONG_VALKEY_URL is needed")
    pool = await _pool(settings)
    hot = HotConnection(Address.from_url(settings.valkey_url.get_secret_value()), in_flight_max=4, name="tong-members")
    try:
        await hot.start()
        async with pool.acquire() as connection:
            directory = await read_directory(connection)
            status = await keep_member_status(connection, member_id, blocked=blocked)
        addresses = Addresses(lambda: directory, system_clock, cluster=settings.valkey_cluster)
        number = member_number(member_id)
        assert number is not None
        known = await Memberships(HotStore(hot, assemble()), addresses).set_status(
            number, blocked=status == "blocked", revoke_codes=revoke_codes
        )
    finally:
        await hot.close(1.0)
        await pool.close()
    if not known:
        raise UnknownMember(f"{member_id} is not in the hot store")
    return f"{member_id} is {status}" + (", every code made until now is revoked" if revoke_codes else "")


async def create_key(settings: Settings, terminal_id: str | None, roles: tuple[str, ...]) -> str:
    """A new key of a terminal, or of the back office with these roles. Raises `UnknownTerminal`."""
    pool = await _pool(settings)
    try:
        kind = api_keys.KeyKind.ADMIN if terminal_id is None else api_keys.KeyKind.TERMINAL
        key = api_keys.mint(kind, settings.environment)
        async with pool.acquire() as connection:
            await store_key(
                connection,
                key_id=key.key_id,
                fingerprint=api_keys.fingerprint(key),
                terminal_id=terminal_id,
                roles=roles,
            )
        return key.text
    finally:
        await pool.close()


async def revoke(settings: Settings, key_id: str) -> bool:
    """Whether there was such a key to revoke."""
    pool = await _pool(settings)
    try:
        async with pool.acquire() as connection:
            return await revoke_key(connection, key_id)
    finally:
        await pool.close()


async def list_stored_keys(settings: Settings) -> list[str]:
    """A line a key."""
    pool = await _pool(settings)
    try:
        async with pool.acquire() as connection:
            stored = await list_keys(connection)
    finally:
        await pool.close()
    return [
        f"{key.key_id}  {key.kind:8}  {key.terminal_id or ','.join(key.roles) or '-':32}  made {key.created_at:%F %T}"
        + (f"  revoked {key.revoked_at:%F %T}" if key.revoked_at else "")
        for key in stored
    ]


def rotate_code_key(settings: Settings) -> str:
    """Adds a signing key of the configured algorithm to the ring's file. Raises `KeyRingError`."""
    path = settings.code_keys_path()
    ring = KeyRing.load(path, settings.environment).rotate(settings.code_algorithm, system_clock())
    ring.save(path)
    return f"{ring.keys[-1].kid} signs shortly; retire the old one when its last codes are gone"


def retire_code_key(settings: Settings, kid: str) -> str:
    """Takes a key out of the ring's file. Raises `KeyRingError`."""
    path = settings.code_keys_path()
    KeyRing.load(path, settings.environment).retire(kid, system_clock()).save(path)
    return f"{kid} is retired; its codes are refused within a second"
