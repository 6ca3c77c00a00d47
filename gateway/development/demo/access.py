"""Keys and tokens of the demo group for `demo.json`: made once, kept in TONG_HOME with mode 0600.

Outside the development stack keys are made with `tong keys create` and shown once; here they are kept, because trying
things out needs them again after a restart.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from gateway.development.demo import refusal_group
from gateway.development.private_files import write_private
from gateway.server.lifespan import development_issuer
from gateway.settings import Settings
from redemption.addresses import Addresses
from redemption.configuration.current import read_configuration
from redemption.credentials import ROLES, store_key
from redemption.database import Connection, open_pool
from redemption.domain.clock import system_clock
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.memberships import Memberships
from tokens import api_keys

TOKEN_SECONDS = 30 * 86_400
ADMIN = "admin"


async def demo_members_and_terminals(settings: Settings, own_members: Collection[int]) -> dict[str, Any]:
    """Return `terminals`, `members` and `admin_api_key` as contract.md has them; points are those of this moment.

    Only members whose numbers are in `own_members` get a token, the demo group's own: a store may hold any number of
    others. `business_admins` is ours: a key of all roles for each business, which sees that business only. What
    `tong demo codes` added is left out: it is for being refused.
    """
    assert settings.postgres_dsn is not None
    assert settings.valkey_url is not None
    pool = await open_pool(settings.postgres_dsn.get_secret_value(), size=1, name="tong-demo")
    hot = HotConnection(Address.from_url(settings.valkey_url.get_secret_value()), in_flight_max=64, name="tong-demo")
    try:
        await hot.start()
        async with pool.acquire() as connection:
            configuration = await read_configuration(connection)
            terminals = await connection.fetch(
                "SELECT business_id, outlet_id, terminal_id FROM terminal JOIN outlet USING (outlet_id) "
                "JOIN business USING (business_id) WHERE terminal.retired_at IS NULL "
                "ORDER BY business_id <> 'hotel', terminal_id"
            )
            terminals = [row for row in terminals if row["business_id"] != refusal_group.BUSINESS]
            businesses = [each for each in configuration.businesses if each != refusal_group.BUSINESS]
            keys = await _keys(connection, settings, [row["terminal_id"] for row in terminals], businesses)
            numbers = await connection.fetch(
                "SELECT member_number, member_id, tier_id FROM member WHERE member_number = ANY ($1) "
                "ORDER BY member_number",
                own_members,
            )
        addresses = Addresses(lambda: configuration, system_clock, cluster=settings.valkey_cluster)
        memberships = Memberships(HotStore(hot, assemble()), addresses)
        issuer = development_issuer(settings, system_clock)
        members = []
        for row in numbers:
            member = await memberships.find(row["member_number"])
            members.append(
                {
                    "member_id": row["member_id"],
                    "tier": row["tier_id"] if member is None else member.tier,
                    "access_token": issuer.access_token(row["member_id"], TOKEN_SECONDS),
                    # It is None where the hot store was lost.
                    "points": 0 if member is None else member.sum_of("points"),
                }
            )
    finally:
        await hot.close(1.0)
        await pool.close()
    return {
        "terminals": [
            {
                "business": row["business_id"],
                "outlet": row["outlet_id"],
                "terminal_id": row["terminal_id"],
                "api_key": keys[row["terminal_id"]],
            }
            for row in terminals
        ],
        "members": members,
        "admin_api_key": keys[ADMIN],
        "business_admins": [
            {"business": business, "api_key": keys[f"{ADMIN} {business}"]} for business in sorted(businesses)
        ],
    }


async def _keys(
    connection: Connection, settings: Settings, terminal_ids: list[str], businesses: list[str]
) -> dict[str, str]:
    """Return a key for every terminal, one for the back office and one for each business's.

    Those that the database no longer has are made anew.
    """
    file = settings.home / "demo-keys.json"
    kept: dict[str, str] = msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.exists() else {}
    known = {row["key_id"] for row in await connection.fetch("SELECT key_id FROM api_key WHERE revoked_at IS NULL")}
    keys: dict[str, str] = {}
    administrators: dict[str, str | None] = {
        ADMIN: None,
        **{f"{ADMIN} {business}": business for business in businesses},
    }
    for holder in (*terminal_ids, *administrators):
        text = kept.get(holder, "")
        parsed = api_keys.parse(text, settings.environment)
        if isinstance(parsed, api_keys.ApiKey) and parsed.key_id in known:
            keys[holder] = text
            continue
        kind = api_keys.KeyKind.ADMIN if holder in administrators else api_keys.KeyKind.TERMINAL
        fresh = api_keys.mint(kind, settings.environment)
        keys[holder] = fresh.text
        write_private(file, msgspec.json.encode({**kept, **keys}))
        await store_key(
            connection,
            key_id=fresh.key_id,
            fingerprint=api_keys.fingerprint(fresh),
            terminal_id=None if holder in administrators else holder,
            roles=ROLES if holder in administrators else (),
            business=administrators.get(holder),
        )
    return keys
