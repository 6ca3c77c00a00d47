"""What things are called: as of the configuration of the moment, and as last known while PostgreSQL is away."""

import pytest

from redemption.configuration.display_names import DisplayNames, NamesAway
from redemption.database import open_pool
from tests.support.servers.stack import Stack


async def test_names_are_read_once_per_version_and_stand_while_postgresql_is_away(stack: Stack) -> None:
    pool = await open_pool(stack.demo["postgres_dsn"], size=1)
    version = 1
    book = DisplayNames(pool, lambda: version)
    try:
        first = await book.current()
        assert {business.business_id for business in first.businesses} >= {"hotel", "mall"}
        assert first.benefits is not None
        assert first.benefits["dining-80"]["zh-Hant"] == "餐飲八折"
        assert await book.current() is first
        version = 2
        second = await book.current()
        assert (second.version, second is first) == (2, False)
    finally:
        await pool.close()
    version = 3
    assert await book.current() is second  # a closed pool answers nothing
    with pytest.raises(NamesAway):
        await DisplayNames(pool, lambda: version).current()
