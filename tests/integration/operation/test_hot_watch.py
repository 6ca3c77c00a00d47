"""A worker's look at the hot store: is the library there, how long is the backlog. On a private Valkey."""

import pytest

from gateway.observability.hot_store_health import EMPTY, LIBRARY_MISSING, HotStoreHealth, LibraryCheck
from gateway.problems.documents import Problem
from redemption.hot import keys
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from tests.support.servers.hot import ask, connected
from tests.support.servers.private_servers import private_valkey
from tests.support.suite.waiting import wait_until

BUCKETS = 4


async def test_a_missing_library_is_a_reason_until_it_is_back() -> None:
    library = assemble()
    async with private_valkey() as server, connected(server.port) as hot:
        watch = HotStoreHealth(hot, library, BUCKETS, 100)
        await watch.look()
        assert watch.reasons == [EMPTY]
        await ask(hot, "SET", keys.epoch(0), 1)
        await watch.look()
        assert watch.reasons == [LIBRARY_MISSING]
        await ask(hot, "FUNCTION", "LOAD", library.source)
        await watch.look()
        assert watch.reasons == []


async def test_a_server_that_was_emptied_and_one_that_is_away_are_told_apart() -> None:
    library = assemble()
    check = LibraryCheck(library)
    async with private_valkey() as server:
        hot = HotConnection(Address(port=server.port), in_flight_max=8, on_connect=check)
        await hot.start()
        try:
            watch = HotStoreHealth(hot, library, BUCKETS, 100, check)
            await watch.look()
            assert (hot.connected, watch.reasons) == (False, [EMPTY])
            server.kill()
            await wait_until("the server is found to be away", lambda: watch.reasons == ["hot store not connected"])
        finally:
            await hot.close(1.0)


async def test_a_full_backlog_refuses_until_a_tenth_of_it_is_carried_away() -> None:
    library = assemble()
    async with private_valkey() as server, connected(server.port) as hot:
        await ask(hot, "FUNCTION", "LOAD", library.source)
        watch = HotStoreHealth(hot, library, BUCKETS, 20)
        for number in range(20):
            await watch.look()
            assert watch.backlog == number
            assert not watch.backlog_full
            watch.refuse_if_full()
            await ask(hot, "XADD", keys.ledger_stream(number % BUCKETS), "*", "v", "1")
        await watch.look()
        with pytest.raises(Problem, match="too far behind") as refused:
            watch.refuse_if_full()
        assert (refused.value.kind.status, refused.value.unknown) == (503, False)
        assert any("TONG_BACKLOG_MAX" in reason for reason in watch.reasons)
        for length, is_full in ((18, True), (17, False)):
            await ask(hot, "XTRIM", keys.ledger_stream(0), "MAXLEN", "=", length - 15)  # the other three have 15
            await watch.look()
            assert (watch.backlog, watch.backlog_full) == (length, is_full)


async def test_a_stream_that_is_none_and_a_store_that_is_away_leave_the_rest_of_the_look_as_it_was() -> None:
    library = assemble()
    async with private_valkey() as server, connected(server.port) as hot:
        await ask(hot, "FUNCTION", "LOAD", library.source)
        watch = HotStoreHealth(hot, library, BUCKETS, 2)
        await ask(hot, "SET", keys.ledger_stream(0), "not a stream")
        for bucket in (1, 2):
            await ask(hot, "XADD", keys.ledger_stream(bucket), "*", "v", "1")
        await watch.look()
        assert (watch.backlog, watch.backlog_full) == (2, True)
        server.kill()
        await watch.look()
        assert (watch.backlog, watch.backlog_full) == (2, True)
        assert "hot store not connected" in watch.reasons
