"""Load a group file into both stores, and export the configuration in force."""

from pathlib import Path
from typing import Any

from gateway.settings import Settings, SettingsRefused
from redemption.configuration.group_file import read_group
from redemption.configuration.load import DEFAULT_OPTIONS, LoadOptions, LoadReport, Say, load_group
from redemption.configuration.state import group_document, stored_state
from redemption.database import open_pool
from redemption.domain.clock import system_clock
from redemption.domain.limits import HOT_IN_FLIGHT_MAX
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore


async def load_group_file(
    settings: Settings, path: Path, *, options: LoadOptions = DEFAULT_OPTIONS, say: Say = lambda _: None
) -> LoadReport:
    """Load the file into both stores. Raises `GroupFileRefused`, `SettingsRefused` and the stores' faults."""
    file = read_group(path)
    if settings.valkey_url is None:
        raise SettingsRefused("TONG_VALKEY_URL is needed")
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
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


async def export_group(settings: Settings) -> dict[str, Any]:
    """Return the configuration in force as a group file says it, without members."""
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    try:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            return group_document(await stored_state(connection))
    finally:
        await pool.close()
