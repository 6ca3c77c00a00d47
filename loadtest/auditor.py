"""An audit from outside, over SQL and raw reads of the hot store: acknowledged answers against the ledger.

Guarantees: says each difference as a sentence; none means that every acknowledged redemption is in the ledger exactly
once, that nothing is there twice, that every transaction sums to zero per asset, that as many entries as the streams
ever had are in the ledger, and that balances replayed from the ledger are what the hot store has. Only for a drained
ledger (`drain`).
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import asyncpg
from redis import Redis

from loadtest.population import member_number

DRAIN_SECONDS: Final = 60.0
DIFFERENCES_TOLD: Final = 20


def _streams(hot: Any, buckets: int) -> int:
    """Return how many entries were ever added to all streams."""
    total = 0
    for bucket in range(buckets):
        name = f"{{b{bucket}}}:ledger"
        if hot.exists(name):
            total += int(hot.xinfo_stream(name)["entries-added"])
    return total


async def backlog(hot: Any, ledger: "asyncpg.Connection[Any]") -> int:
    """Return the entries of the streams that are not in the ledger, by its watermarks."""
    buckets = await ledger.fetchval("SELECT buckets FROM installation")
    rows = await ledger.fetchval("SELECT coalesce(sum(rows_in_epoch), 0) FROM ledger_watermark")
    return _streams(hot, buckets) - int(rows)


async def drain(valkey_url: str, postgres_dsn: str, seconds: float = DRAIN_SECONDS) -> float:
    """Wait until the ledger has every entry. Returns the seconds it took. Raises TimeoutError after `seconds`."""
    started = time.monotonic()
    ledger = await asyncpg.connect(postgres_dsn)
    try:
        with Redis.from_url(valkey_url) as hot:
            while await backlog(hot, ledger):
                if time.monotonic() - started > seconds:
                    raise TimeoutError(f"the ledger did not have every entry within {seconds:.0f} s")
                time.sleep(0.02)  # noqa: ASYNC251 - nothing else runs in this loop
    finally:
        await ledger.close()
    return time.monotonic() - started


class Auditor:
    """An auditor that compares the ledger with the answers to callers."""

    def __init__(self, valkey_url: str, postgres_dsn: str) -> None:
        self._valkey_url = valkey_url
        self._postgres_dsn = postgres_dsn

    async def differences(self, run: str, acknowledged: Iterable[tuple[str, str]], *, applied: int | None) -> list[str]:
        """Return every difference.

        `acknowledged`: (key, redemption id) as answered; `applied`: how many scans of `run` the gateway's counter says
        it applied, where nothing else was sent to it.
        """
        ledger = await asyncpg.connect(self._postgres_dsn)
        try:
            found = await _unbalanced(ledger)
            found += await _acknowledged(ledger, run, acknowledged, applied)
            with Redis.from_url(self._valkey_url) as hot:
                behind = await backlog(hot, ledger)
                if behind:
                    found.append(f"{behind} entries of the streams are not in the ledger")
                found += await _balances(hot, ledger)
        finally:
            await ledger.close()
        return found[:DIFFERENCES_TOLD]


async def _unbalanced(ledger: "asyncpg.Connection[Any]") -> list[str]:
    rows = await ledger.fetch(
        "SELECT bucket, entry_ms, entry_seq, asset, sum(amount) AS over FROM ledger_posting "
        "GROUP BY bucket, epoch, entry_ms, entry_seq, asset HAVING sum(amount) <> 0 LIMIT 20"
    )
    found = [f"entry {row['entry_ms']}-{row['entry_seq']} of bucket {row['bucket']} is not balanced" for row in rows]
    letters = await ledger.fetchval("SELECT count(*) FROM ledger_dead_letter")
    return found + ([f"{letters} entries were not understood by the writer"] if letters else [])


async def _acknowledged(
    ledger: "asyncpg.Connection[Any]", run: str, acknowledged: Iterable[tuple[str, str]], applied: int | None
) -> list[str]:
    rows = await ledger.fetch(
        "SELECT idempotency_key, subject_id FROM ledger_transaction "
        "WHERE kind IN ('redeem', 'hold') AND idempotency_key LIKE $1 || '-%'",
        run,
    )
    found = []
    keys = Counter(row["idempotency_key"] for row in rows)
    subjects = Counter(row["subject_id"] for row in rows)
    for name, times in (*keys.items(), *subjects.items()):
        if times > 1:
            found.append(f"{name} is in the ledger {times} times")
    if applied is not None and applied != len(rows):
        found.append(f"the gateway applied {applied} scans, the ledger has {len(rows)}")
    in_ledger = {(row["idempotency_key"], row["subject_id"]) for row in rows}
    missing = [key for key, subject in acknowledged if (key, subject) not in in_ledger]
    return found + [f"{key} was acknowledged and is not in the ledger" for key in missing[:DIFFERENCES_TOLD]]


async def _balances(hot: Any, ledger: "asyncpg.Connection[Any]") -> list[str]:
    """Compare members' balances, replayed from the postings, with their lots (I8)."""
    buckets = await ledger.fetchval("SELECT buckets FROM installation")
    replayed: dict[str, dict[bytes, int]] = {}
    rows = await ledger.fetch(
        "SELECT owner, asset, lot, sum(amount) AS amount FROM ledger_posting WHERE account = 'member_available' "
        "GROUP BY owner, asset, lot HAVING sum(amount) <> 0"
    )
    for row in rows:
        replayed.setdefault(row["owner"], {})[f"{row['asset']}/{row['lot']}".encode()] = int(row["amount"])
    found = []
    owners = list(replayed)
    for start in range(0, len(owners), 1_000):
        part = owners[start : start + 1_000]
        pipeline = hot.pipeline(transaction=False)
        for owner in part:
            pipeline.hgetall(f"{{b{member_number(owner) % buckets}}}:lots:{owner}")
        for owner, lots in zip(part, pipeline.execute(), strict=True):
            if {name: int(amount) for name, amount in lots.items() if int(amount)} != replayed[owner]:
                found.append(f"{owner} has other balances in the hot store than in the ledger")
    return found
