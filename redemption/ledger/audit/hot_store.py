"""The part of the audit that compares the hot store with the ledger, exactly, while scans go on.

How: members and holds of a bucket are read in pages, each in one step together with the end of the bucket's stream.
That end is the moment the page is true at. Once the ledger writer has passed the last of these moments, the ledger's
sums are brought forward from the snapshot to the moment of each page, and compared there. Nothing is frozen, and
nothing but the audit waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from redemption.database import Pool
from redemption.domain.errors import ConflictError
from redemption.domain.records import record_fields
from redemption.hot import keys
from redemption.ledger.audit.ledger import QUERY_SECONDS, BucketSnapshot
from redemption.ledger.entries import Position
from redemption.ledger.findings import Finding
from redemption.ledger.freezing import Client
from redemption.ledger.streams import Sight, answer_of, sight_of
from redemption.queries import named_queries

PAGE: Final = 100
DRAIN_POLL_SECONDS: Final = 0.1


class BucketMoved(ConflictError):
    """The bucket was rebuilt while it was audited: begin it again."""


@dataclass(slots=True)
class _Page:
    sight: Sight
    members: dict[str, tuple[dict[str, int], int]]  # lots by "<asset>/<lot>", points held
    holds: dict[str, dict[tuple[str, str], int] | None]  # what an open hold holds; None: it is not open


class HotAudit:
    """One bucket's hot store against its snapshot."""

    def __init__(
        self, pool: Pool, client: Client, found: BucketSnapshot, drain_seconds: float, frozen: str | None
    ) -> None:
        self._pool = pool
        self._client = client
        self._found = found
        self._drain_seconds = drain_seconds
        self._frozen = frozen
        self._queries = named_queries("ledger", "audit")

    async def compare(self) -> None:
        """Add the differences to the snapshot's findings. Raises `BucketMoved`."""
        found = self._found
        owners = [row["member_id"] for row in await self._pool.fetch(self._queries["members_of_bucket"], found.bucket)]
        owners += sorted(found.holdings.keys() - set(owners))
        pages = [await self._members(part) for part in _parts(owners)] or [await self._members([])]
        open_now = [name.decode() for name in await self._client.zrange(keys.holds(found.bucket), 0, -1)]
        pages += [await self._holds(part) for part in _parts(sorted({*open_now, *found.holds}))]
        last = pages[-1].sight
        if last.epoch != found.mark.epoch:
            if await self._watermark_epoch() != found.mark.epoch:
                raise BucketMoved
            self._say("I7", "epoch", f"hot store in epoch {last.epoch}", f"ledger in epoch {found.mark.epoch}")
        elif last.last < Position(found.mark.ms, found.mark.seq):
            self._say(
                "I7",
                "end of the stream",
                f"the stream ends at {last.last.ms}-{last.last.seq}",
                f"the ledger is at {found.mark.ms}-{found.mark.seq}: an old backup of the hot store?",
            )
        else:
            await self._follow(last)
        reached = await self._bring_forward(pages)
        if reached and last.epoch == found.mark.epoch:
            await self._count(last)

    async def _members(self, owners: Sequence[str]) -> _Page:
        bucket = self._found.bucket
        pipeline = self._client.pipeline(transaction=True)
        self._moment(pipeline)
        for owner in owners:
            pipeline.hgetall(keys.lots(bucket, owner))
            pipeline.hget(keys.member(bucket, owner), "held")
        sight, rest = await self._answers(pipeline)
        members = {
            owner: ({lot.decode(): int(amount) for lot, amount in rest[2 * i].items()}, int(rest[2 * i + 1] or 0))
            for i, owner in enumerate(owners)
        }
        return _Page(sight, members, {})

    async def _holds(self, ids: Sequence[str]) -> _Page:
        bucket = self._found.bucket
        pipeline = self._client.pipeline(transaction=True)
        self._moment(pipeline)
        for redemption_id in ids:
            pipeline.zscore(keys.holds(bucket), redemption_id)
            pipeline.get(keys.redemption(bucket, redemption_id))
        sight, rest = await self._answers(pipeline)
        holds: dict[str, dict[tuple[str, str], int] | None] = {}
        for i, redemption_id in enumerate(ids):
            deadline, text = rest[2 * i], rest[2 * i + 1]
            record = record_fields(text) if text is not None else {}
            status = record.get("status", "nothing")
            if (deadline is not None) != (status == "held"):
                where = "among the open holds" if deadline is not None else "not among the open holds"
                self._say("I9", redemption_id, where, f"record says {status}")
            holds[redemption_id] = _held(record.get("taken", "")) if status == "held" else None
        return _Page(sight, {}, holds)

    def _moment(self, pipeline: Any) -> None:
        pipeline.get(keys.epoch(self._found.bucket))
        pipeline.xinfo_stream(keys.ledger_stream(self._found.bucket))

    async def _answers(self, pipeline: Any) -> tuple[Sight, list[Any]]:
        epoch, stream, *rest = await pipeline.execute(raise_on_error=False)
        return sight_of(answer_of(epoch), stream), [answer_of(reply) for reply in rest]

    async def _watermark_epoch(self) -> int:
        row = await self._pool.fetchrow(self._queries["watermark"], self._found.bucket)
        return int(row["epoch"]) if row is not None else 0

    async def _position(self) -> Position:
        row = await self._pool.fetchrow(self._queries["watermark"], self._found.bucket)
        if row is None or row["epoch"] != self._found.mark.epoch:
            raise BucketMoved
        return Position(row["last_ms"], row["last_seq"])

    async def _follow(self, sight: Sight) -> None:
        """Wait until the ledger has what the hot store had, unless nobody takes it there."""

        async def there() -> bool:
            return await self._position() >= sight.last

        if self._frozen is not None or await wait_for(there, self._drain_seconds):
            return
        position = await self._position()
        self._say(
            "I3",
            f"entries up to {sight.last.ms}-{sight.last.seq}",
            "in the stream",
            f"after {self._drain_seconds:.0f} s the ledger is at {position.ms}-{position.seq}: is the writer running?",
        )

    async def _bring_forward(self, pages: list[_Page]) -> bool:
        """Compare every page at its moment. Returns whether the ledger has reached the last one."""
        found = self._found
        start, position = Position(found.mark.ms, found.mark.seq), await self._position()
        rows = await self._pool.fetch(
            self._queries["movements_between"],
            found.bucket,
            found.mark.epoch,
            *start,
            *max(start, min(position, pages[-1].sight.last)),
            timeout=QUERY_SECONDS,
        )
        moves = iter(rows)
        row = next(moves, None)
        for page in pages:
            while row is not None and (row["entry_ms"], row["entry_seq"]) <= page.sight.last:
                held = found.holdings[row["owner"]]
                where = (row["account"], row["asset"], row["lot"])
                held[where] = held.get(where, 0) + row["amount"]
                if row["account"] == "member_held":
                    hold = found.holds[row["subject_id"]]
                    hold[row["asset"], row["lot"]] = hold.get((row["asset"], row["lot"]), 0) + row["amount"]
                row = next(moves, None)
            self._page(page)
        return position >= pages[-1].sight.last

    def _page(self, page: _Page) -> None:
        for owner, (lots, held) in page.members.items():
            of = self._found.holdings.get(owner, {})
            wanted = {f"{a}/{lot}": amount for (account, a, lot), amount in of.items() if account == "member_available"}
            for lot in sorted(lots.keys() | wanted.keys()):
                self._pair(f"{owner} {lot}", lots.get(lot, 0), wanted.get(lot, 0))
                if lots.get(lot, 0) < 0:
                    self._say("I2", f"{owner} {lot}", f"hot store {lots[lot]}", "nothing may be negative")
            points = sum(n for (account, asset, _), n in of.items() if account == "member_held" and asset == "points")
            self._pair(f"{owner} points held", held, points)
        for redemption_id, parts in page.holds.items():
            ledger = {part: n for part, n in self._found.holds.get(redemption_id, {}).items() if n != 0}
            for asset, lot in sorted(ledger.keys() | (parts or {}).keys()):
                here = (parts or {}).get((asset, lot), 0)
                self._pair(f"hold {redemption_id} {asset}/{lot}", here, ledger.get((asset, lot), 0))

    async def _count(self, sight: Sight) -> None:
        rows = await self._pool.fetchval(
            self._queries["rows_up_to"], self._found.bucket, self._found.mark.epoch, *sight.last, timeout=QUERY_SECONDS
        )
        rows += self._found.archived.get(self._found.mark.epoch, 0)
        if rows != sight.added:
            self._say("I7", "entries", f"the stream counted {sight.added}", f"the ledger has {rows} rows of this epoch")

    def _pair(self, subject: str, here: int, there: int) -> None:
        if here != there:
            self._say("I8", subject, f"hot store {here}", f"ledger {there}")

    def _say(self, check: str, subject: str, one_side: str, other_side: str) -> None:
        self._found.findings.append(Finding(check, subject, one_side, other_side, self._found.bucket))


async def wait_for(holds: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Return whether the condition became true within this many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await holds():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(DRAIN_POLL_SECONDS)
    return True


def _parts(names: Sequence[str]) -> list[list[str]]:
    every = iter(names)
    return list(iter(lambda: list(islice(every, PAGE)), []))


def _held(taken: str) -> dict[tuple[str, str], int]:
    held: dict[tuple[str, str], int] = {}
    for words in taken.split(";") if taken else []:
        _, asset, lot, amount = words.split(",")
        held[asset, lot] = held.get((asset, lot), 0) + int(amount)
    return held
