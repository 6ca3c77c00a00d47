"""Checks that a given Valkey or Redis is as durable as promised (design.md, "What is promised").

Guarantees: too old a version raises ServerUnusable; every weaker setting is returned by name, also when
it could not be read (managed servers forbid CONFIG). On a cluster every primary is asked. Nothing is
changed on the server.
"""

from collections.abc import Mapping
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from redemption.domain.store_warnings import ConfigurationWarning, ServerUnusable

CONNECT_SECONDS: Final = 5.0
VALKEY_MIN: Final = (8, 0)
REDIS_MIN: Final = (7, 2)

UNKNOWN: Final = "unknown"
"""The value of a setting that may not be read."""

PROMISED: Final[Mapping[str, tuple[str, str]]] = {
    "appendonly": ("yes", "a crash loses everything since the last snapshot"),
    "appendfsync": ("always", "a crash may lose redemptions that were already answered"),
    "no-appendfsync-on-rewrite": ("no", "while the log is rewritten a crash may lose answered redemptions"),
    "maxmemory-policy": ("noeviction", "when memory is full, balances or used-code marks may vanish"),
    "aof-load-truncated": ("no", "a log that was cut short is loaded without a word"),
}


async def check_hot_server(client: "Redis") -> tuple[ConfigurationWarning, ...]:
    """Check one server through a connected client. Raises ServerUnusable; other faults pass through."""
    information: Mapping[str, Any] = await client.info("server")
    name = _refuse_old(information)
    try:
        return _weaknesses(name, await client.config_get(*PROMISED))
    except exceptions.ResponseError:  # NoPermissionError is one too
        return _weaknesses(name, {})


async def check_hot_store(url: str, *, cluster: bool) -> tuple[ConfigurationWarning, ...]:
    """Connect, check (on a cluster: each primary) and disconnect. Raises ServerUnusable."""
    try:
        return await _check_cluster(url) if cluster else await _check_one(url)
    except (exceptions.RedisError, OSError, ValueError) as error:
        raise ServerUnusable(
            f"Valkey at TONG_VALKEY_URL cannot be used: {error}. "
            "Check that it runs, and the address, user and password; "
            "or unset TONG_VALKEY_URL for a private one."
        ) from error


async def _check_one(url: str) -> tuple[ConfigurationWarning, ...]:
    async with Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=CONNECT_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        return await check_hot_server(client)


async def _check_cluster(url: str) -> tuple[ConfigurationWarning, ...]:
    # The keys are an ordered set, because primaries mostly share their weaknesses.
    found: dict[ConfigurationWarning, None] = {}
    async with RedisCluster.from_url(
        url, decode_responses=True, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS
    ) as client:
        for primary in client.get_primaries():
            name = _refuse_old(await client.info("server", target_nodes=primary))
            try:
                settings = await client.config_get(*PROMISED, target_nodes=primary)
            except exceptions.ResponseError:
                settings = {}
            found.update(dict.fromkeys(_weaknesses(name, settings)))
    return tuple(found)


def _weaknesses(name: str, found: Mapping[Any, Any]) -> tuple[ConfigurationWarning, ...]:
    weaknesses = []
    for setting, (wanted, meaning) in PROMISED.items():
        value = found.get(setting)
        if value is None:
            unknown = f"could not be checked (CONFIG is not allowed here); if it is weaker, {meaning}"
            weaknesses.append(ConfigurationWarning(name, setting, UNKNOWN, wanted, unknown))
        elif value != wanted:
            weaknesses.append(ConfigurationWarning(name, setting, value, wanted, meaning))
    return tuple(weaknesses)


def _refuse_old(information: Mapping[str, Any]) -> str:
    """Return the server's name for messages. Raises ServerUnusable where it is too old."""
    valkey = information.get("valkey_version")
    name, version, least = (
        ("Valkey", str(valkey), VALKEY_MIN)
        if valkey
        else ("Redis", str(information.get("redis_version", "0")), REDIS_MIN)
    )
    if _numbers(version) < least:
        raise ServerUnusable(
            f"{name} {version} is too old: Valkey 8.0 or Redis 7.2 or newer is needed. "
            "Upgrade it, or unset TONG_VALKEY_URL to use the private one."
        )
    return name


def _numbers(version: str) -> tuple[int, int]:
    parts = version.split(".")
    return (int(parts[0]), int(parts[1]) if len(parts) > 1 else 0)
