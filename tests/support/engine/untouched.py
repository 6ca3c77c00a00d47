"""What must be byte for byte the same before and after a call that changed nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.servers.stack import Member, Stack

Snapshot = dict[bytes, Any]
NOT_STATE = {b"key", b"recent", b"guess", b"cancelled"}
"""Marks of answered keys and counts of calls: what a refusal may leave behind."""
GONE = -2
"""What PEXPIRETIME says of a key that is not there (any more)."""


async def snapshot(hot: Any, *members: Member) -> Snapshot:
    """Every key of the members' buckets but those of `NOT_STATE`: what DUMP gives (of a stream what was ever added,
    because the ledger writer trims it meanwhile) and when it ends by itself, in ms since 1970 (-1: never)."""
    found: Snapshot = {}
    for bucket in {member.bucket for member in members}:
        async for name in hot.scan_iter(match=f"{{b{bucket}}}:*", count=10_000):
            if name.split(b":")[1] in NOT_STATE:
                continue
            if name.endswith(b":ledger"):
                told = await hot.xinfo_stream(name)
                found[name] = (told["entries-added"], told["last-generated-id"]), -1
                continue
            content, ends_ms = await hot.dump(name), await hot.pexpiretime(name)
            if ends_ms != GONE:
                found[name] = content, ends_ms
    return found


async def changes(hot: Any, before: Snapshot, *members: Member) -> list[str]:
    """Keys that are not as they were. One whose time has come since is no change: marks of the same basket and of spent
    codes, a neighbour's too, end in their own time."""
    after = await snapshot(hot, *members)
    seconds, microseconds = await hot.time()
    now_ms = seconds * 1000 + microseconds // 1000
    ended = {name for name, (_, ends_ms) in before.items() if 0 < ends_ms <= now_ms} - after.keys()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return sorted(name.decode() for name in changed - ended)


@asynccontextmanager
async def nothing_changes(stack: Stack, *members: Member) -> AsyncIterator[None]:
    """Fails when the block changed anything of the members in the hot store. The ledger is fed by the stream alone, so
    a stream that did not grow is a ledger untouched; `find_violations` holds the two together at the end."""
    async with stack.hot() as hot:
        before = await snapshot(hot, *members)
        yield
        changed = await changes(hot, before, *members)
    assert not changed, f"changed: {changed}"
