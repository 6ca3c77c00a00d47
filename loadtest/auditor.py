"""The audit from outside: invariants over both stores by SQL and raw reads, and what callers were answered.

`find_violations` judges everything that both stores hold; the tests and the judge of the drills use it too. `Auditor`
holds the ledger against the answers of a load test. It imports nothing of the product.

Guarantees: says each difference as a sentence; no sentence means that every transaction sums to zero, that nothing is
negative, that as many entries as the streams ever had are in the ledger, that the ledger has the entries that the
streams still hold, and that balances replayed from the ledger are those of the hot store. Only for a drained ledger.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import asyncpg
from redis.asyncio import Redis

from loadtest import layout

HotClient = Any
"""redis.asyncio.Redis; its stubs disagree about every return type."""
Connection = Any
"""An asyncpg connection, or one that a pool lends."""
EntryId = tuple[int, int]
"""Milliseconds and sequence of a stream entry."""
Seen = Mapping[tuple[int, str], Mapping[str, str]]
"""By bucket and id: the lines of stream entries that somebody saw (layout.parts)."""

DRAIN_SECONDS: Final = 60.0
DIFFERENCES_TOLD: Final = 20
PLACES: Final = ("member_available", "member_held", "business_redeemed", "expired")
"""Accounts that hold what businesses issued. None of them may be negative."""
_BATCH: Final = 1_000


async def find_violations(
    hot: HotClient, ledger: Connection, *, dead_letters: int = 0, seen: Seen | None = None
) -> list[str]:
    """Return what breaks I1, I2, I3, I7 or I8, each sentence beginning with the invariant.

    `dead_letters`: how many entries that cannot be understood were put into the streams. `seen`: further entries than
    those that the streams still hold.
    """
    return [
        *await wrong_sums(ledger, dead_letters=dead_letters),
        *await wrong_streams(hot, ledger),
        *await wrong_entries(hot, ledger, seen or {}),
        *await wrong_balances(hot, ledger),
    ]


async def wrong_sums(ledger: Connection, *, dead_letters: int = 0) -> list[str]:
    """Return what breaks I1 and I2 over the whole ledger, and dead letters that are missing or too many."""
    wrong = []
    if uneven := await ledger.fetchval(layout.UNBALANCED):
        wrong.append(f"I1: {uneven} transactions do not sum to zero")
    letters = await ledger.fetchval(layout.DEAD_LETTERS)
    if letters != dead_letters:
        wrong.append(f"I7: {letters} stream entries were not understood by the ledger, {dead_letters} were put in")
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for row in await ledger.fetch(layout.TOTALS):
        totals[row["asset"]][row["account"]] = row["total"]
    for asset, of in totals.items():
        found = sum(of[place] for place in PLACES)
        if -of["business_issued"] != found:
            wrong.append(f"I1: {asset}: {-of['business_issued']} issued, {found} found")
        wrong += [f"I2: {asset}: {place} is {of[place]}" for place in PLACES if of[place] < 0]
    return wrong


async def _streams(hot: HotClient, ledger: Connection) -> dict[int, tuple[int, EntryId]]:
    """Return by bucket the entries ever added and the last id; buckets without a stream are left out."""
    found = {}
    for bucket in range(await ledger.fetchval(layout.INSTALLED_BUCKETS)):
        if await hot.exists(layout.stream(bucket)):
            told = await hot.xinfo_stream(layout.stream(bucket))
            milliseconds, _, sequence = told["last-generated-id"].decode().partition("-")
            found[bucket] = (int(told["entries-added"]), (int(milliseconds), int(sequence)))
    return found


async def is_drained(hot: HotClient, ledger: Connection) -> bool:
    """Return whether the watermarks are at the ends of the streams. Counts of rows cannot tell once a bucket had more
    than one epoch."""
    marks = {row["bucket"]: (row["last_ms"], row["last_seq"]) for row in await ledger.fetch(layout.WATERMARKS)}
    return all(marks.get(bucket, (0, 0)) >= last for bucket, (_, last) in (await _streams(hot, ledger)).items())


async def wrong_streams(hot: HotClient, ledger: Connection) -> list[str]:
    """Return what breaks I7: entries added = rows of the epoch = what the watermark counted, and the watermark is where
    the stream ends."""
    wrong = []
    rows = {(row["bucket"], row["epoch"]): row["rows"] for row in await ledger.fetch(layout.ROWS_OF_EPOCHS)}
    streams = await _streams(hot, ledger)
    marks = {mark["bucket"]: mark for mark in await ledger.fetch(layout.WATERMARKS)}
    for bucket, mark in marks.items():
        added, last = streams.get(bucket, (0, None))
        written = rows.get((bucket, mark["epoch"]), 0)
        if not added == written == mark["rows_in_epoch"]:
            wrong.append(f"I7: bucket {bucket}: {added} added, {written} rows, watermark {mark['rows_in_epoch']}")
        if (last or written) and last != (mark["last_ms"], mark["last_seq"]):
            wrong.append(f"I7: bucket {bucket}: watermark {mark['last_ms']}-{mark['last_seq']}, stream ends {last}")
    return wrong + [f"I7: bucket {bucket} has a stream and no watermark" for bucket in streams.keys() - marks.keys()]


async def wrong_entries(hot: HotClient, ledger: Connection, seen: Seen) -> list[str]:
    """Return what breaks I3: each entry that is in a stream, or was seen in one, is one transaction with its moves."""
    wrong = []
    entries: dict[tuple[int, str], Mapping[str, str]] = dict(seen)
    for bucket in range(await ledger.fetchval(layout.INSTALLED_BUCKETS)):
        for identifier, lines in await layout.entries(hot, bucket):
            entries[bucket, identifier] = lines
    found: dict[tuple[int, int, int], list[tuple[Any, ...]]] = defaultdict(list)
    for bucket, ms, sequence, *told in await ledger.fetch(layout.ENTRIES):
        found[bucket, ms, sequence].append(tuple(told))
    postings: dict[tuple[int, int, int], list[tuple[Any, ...]]] = defaultdict(list)
    for bucket, ms, sequence, *line in await ledger.fetch(layout.POSTINGS):
        postings[bucket, ms, sequence].append(tuple(line))
    for (bucket, entry), fields in entries.items():
        if "moves" not in fields or "id" not in fields:
            continue  # not an entry of the product; the dead letters are counted
        milliseconds, _, sequence_text = entry.partition("-")
        place = (bucket, int(milliseconds), int(sequence_text))
        expected = (fields["id"], fields["member"], fields["kind"])
        if found[place] != [expected]:
            wrong.append(f"I3: entry {bucket}/{entry} is {expected}, the ledger has {found[place]}")
        elif postings[place] != _postings(fields["moves"]):
            wrong.append(f"I3: entry {bucket}/{entry} moves {fields['moves']}, the ledger has {postings[place]}")
    return wrong


def _postings(moves: str) -> list[tuple[str, str, str, int]]:
    """Return asset, lot, account and amount of the two postings of each move."""
    found = []
    for move in filter(None, moves.split(";")):
        asset, lot, source, target, amount = move.split(",")
        found += [(asset, lot, layout.LETTERS[source], -int(amount)), (asset, lot, layout.LETTERS[target], int(amount))]
    return found


async def wrong_balances(hot: HotClient, ledger: Connection) -> list[str]:
    """Return what breaks I2 and I8: members hold in the hot store what the ledger's postings leave them."""
    replayed = {
        (row["owner"], f"{row['asset']}/{row['lot']}"): row["amount"] for row in await ledger.fetch(layout.BALANCES)
    }
    replayed |= {(row["owner"], "held"): row["amount"] for row in await ledger.fetch(layout.POINTS_HELD)}
    stored: dict[tuple[str, str], int] = {}
    names = [name async for name in hot.scan_iter(match=layout.ALL_LOTS, count=_BATCH)]
    for name, lots in await _in_batches(hot, names, "hgetall"):
        stored |= {(layout.member_of_key(name), lot.decode()): int(amount) for lot, amount in lots.items()}
    names = [name async for name in hot.scan_iter(match=layout.ALL_MEMBERS, count=_BATCH)]
    for name, held in await _in_batches(hot, names, "hget", layout.HELD_FIELD):
        stored[layout.member_of_key(name), "held"] = int(held or 0)
    wrong = [f"I2: {owner} {what} is {amount}" for (owner, what), amount in stored.items() if amount < 0]
    for place in sorted(replayed.keys() | stored.keys()):
        here, there = stored.get(place, 0), replayed.get(place, 0)
        if here != there:
            wrong.append(f"I8: {place[0]} {place[1]}: {here} in the hot store, {there} replayed from the ledger")
    return wrong


async def _in_batches(hot: HotClient, names: list[bytes], command: str, *arguments: str) -> list[tuple[bytes, Any]]:
    """Return each name with the reply of a command on it."""
    found: list[tuple[bytes, Any]] = []
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        pipeline = hot.pipeline(transaction=False)
        for name in part:
            getattr(pipeline, command)(name, *arguments)
        found += zip(part, await pipeline.execute(), strict=True)
    return found


async def drain(valkey_url: str, postgres_dsn: str, seconds: float = DRAIN_SECONDS) -> float:
    """Wait until the ledger has every entry and return the seconds it took. Raises TimeoutError after `seconds`."""
    started = time.monotonic()
    ledger = await asyncpg.connect(postgres_dsn)
    try:
        async with Redis.from_url(valkey_url) as hot:
            while not await is_drained(hot, ledger):
                if time.monotonic() - started > seconds:
                    raise TimeoutError(f"the ledger did not have every entry within {seconds:.0f} s")
                await asyncio.sleep(0.02)
    finally:
        await ledger.close()
    return time.monotonic() - started


class Auditor:
    """An auditor that compares the ledger with the answers to callers."""

    def __init__(self, valkey_url: str, postgres_dsn: str) -> None:
        self._valkey_url = valkey_url
        self._postgres_dsn = postgres_dsn

    async def differences(self, run: str, acknowledged: Iterable[tuple[str, str]], *, applied: int | None) -> list[str]:
        """Return every difference. Entries that the streams still hold are left to `find_violations`: a load test's are
        many, and I7 counts them.

        `acknowledged`: (key, redemption id) as answered. `applied`: how many scans of `run` the gateway's counter says
        it applied, where nothing else was asked of it.
        """
        ledger = await asyncpg.connect(self._postgres_dsn)
        try:
            async with Redis.from_url(self._valkey_url) as hot:
                found = [
                    *await wrong_sums(ledger),
                    *await _acknowledged(ledger, run, acknowledged, applied),
                    *await wrong_streams(hot, ledger),
                    *await wrong_balances(hot, ledger),
                ]
        finally:
            await ledger.close()
        return found[:DIFFERENCES_TOLD]


async def _acknowledged(
    ledger: Connection, run: str, acknowledged: Iterable[tuple[str, str]], applied: int | None
) -> list[str]:
    """Return acknowledged redemptions that are not in the ledger exactly once."""
    rows = await ledger.fetch(layout.SCANS_OF_RUN, run)
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
