"""Put the function library and the fixed keys into a hot store. Run by `tong migrate`; workers only check.

Uses redis-py: this is not the hot path.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from redemption.domain.errors import ConflictError
from redemption.hot import keys
from redemption.hot.library import Library

Client = Any
"""redis.asyncio.Redis or RedisCluster; their stubs disagree about every return type."""


class BucketsDiffer(ConflictError):
    """The hot store was installed with another number of buckets; it can only be changed by a rebuild."""


class LayoutDiffers(ConflictError):
    """The hot store's keys are of another version's layout: this version would take used codes for unused ones."""


@asynccontextmanager
async def open_client(url: str, *, cluster: bool) -> AsyncIterator[Client]:
    """Open a redis-py client that never repeats a command by itself."""
    client: Client
    if cluster:
        client = RedisCluster.from_url(url, cluster_error_retry_attempts=0)
    else:
        client = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5.0, socket_connect_timeout=5.0)
    try:
        yield client
    finally:
        await client.aclose()


async def install(client: Client, library: Library, buckets: int) -> bool:
    """Load the library where it is missing and fix the number of buckets. Returns True where anything was new.

    Older versions stay until `prune`: workers that still run call them. Raises `BucketsDiffer`, `LayoutDiffers`.
    """
    fixed = await client.set(keys.BUCKETS_KEY, buckets, nx=True)
    found = int(await client.get(keys.BUCKETS_KEY))
    if found != buckets:
        raise BucketsDiffer(f"the hot store has {found} buckets, the settings say {buckets}")
    if fixed:
        await client.set(keys.LAYOUT_KEY, keys.LAYOUT)
    layout = await client.get(keys.LAYOUT_KEY)
    if layout != keys.LAYOUT.encode():
        found_layout = layout.decode() if layout else "1"
        raise LayoutDiffers(
            f"the hot store is of layout {found_layout}, this version works on {keys.LAYOUT}: stop every worker and "
            "run `tong rebuild --all --freeze`, which writes it anew from the ledger"
        )
    for bucket in range(buckets):
        await client.set(keys.epoch(bucket), 1, nx=True)
    present = await client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", library.name)
    if not present:
        await client.execute_command("FUNCTION", "LOAD", "REPLACE", library.source)
    return bool(fixed) or not present


async def prune(client: Client, library: Library) -> list[str]:
    """Remove every other version of the library and return their names. Only when no older worker runs."""
    removed = []
    for entry in await client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "tong_*"):
        fields = dict(zip(entry[::2], entry[1::2], strict=True)) if isinstance(entry, list) else entry
        name = fields[b"library_name"].decode()
        if name != library.name:
            await client.execute_command("FUNCTION", "DELETE", name)
            removed.append(name)
    return removed
