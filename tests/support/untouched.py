"""What must be byte for byte the same before and after a call that changed nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.stack import Member, Stack

Snapshot = dict[bytes, Any]
NOT_STATE = {b"key", b"rate", b"guess"}
"""Marks of answered keys and counts of calls: what a refusal may leave behind."""


async def snapshot(hot: Any, *members: Member) -> Snapshot:
    """Every key of the members' buckets but those of `NOT_STATE`, as DUMP gives it, and whether it has a TTL; of a
    stream what was ever added, because the ledger writer trims it meanwhile. The mark of a neighbour's last basket ends
    by itself after a minute."""
    ours = {member.member_id.encode() for member in members}
    found: Snapshot = {}
    for bucket in {member.bucket for member in members}:
        async for name in hot.scan_iter(match=f"{{b{bucket}}}:*", count=5000):
            words = name.split(b":")
            if words[1] in NOT_STATE or (words[1] == b"recent" and words[2] not in ours):
                continue
            if name.endswith(b":ledger"):
                told = await hot.xinfo_stream(name)
                found[name] = (told["entries-added"], told["last-generated-id"])
            else:
                found[name] = (await hot.dump(name), await hot.ttl(name) > 0)
    return found


async def transactions_of(ledger: Any, *members: Member) -> int:
    """How many transactions the ledger has of the members."""
    return int(
        await ledger.fetchval(
            "SELECT count(*) FROM ledger_transaction WHERE member_id = ANY ($1::text[])",
            [member.member_id for member in members],
        )
    )


@asynccontextmanager
async def nothing_changes(stack: Stack, *members: Member) -> AsyncIterator[None]:
    """Fails when the block changed anything of the members in the hot store. The ledger is fed by the stream alone, so
    a stream that did not grow is a ledger untouched; `find_violations` holds the two together at the end."""
    async with stack.hot() as hot:
        before = await snapshot(hot, *members)
        yield
        after = await snapshot(hot, *members)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    assert not changed, f"changed: {changed}"
