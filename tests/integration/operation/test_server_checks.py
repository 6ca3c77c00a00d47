"""What is weaker about a given server is named; what cannot be used is refused with what to do."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from redemption.domain.store_warnings import ServerUnusable
from redemption.hot.server_checks import _refuse_old, check_hot_store
from redemption.ledger.server_checks import check_ledger_store
from tests.support.servers.private_servers import free_port, private_valkey


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(url, decode_responses=True) as client:
        yield client


async def test_a_durable_valkey_has_no_weakness() -> None:
    async with private_valkey() as server:
        assert await check_hot_store(server.url, cluster=False) == ()


async def test_every_weaker_setting_of_a_valkey_is_named() -> None:
    async with private_valkey("--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru") as server:
        found = await check_hot_store(server.url, cluster=False)
    assert [(weakness.server, weakness.setting, weakness.found, weakness.wanted) for weakness in found] == [
        ("Valkey", "appendfsync", "everysec", "always"),
        ("Valkey", "maxmemory-policy", "allkeys-lru", "noeviction"),
    ]
    assert "may lose redemptions" in str(found[0])


async def test_a_server_that_forbids_config_is_used_and_said_to_be_unchecked() -> None:
    async with private_valkey() as server:
        async with client_of(server.url) as client:
            await client.execute_command("ACL", "SETUSER", "managed", "on", ">pw", "~*", "+@all", "-config")
        url = server.url.replace("redis://", "redis://managed:pw@")
        found = await check_hot_store(url, cluster=False)
    assert len(found) == 5
    assert all(weakness.found == "unknown" and "could not be checked" in weakness.meaning for weakness in found)


async def test_each_primary_of_a_cluster_is_checked() -> None:
    async with private_valkey("--cluster-enabled", "yes", "--appendfsync", "no") as server:
        async with client_of(server.url) as client:
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            while "cluster_state:ok" not in str(await client.execute_command("CLUSTER", "INFO")):
                pass  # the server answers each question; the test's time-out bounds them
        found = await check_hot_store(server.url, cluster=True)
    assert [(weakness.setting, weakness.found) for weakness in found] == [("appendfsync", "no")]


async def test_an_absent_valkey_is_refused_without_telling_the_password() -> None:
    with pytest.raises(ServerUnusable, match="TONG_VALKEY_URL") as refused:
        await check_hot_store(f"redis://:hush@127.0.0.1:{free_port()}/0", cluster=False)
    assert "hush" not in str(refused.value)


async def test_an_absent_postgres_is_refused_without_telling_the_password() -> None:
    with pytest.raises(ServerUnusable, match="TONG_POSTGRES_DSN") as refused:
        await check_ledger_store(f"postgresql://tong:hush@127.0.0.1:{free_port()}/tong")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "information",
    [
        {"redis_version": "7.0.15"},
        {"redis_version": "6.2.14"},
        {"redis_version": "7.2.4", "valkey_version": "7.2.11"},
    ],
)
def test_too_old_a_hot_store_is_refused_with_what_to_do(information: dict[str, str]) -> None:
    with pytest.raises(ServerUnusable, match=r"too old.*Upgrade"):
        _refuse_old(information)


@pytest.mark.parametrize(
    "information",
    [
        {"redis_version": "7.2.0"},
        {"redis_version": "8.4.0"},
        {"redis_version": "7.2.4", "valkey_version": "8.0.0"},
        {"redis_version": "7.2.4", "valkey_version": "9.1.2"},
    ],
)
def test_a_hot_store_that_is_new_enough_is_accepted(information: dict[str, str]) -> None:
    assert _refuse_old(information) in {"Valkey", "Redis"}
