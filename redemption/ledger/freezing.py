"""The mark of a frozen bucket: its hot store and its ledger disagree, and nothing of value may move until a rebuild.

Guarantees: a bucket is frozen only while its hot store is in the epoch in which the disagreement was seen, so a late
freeze cannot undo a rebuild that came in between. Functions check the mark in the same step in which they would write.
"""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import WatchError

from redemption.hot import keys

REASON_CHARACTERS_MAX = 500
Client = Any


async def freeze(client: Client, bucket: int, epoch: int | None, reason: str) -> bool:
    """Freeze the bucket if its hot store still is in `epoch` (None: has none). Returns whether it is frozen now by
    this."""
    async with client.pipeline(transaction=True) as pipeline:
        await pipeline.watch(keys.epoch(bucket))
        found = await pipeline.get(keys.epoch(bucket))
        if (None if found is None else found.decode()) != (None if epoch is None else str(epoch)):
            return False
        pipeline.multi()
        pipeline.set(keys.frozen(bucket), reason[:REASON_CHARACTERS_MAX])
        try:
            await pipeline.execute()
        except WatchError:
            return False
    return True


async def frozen_buckets(client: Client, buckets: Sequence[int]) -> dict[int, str]:
    """Return the frozen buckets and why."""
    found = await client.mget([keys.frozen(bucket) for bucket in buckets])
    return {
        bucket: reason.decode(errors="replace")
        for bucket, reason in zip(buckets, found, strict=True)
        if reason is not None
    }
