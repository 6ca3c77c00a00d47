"""Memory of members and redemptions in the hot store.

Per member: MEMORY USAGE of its keys (server's own count of key, value and table entry), over a sample.
Per redemption: the growth of `used_memory` over so many scans, with the ledger writer stopped, so that no stream entry
is trimmed meanwhile; and MEMORY USAGE of each kind of key, over a sample, to say what it is made of.
"""

from typing import Any, Final

from redis import Redis

from loadtest.stack import Stack
from loadtest.waiting import wait_until

SAMPLE: Final = 200
TRIM_SECONDS: Final = 20.0
KINDS_OF_A_REDEMPTION: Final = ("redemption", "key", "code", "recent")


def _mean(hot: Any, pattern: str) -> float:
    """Return the mean MEMORY USAGE of a sample of the keys of a pattern."""
    sizes = []
    for key in hot.scan_iter(match=pattern, count=1_000):
        size = hot.memory_usage(key, samples=0)
        if size is not None:
            sizes.append(size)
        if len(sizes) >= SAMPLE:
            break
    return sum(sizes) / len(sizes) if sizes else 0.0


def member_bytes(stack: Stack) -> dict[str, float]:
    """Return bytes a member: its state, its lots, both."""
    with Redis.from_url(stack.valkey_url) as hot:
        member, lots = _mean(hot, "{b*}:member:mem_*"), _mean(hot, "{b*}:lots:mem_*")
        opening = _mean(hot, "{b*}:issued:iss_opening_*")
    return {"member": member, "lots": lots, "both": member + lots, "opening_mark_until_it_expires": opening}


def redemption_parts(stack: Stack) -> dict[str, float]:
    """Return bytes of each kind of key that a redemption leaves."""
    with Redis.from_url(stack.valkey_url) as hot:
        return {kind: _mean(hot, f"{{b*}}:{kind}:*") for kind in KINDS_OF_A_REDEMPTION}


def used_memory(stack: Stack) -> int:
    """Return `used_memory`, without what clients and the log's buffers take for the moment."""
    with Redis.from_url(stack.valkey_url) as hot:
        told: Any = hot.info("memory")
        transient = int(told["mem_clients_normal"]) + int(told["mem_aof_buffer"])
        return int(told["used_memory"]) - transient


def stream_bytes(stack: Stack) -> tuple[int, int]:
    """Return bytes of all streams, and the entries in them."""
    size = entries = 0
    with Redis.from_url(stack.valkey_url) as hot:
        client: Any = hot
        for key in client.scan_iter(match="{b*}:ledger", count=1_000):
            size += client.memory_usage(key, samples=0) or 0
            entries += client.xlen(key)
    return size, entries


def wait_until_trimmed(stack: Stack) -> None:
    """Until the ledger writer has removed from the streams what it has written. Raises TimeoutError."""
    wait_until("the ledger writer has trimmed the streams", lambda: not stream_bytes(stack)[1], TRIM_SECONDS)
