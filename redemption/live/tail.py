"""The ledger streams as listening members' pages read them: one reader a worker, only while somebody listens.

Guarantees:
  * A listener is given every entry of its member after the position at which it began, in order, once; entries of other
    members never. Streams without a listener are not read; a worker without listeners reads nothing.
  * Bounded: entries that wait for a slow client (`NOTICES_WAITING_MAX`; one more and the listener is `slow` and gets
    nothing), entries a read (`READ_ENTRIES`), reads a second (`PACE_SECONDS`), what is looked through for a listener
    that comes back (`RESUME_SCANNED_MAX`).
  * While the hot store is away listeners wait; what happened meanwhile comes when it is back.
Not guaranteed: that a trimmed entry can be read here. Streams are kept up to the ledger writer's watermark; what is
older is in PostgreSQL (redemption/live/history.py). Scans never wait for any of this.

Measured beside a scan (docs/explanation/performance.md): most entries concern nobody who listens, so an entry is looked
at by its member before it is decoded: 0.4 µs instead of 30.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from redemption.domain.limits import NOTICES_WAITING_MAX, RESUME_SCANNED_MAX
from redemption.hot import keys
from redemption.ledger.entries import PARTS, VERSION_2, Entry, Position, decode_entry
from redemption.ledger.streams import StreamClient, ValkeyAway, position_of
from redemption.live.raw_streams import ask

READ_ENTRIES: Final = 500
"""Entries of each stream in one read."""
BLOCK_MS: Final = 250
"""Milliseconds that a read waits, and that a listener of a further stream waits for the reader to begin with it."""
PACE_SECONDS: Final = 0.1
"""Seconds between two reads: a notice is at most this late, and a hundred scans cost one read instead of a hundred."""
AWAY_SECONDS: Final = 1.0
SCAN_PAGE_ENTRIES: Final = 1_000
_MEMBER_LINE: Final = PARTS.index(b"member")
"""The line in which functions write the member (redemption/ledger/entries.py); other places are searched."""

Fields = Mapping[bytes, bytes]
Item = tuple[Position, Fields]

logger = logging.getLogger(__name__)


class Listener:
    """One page of one member. `ended` is the reason why it receives nothing any more."""

    def __init__(self, bucket: int, member_id: str, after: Position) -> None:
        self.bucket = bucket
        self.member = member_id.encode()
        self.after = after
        """It is given what comes after this."""
        self.ended: str | None = None
        self._waiting: deque[Item] = deque()
        self._something = asyncio.Event()

    def put(self, item: Item) -> None:
        """Queue one more entry of its member."""
        if len(self._waiting) >= NOTICES_WAITING_MAX:
            self.end("slow")
        if self.ended is None:
            self._waiting.append(item)
            self._something.set()

    def end(self, reason: str) -> None:
        """End the listener; entries that waited are dropped where they were too many."""
        if self.ended is None:
            self.ended = reason
            if reason == "slow":
                self._waiting.clear()
            self._something.set()

    async def take(self, timeout_seconds: float) -> list[Item]:
        """Return the entries that came, waiting this long at most; none when the time is over or the listener ended."""
        if not self._waiting and self.ended is None:
            self._something.clear()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._something.wait()
            except TimeoutError:
                return []
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class LedgerTail:
    """The reader of one worker.

    `run` is its task; nothing is read before the first `listen`. The client is one of redemption/live/raw_streams.py.
    """

    def __init__(self, client: StreamClient) -> None:
        self._client = client
        self._listeners: dict[bytes, set[Listener]] = {}
        self._positions: dict[int, Position] = {}
        self._counts: dict[int, int] = {}
        self._wanted = asyncio.Event()
        self._closed: str | None = None

    async def last(self, bucket: int) -> Position:
        """Return the position of the newest entry of a bucket's stream. Raises `ValkeyAway`."""
        try:
            stream: Any = await self._client.xinfo_stream(keys.ledger_stream(bucket))
        except ResponseError as fault:
            if "no such key" in str(fault):
                return Position(0, 0)
            raise ValkeyAway(type(fault).__name__) from fault
        except (RedisError, OSError, TimeoutError) as fault:
            raise ValkeyAway(type(fault).__name__) from fault
        return position_of(stream["last-generated-id"])

    async def listen(self, bucket: int, member_id: str) -> Listener:
        """Return a listener from this moment on; `leave` ends it. Raises `ValkeyAway`."""
        if bucket not in self._positions:
            last = await self.last(bucket)
            self._positions.setdefault(bucket, last)  # another listener may have begun meanwhile, and read on
        listener = Listener(bucket, member_id, self._positions[bucket])
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._listeners.setdefault(listener.member, set()).add(listener)
        self._wanted.set()
        if self._closed is not None:
            listener.end(self._closed)
        return listener

    def leave(self, listener: Listener) -> None:
        """Remove a listener; a stream without listeners is no longer read."""
        listener.end("gone")
        of_member = self._listeners.get(listener.member, set())
        if listener not in of_member:
            return
        of_member.discard(listener)
        if not of_member:
            del self._listeners[listener.member]
        self._counts[listener.bucket] -= 1
        if self._counts[listener.bucket] == 0:
            del self._counts[listener.bucket], self._positions[listener.bucket]
        if not self._positions:
            self._wanted.clear()

    def close(self, reason: str) -> None:
        """End every listener, and each one that comes from now on."""
        self._closed = reason
        for of_member in self._listeners.values():
            for listener in of_member:
                listener.end(reason)

    async def kept(self, bucket: int, member_id: str, after: Position, upto: Position) -> list[Item] | None:
        """Return the member's entries that the stream still has, after `after` and up to `upto`.

        Returns None where more than `RESUME_SCANNED_MAX` entries would have to be read. Raises `ValkeyAway`.
        """
        member, found, scanned = member_id.encode(), [], 0
        least, most = f"({after.ms}-{after.seq}", f"{upto.ms}-{upto.seq}"
        while after < upto:
            try:
                page: Any = await ask(
                    self._client, "XRANGE", keys.ledger_stream(bucket), least, most, "COUNT", SCAN_PAGE_ENTRIES
                )
            except (RedisError, OSError, TimeoutError) as fault:
                raise ValkeyAway(type(fault).__name__) from fault
            found += [
                (position_of(identifier), _mapping(flat)) for identifier, flat in page if member_in(flat) == member
            ]
            scanned += len(page)
            if len(page) < SCAN_PAGE_ENTRIES:
                break
            if scanned >= RESUME_SCANNED_MAX:
                return None
            least = "(" + page[-1][0].decode()
        return found

    async def behind(self, watermarks: Mapping[int, Position], count: int) -> list[Entry]:
        """Read what the ledger does not have yet: at most `count` entries of each bucket behind its watermark.

        Entries are oldest first within a bucket; those that cannot be decoded are left out. Raises `ValkeyAway`.
        """
        if not watermarks:
            return []
        names = [keys.ledger_stream(bucket) for bucket in watermarks]
        after = [f"{position.ms}-{position.seq}" for position in watermarks.values()]
        try:
            replies: Any = await ask(self._client, "XREAD", "COUNT", count, "STREAMS", *names, *after)
        except (RedisError, OSError, TimeoutError) as fault:
            raise ValkeyAway(type(fault).__name__) from fault
        decoded = [decode_entry(_mapping(flat)) for _, entries in replies or () for _, flat in entries]
        return [entry for entry in decoded if isinstance(entry, Entry)]

    async def run(self) -> None:
        """Read until cancelled."""
        reachable = True
        while True:
            await self._wanted.wait()
            began = time.monotonic()
            try:
                behind = await self._read()
                reachable = True
            except (RedisError, OSError, TimeoutError) as fault:
                if reachable:
                    logger.warning("notices wait while the hot store is away: %s", type(fault).__name__)
                reachable = False
                await asyncio.sleep(AWAY_SECONDS)
                continue
            await asyncio.sleep(0.0 if behind else max(0.0, PACE_SECONDS - (time.monotonic() - began)))

    async def _read(self) -> bool:
        """Read every stream that has a listener once. Returns whether a stream has more."""
        wanted = sorted(self._positions)
        if not wanted:
            return False
        names = {keys.ledger_stream(bucket).encode(): bucket for bucket in wanted}
        after = [f"{self._positions[bucket].ms}-{self._positions[bucket].seq}" for bucket in wanted]
        replies: Any = await ask(
            self._client, "XREAD", "COUNT", READ_ENTRIES, "BLOCK", BLOCK_MS, "STREAMS", *names, *after
        )
        behind = False
        for name, entries in replies or ():
            behind = behind or len(entries) >= READ_ENTRIES
            self._give_out(names[name], entries)
            await asyncio.sleep(0)  # scans run in between
        return behind

    def _give_out(self, bucket: int, entries: Sequence[Any]) -> None:
        known = self._positions.get(bucket)
        if known is None:
            return  # the last listener left while the read was under way
        listeners = self._listeners
        for identifier, flat in entries:
            member = member_in(flat)
            waiting = listeners.get(member) if member is not None else None
            if waiting is None:
                continue
            position = position_of(identifier)
            if position > known:  # a new listener of this stream may have begun behind a read under way
                item = (position, _mapping(flat))
                for listener in waiting:
                    listener.put(item)
        self._positions[bucket] = max(known, position_of(entries[-1][0]))


def _mapping(flat: Sequence[bytes]) -> Fields:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def member_in(flat: Sequence[bytes]) -> bytes | None:
    """Return the member of an entry before it is decoded: in version 2 a line of its only field, in version 1 a field
    at any place."""
    if flat[0] == VERSION_2:
        lines = flat[1].split(b"\n", _MEMBER_LINE + 1)
        return lines[_MEMBER_LINE] if len(lines) > _MEMBER_LINE else None
    return next((flat[i + 1] for i in range(0, len(flat) - 1, 2) if flat[i] == b"member"), None)
