"""The shared store of the workers' statistics: small streams and keys of the hot store, `ops:*`
(redemption/hot/keys.py).

Every worker adds a report a second; one of them, elected by a lock that expires, makes one sample a second of them;
every worker reads the samples. Guarantees: everything kept is bounded; a second has at most one sample, whoever thinks
that it is the elected one (the sample's id is its second, and ids only grow); nothing here is on the way of a scan, and
what is lost here is figures, never value. What the texts say is the gateway's (gateway/observability/stats_format.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError

from redemption.domain.limits import FIGURES_KEPT_SECONDS, REFUSALS_KEPT_MAX
from redemption.hot import keys
from redemption.ledger.streams import StreamClient, ValkeyAway
from redemption.live.raw_streams import ask

LEADER_MILLISECONDS: Final = 3_500
WRITER_SECONDS: Final = 10
REPORTS_KEPT: Final = 2_000  # half a minute of 64 workers: a new leader goes on where the last one was
PAGE_ENTRIES: Final = 300
_FIELD: Final = b"j"


class StreamEntry(NamedTuple):
    """An entry of one of the store's streams."""

    identifier: str
    text: bytes


class Memory(NamedTuple):
    """Bytes the hot store uses, and may use; None: no limit."""

    used: int
    limit: int | None


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as fault:
        raise ValkeyAway(type(fault).__name__) from fault


class StatsStore:
    """One worker's access to the store, over a client of redemption/live/raw_streams.py.

    Every call raises `ValkeyAway` when the hot store does not answer.
    """

    def __init__(self, client: StreamClient, worker: str) -> None:
        self._client = client
        self._worker = worker

    async def report(self, text: bytes, refusals: Sequence[bytes]) -> bool:
        """Add a report and its refusals. Returns whether this worker is the elected one for the next seconds.

        After a fault the report may have been added: it is sent again unchanged, and its number tells the two apart.

        After a fault the report may have been added: it is sent again unchanged, and its number tells the two apart.
        """
        with _away():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.xadd(keys.ops_reports(), {_FIELD: text}, maxlen=REPORTS_KEPT, approximate=True)
            for refusal in refusals:
                pipeline.xadd(keys.ops_refusals(), {_FIELD: refusal}, maxlen=REFUSALS_KEPT_MAX, approximate=True)
            pipeline.set(keys.ops_leader(), self._worker, nx=True, px=LEADER_MILLISECONDS)
            pipeline.get(keys.ops_leader())
            *_, leader = await pipeline.execute()
            if leader != self._worker.encode():
                return False
            await self._client.pexpire(keys.ops_leader(), LEADER_MILLISECONDS)
            return True

    async def reports_after(self, identifier: str) -> list[StreamEntry]:
        """Return the reports after a given one, oldest first; their number is bounded."""
        return await self._after(keys.ops_reports(), identifier, 2 * REPORTS_KEPT)

    async def checkpoint(self) -> bytes | None:
        """Return the latest text that `keep_checkpoint` kept."""
        with _away():
            text: Any = await self._client.get(keys.ops_board())
        return text if isinstance(text, bytes) else None

    async def keep_checkpoint(self, text: bytes) -> None:
        with _away():
            await self._client.set(keys.ops_board(), text)

    async def add_sample(self, second: int, text: bytes) -> bool:
        """Add the sample of a second (Unix). Returns False where that second, or a later one, has its sample."""
        with _away():
            try:
                await self._client.xadd(
                    keys.ops_series(),
                    {_FIELD: text},
                    id=f"{second * 1000}-0",
                    maxlen=FIGURES_KEPT_SECONDS,
                    approximate=True,
                )
            except ResponseError as fault:
                if "equal or smaller" in str(fault):
                    return False
                raise
        return True

    async def samples_after(self, second: int) -> list[StreamEntry]:
        """Return the samples after a second, oldest first."""
        return await self._after(keys.ops_series(), f"{second * 1000}-0", 2 * FIGURES_KEPT_SECONDS)

    async def refusals(self, limit: int) -> list[StreamEntry]:
        """Return the latest refusals of all workers, newest first."""
        with _away():
            found: Any = await ask(self._client, "XREVRANGE", keys.ops_refusals(), "+", "-", "COUNT", limit)
        return [_stream_entry(entry) for entry in found]

    async def refusals_after(self, identifier: str, limit: int) -> list[StreamEntry]:
        """Return the refusals after a given one, oldest first."""
        return await self._after(keys.ops_refusals(), identifier, limit)

    async def writer(self) -> bytes | None:
        """Return the ledger writer's figures of the last seconds."""
        with _away():
            text: Any = await self._client.get(keys.ops_writer())
        return text if isinstance(text, bytes) else None

    async def memory(self) -> Memory:
        with _away():
            info: Any = await self._client.info("memory")
        return Memory(info["used_memory"], info["maxmemory"] or None)

    async def _after(self, stream: str, identifier: str, most: int) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        with _away():
            while len(found) < most:
                page: Any = await ask(
                    self._client, "XRANGE", stream, f"({identifier}", "+", "COUNT", min(PAGE_ENTRIES, most - len(found))
                )
                found += [_stream_entry(entry) for entry in page]
                if len(page) < PAGE_ENTRIES:
                    break
                identifier = found[-1].identifier
        return found


async def tell_writer(client: StreamClient, text: bytes) -> None:
    """Keep the ledger writer's figures for `WRITER_SECONDS`. Raises `ValkeyAway`."""
    with _away():
        await client.set(keys.ops_writer(), text, ex=WRITER_SECONDS)


def _stream_entry(entry: Any) -> StreamEntry:
    identifier, flat = entry
    return StreamEntry(identifier.decode(), flat[1])
