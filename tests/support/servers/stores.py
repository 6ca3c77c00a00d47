"""Both stores for tests of loading, without a gateway: a migrated database and a hot store with its functions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from redemption.configuration.group_file import GroupFile, parse_group
from redemption.configuration.load import LoadOptions, LoadReport, load_group
from redemption.configuration.state import State, group_document, stored_state, wanted_state
from redemption.database import Pool, open_pool
from redemption.domain.clock import system_clock
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.install import install, open_client
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import ValkeyServer

BUCKETS = 4
Json = dict[str, Any]


def group_file(document: Json) -> GroupFile:
    """What a group file with this content says."""
    return parse_group(yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode())


def normalised(document: Json) -> Json:
    """The file as `tong export-group` would print it."""
    return group_document(wanted_state(group_file(document).group))


@dataclass
class Stores:
    """A database and a hot store that belong together."""

    pool: Pool
    store: HotStore
    hot: Any

    async def load(self, document: Json, **options: Any) -> LoadReport:
        """`tong load` of a file with this content."""
        return await self.load_file(group_file(document), **options)

    async def load_file(self, file: GroupFile, **options: Any) -> LoadReport:
        return await load_group(
            file,
            self.pool,
            self.store,
            buckets=BUCKETS,
            clock=system_clock,
            say=lambda _: None,
            options=LoadOptions(**options),
        )

    async def state(self) -> State:
        async with self.pool.acquire() as connection:
            return await stored_state(connection)

    async def exported(self) -> Json:
        """The configuration in force, as a group file says it."""
        return group_document(await self.state())

    async def version(self) -> int:
        return int(await self.pool.fetchval("SELECT version FROM configuration_version"))


@asynccontextmanager
async def stores_on(postgres: PrivatePostgres, valkey: ValkeyServer) -> AsyncIterator[Stores]:
    """Fresh stores on two servers; nothing of earlier ones is left."""
    async with postgres.fresh_database() as dsn, open_client(valkey.url, cluster=False) as client:
        await client.flushall()
        await install(client, assemble(), BUCKETS)
        pool = await open_pool(dsn, size=4)
        hot = HotConnection(Address.from_url(valkey.url), in_flight_max=1_024, name="tong-test")
        try:
            await hot.start()
            yield Stores(pool, HotStore(hot, assemble()), client)
        finally:
            await hot.close(1.0)
            await pool.close()
