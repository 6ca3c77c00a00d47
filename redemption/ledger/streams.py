"""The ledger streams of the hot store, as the ledger writer sees them.

Guarantees: every call is bounded in entries and time; nothing is removed but by `trim`, which never passes the
watermark it was given; nothing is written but the mark of a frozen bucket. Every reading says which server process it
came from, so that a restart in between (an old backup restored, a fail-over) cannot go unseen. What goes wrong on the
way to the hot store is a `ValkeyAway`.

One server only: the reads name several hash slots at once. A cluster needs one reader per node.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from redemption.domain.errors import StorageError
from redemption.hot import keys
from redemption.ledger.entries import Position
from redemption.ledger.freezing import freeze

ANSWER_SECONDS: Final = 5.0  # a server that takes longer is away; reads block far shorter
BUCKETS_PER_TRANSACTION: Final = 8  # a MULTI stops every scan for its duration
COUNT_PAGE_ENTRIES: Final = 1_000
COUNT_ENTRIES_MAX: Final = 10_000_000  # untrimmed entries at or below a watermark are counted up to here

Fields = Mapping[bytes, bytes]
StreamClient = Redis


class ValkeyAway(StorageError):
    """The hot store did not answer, or not as a server in service does.

    The text names the kind of fault, no content.
    """


class Reading(NamedTuple):
    """Entries per bucket in stream order, and the server process they were read from."""

    entries: dict[int, list[tuple[Position, Fields]]]
    server: str


class Sight(NamedTuple):
    """The state of a bucket's stream at one moment. A stream that does not exist has added nothing."""

    epoch: int | None  # None: the bucket was never installed in this hot store
    added: int
    length: int
    last: Position
    first: Position | None
    poisoned: bool = False  # it is True where the key holds something that is no stream


def open_stream_client(url: str) -> StreamClient:
    """Open a client that never retries by itself (redis-py does unless configured) and never waits without a bound."""
    client: StreamClient = Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        protocol=2,
        decode_responses=False,
    )
    return client


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as fault:
        raise ValkeyAway(type(fault).__name__) from fault


def position_of(identifier: bytes) -> Position:
    """Return `b"1795346948396-2"` as a position."""
    ms, _, seq = identifier.partition(b"-")
    return Position(int(ms), int(seq))


def trim_bound(watermark: Position) -> str:
    """Return the least id that is kept when everything up to and including `watermark` is trimmed."""
    return f"{watermark.ms}-{watermark.seq + 1}" if watermark.seq < 2**64 - 1 else f"{watermark.ms + 1}-0"


class LedgerStreams:
    """The streams of all buckets on one server."""

    def __init__(self, client: StreamClient) -> None:
        self._client = client

    async def read(self, positions: Mapping[int, Position], limit: int, block_ms: int) -> Reading:
        """Read at most about `limit` entries after `positions`, waiting up to `block_ms` for the first one.

        Every bucket gets its share first, what is left goes to the buckets that have more, so that one busy bucket
        neither starves the others nor is held to its share. At least one entry per bucket, whatever the limit.
        """
        buckets = {keys.ledger_stream(bucket).encode(): bucket for bucket in positions}
        after: dict[Any, Any] = {key: f"{positions[b].ms}-{positions[b].seq}" for key, b in buckets.items()}
        share = max(1, limit // len(buckets))
        entries: dict[int, list[tuple[Position, Fields]]] = {}
        with _away():
            replies: Any = await self._client.xread(after, count=share, block=block_ms)
            for key, found in replies:
                entries[buckets[key]] = [(position_of(identifier), fields) for identifier, fields in found]
            more = [bucket for bucket, found in entries.items() if len(found) == share]
            left = limit - sum(map(len, entries.values()))
            extra = left // len(more) if more else 0
            pipeline: Pipeline = self._client.pipeline(transaction=False)
            if extra > 0:
                for bucket in more:
                    last = entries[bucket][-1][0]
                    pipeline.xrange(keys.ledger_stream(bucket), min=f"({last.ms}-{last.seq}", count=extra)
            pipeline.info("server")
            *rest, server = await pipeline.execute()
        for bucket, found in zip(more, rest, strict=False):
            entries[bucket] += [(position_of(identifier), fields) for identifier, fields in found]
        return Reading(entries, server["run_id"])

    async def server(self) -> str:
        """Return a value that identifies the server process; another value means that it was restarted or replaced."""
        with _away():
            return str((await self._client.info("server"))["run_id"])

    async def look(self, buckets: Sequence[int]) -> dict[int, Sight]:
        """Return each bucket's epoch and stream, each pair at one moment. Changes nothing."""
        return (await self._look(buckets, {}))[1]

    async def trim(self, watermarks: Mapping[int, Position]) -> tuple[int, dict[int, Sight]]:
        """Remove what is at or below each watermark, exactly, and look at the stream in the same moment.

        Afterwards `added - length` of a bucket is the number of entries that were ever trimmed. Returns how many
        entries this call removed, and the sights.
        """
        return await self._look(sorted(watermarks), watermarks)

    async def _look(self, buckets: Sequence[int], trimmed: Mapping[int, Position]) -> tuple[int, dict[int, Sight]]:
        removed = 0
        sights: dict[int, Sight] = {}
        with _away():
            for start in range(0, len(buckets), BUCKETS_PER_TRANSACTION):
                part = buckets[start : start + BUCKETS_PER_TRANSACTION]
                pipeline: Pipeline = self._client.pipeline(transaction=True)
                for bucket in part:
                    stream = keys.ledger_stream(bucket)
                    if bucket in trimmed:
                        pipeline.xtrim(stream, minid=trim_bound(trimmed[bucket]), approximate=False)
                    pipeline.get(keys.epoch(bucket))
                    pipeline.xinfo_stream(stream)
                # XINFO of a stream that does not exist is an error, and one of the answers.
                replies = iter(await pipeline.execute(raise_on_error=False))
                for bucket in part:
                    if bucket in trimmed:
                        count = next(replies)
                        removed += 0 if is_wrong_type(count) else answer_of(count)
                    sights[bucket] = sight_of(answer_of(next(replies)), next(replies))
        return removed, sights

    async def count_up_to(self, bucket: int, watermark: Position) -> int:
        """Return how many entries at or below the watermark are still in the stream. Reads them page by page."""
        counted = 0
        after = "-"
        upper = f"{watermark.ms}-{watermark.seq}"
        with _away():
            while counted < COUNT_ENTRIES_MAX:
                page: Any = await self._client.xrange(
                    keys.ledger_stream(bucket), min=after, max=upper, count=COUNT_PAGE_ENTRIES
                )
                counted += len(page)
                if len(page) < COUNT_PAGE_ENTRIES:
                    break
                after = "(" + page[-1][0].decode()
        return counted

    async def freeze(self, bucket: int, epoch: int | None, reason: str) -> bool:
        """Freeze a bucket whose hot store is in this epoch. Returns False where it is in another one by now."""
        with _away():
            return await freeze(self._client, bucket, epoch, reason)

    async def oldest_after(self, positions: Mapping[int, Position]) -> dict[int, Position | None]:
        """Return the first entry after each position, None where there is none."""
        if not positions:
            return {}
        with _away():
            pipeline: Pipeline = self._client.pipeline(transaction=False)
            for bucket, position in positions.items():
                pipeline.xrange(keys.ledger_stream(bucket), min=f"({position.ms}-{position.seq}", count=1)
            replies = await pipeline.execute(raise_on_error=False)
        for found in replies:
            if not is_wrong_type(found):
                answer_of(found)
        return {
            bucket: position_of(found[0][0]) if found and not is_wrong_type(found) else None
            for bucket, found in zip(positions, replies, strict=True)
        }


def is_wrong_type(reply: Any) -> bool:
    """Return whether a reply says that the key holds another type than expected."""
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")


def answer_of(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def sight_of(epoch: bytes | None, stream: Any) -> Sight:
    number = int(epoch) if epoch is not None and epoch.isdigit() else None
    if isinstance(stream, ResponseError) and "no such key" in str(stream):
        return Sight(number, 0, 0, Position(0, 0), None)
    if is_wrong_type(stream):
        return Sight(number, 0, 0, Position(0, 0), None, poisoned=True)
    answer_of(stream)
    first = stream["first-entry"]
    return Sight(
        number,
        stream["entries-added"],
        stream["length"],
        position_of(stream["last-generated-id"]),
        position_of(first[0]) if first else None,
    )
