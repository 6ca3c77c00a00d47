"""A hot store whose keys are of another version's layout is not served: said at install, put right by a rebuild."""

import pytest

from redemption.hot import keys
from redemption.hot.install import LayoutDiffers, install, open_client
from redemption.hot.library import assemble
from tests.support.servers.private_servers import private_valkey

BUCKETS = 4


@pytest.mark.parametrize("found", [None, "1", "3"], ids=["before layouts had a number", "older", "newer"])
async def test_keys_of_another_layout_are_refused_at_install(found: str | None) -> None:
    async with private_valkey() as server, open_client(server.url, cluster=False) as client:
        library = assemble()
        assert await install(client, library, BUCKETS)
        assert not await install(client, library, BUCKETS), "the second time nothing is new"
        await client.delete(keys.LAYOUT_KEY)
        if found is not None:
            await client.set(keys.LAYOUT_KEY, found)
        with pytest.raises(LayoutDiffers, match="tong rebuild"):
            await install(client, library, BUCKETS)
