"""Rebuild of a member, a bucket or all buckets of the hot store from the ledger (redemption/ledger/replay.py).

Guarantees:
  * Only an empty or a frozen bucket is touched: nothing of value moves in it meanwhile. It is thawed as the last step.
  * What was acknowledged into the stream and is not in the ledger yet is carried into it first, fenced like the writer.
  * A bucket gets a new epoch in both stores, ledger first; the hot store's epoch, its emptied stream and the end of the
    freeze are one step. Killed at any moment the bucket stays frozen and the rebuild is run again.
  * Where the ledger lacks entries that the stream once counted, nothing is done unless that loss is accepted: the hot
    store may then be the better witness.

Memory: the keys of one member at a time.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from redemption.database import Connection, Pool
from redemption.domain.contexts import context_of
from redemption.domain.errors import RefusedError
from redemption.domain.redemptions import ACCRUAL_PREFIX, REDEMPTION_PREFIX, bucket_of_id
from redemption.hot import keys
from redemption.ledger.differences import key_differences
from redemption.ledger.entries import Position, decode_entry
from redemption.ledger.expected_state import ExpectedState, Transaction, Who
from redemption.ledger.findings import Finding
from redemption.ledger.freezing import Client, frozen_buckets
from redemption.ledger.movements import movements
from redemption.ledger.replay import Replay
from redemption.ledger.status import disagreement
from redemption.ledger.store import Item, LedgerStore
from redemption.ledger.streams import LedgerStreams, position_of
from redemption.queries import named_queries

QUERY_SECONDS: Final = 3_600.0
PAGE: Final = 500
SALVAGE_ROUNDS_MAX: Final = 1_000_000
REBUILT: Final = "lots", "redemption", "accrual", "uses", "stay", "issued"
"""Kinds of keys that are removed before a bucket is written; `holds` and `member` are replaced, guards stay."""

Say = Callable[[str], None]


class RebuildRefused(RefusedError):
    """Nothing was changed; the text says why and what to do."""


@dataclass(slots=True)
class Report:
    """The result of a rebuild, done or dry."""

    members: int = 0
    keys_written: int = 0
    entries_carried: int = 0
    calls_without_key: int = 0
    unknown_members: int = 0
    findings: list[Finding] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=dict)


class Rebuild:
    """A rebuild over one PostgreSQL and one hot store. `client` is a redis-py client that repeats nothing by itself."""

    def __init__(
        self, pool: Pool, client: Client, *, cluster: bool, say: Say, now: Callable[[], float] = time.time
    ) -> None:
        self._pool = pool
        self._client = client
        self._cluster = cluster
        self._say = say
        self._now = now
        self._queries = named_queries("ledger", "rebuild")
        self._store = LedgerStore(pool)
        self._streams = LedgerStreams(client)
        self.report = Report()

    async def compare(self, buckets: Sequence[int], member_id: str | None = None) -> Report:
        """Find what a rebuild would change, and change nothing.

        Exact for buckets in which nothing moves, once the ledger writer has caught up. Holds the names of all keys of
        the buckets.
        """
        known: set[bytes] = set()
        for bucket in buckets:
            reason = await self._disagreement(bucket)
            if reason is not None:
                self.report.findings.append(Finding("I7", "stream and ledger disagree", reason, "", bucket))
            async for who, replay in self._replays(bucket, member_id):
                image = replay.image(self._now())
                known.update(key.encode() for key in (*image.hashes, *image.strings))
                self.report.members += 1
                self.report.calls_without_key += image.without_key
                self.report.findings += await key_differences(self._client, who, image)
        if member_id is None:
            async for page in pages(self._client, "{b*}:*"):
                self.report.findings += [
                    Finding("I8", name.decode(), "in the hot store", "not in the ledger", _rebuilt_in(name, buckets))
                    for name in page
                    if _rebuilt_in(name, buckets) is not None and name not in known
                ]
        return self.report

    async def rebuild(
        self, buckets: Sequence[int], member_id: str | None = None, *, freeze: bool = False, accept_loss: bool = False
    ) -> Report:
        """Rebuild the buckets.

        Raises `RebuildRefused` before anything was changed, and the stores' faults, which leave buckets frozen.
        """
        before = await frozen_buckets(self._client, buckets)
        for bucket in buckets:
            empty = not await self._client.exists(keys.ledger_stream(bucket))
            if bucket not in before and not empty and not freeze:
                raise RebuildRefused(
                    f"bucket {bucket} is neither empty nor frozen; --freeze stops its members' scans for the rebuild"
                )
        thawed = [bucket for bucket in buckets if bucket not in before]
        for bucket in thawed:
            await self._client.set(keys.frozen(bucket), "a rebuild is under way")
        try:
            for bucket in buckets:
                await self._check(bucket, member_id, accept_loss=accept_loss)
        except RebuildRefused:
            for bucket in thawed:
                await self._client.delete(keys.frozen(bucket))
            raise
        for bucket in buckets:
            await self._carry(bucket)
        if member_id is not None:
            await self._write_members(buckets[0], member_id)
            for bucket in thawed:
                await self._client.delete(keys.frozen(bucket))
            return self.report
        await self._remove(buckets)
        for bucket in buckets:
            await self._write_members(bucket, None)
            await self._next_epoch(bucket)
            self._say(f"bucket {bucket}: epoch {self.report.epochs[bucket]}, {self.report.members} members so far")
        if len(set(buckets)) == int(await self._pool.fetchval("SELECT buckets FROM installation")):
            await self._client.set(keys.LAYOUT_KEY, keys.LAYOUT)
        return self.report

    async def _check(self, bucket: int, member_id: str | None, *, accept_loss: bool) -> None:
        reason = await self._loss(bucket)
        if reason is not None and not accept_loss:
            raise RebuildRefused(
                f"bucket {bucket}: {reason}. What the hot store knows more than the ledger would be lost: look first "
                "(--dry-run), then accept it with --accept-loss"
            )
        if member_id is not None and (reason := await self._disagreement(bucket)) is not None:
            raise RebuildRefused(f"bucket {bucket}: {reason}: rebuild the whole bucket")

    async def _disagreement(self, bucket: int) -> str | None:
        mark = (await self._store.watermarks([bucket]))[bucket]
        sight = (await self._streams.look([bucket]))[bucket]
        behind = await self._streams.count_up_to(bucket, mark.position)
        return disagreement(mark, sight, behind)

    async def _loss(self, bucket: int) -> str | None:
        """Return whether entries of this epoch were counted by the stream and are neither in it nor in the ledger."""
        mark = (await self._store.watermarks([bucket]))[bucket]
        sight = (await self._streams.look([bucket]))[bucket]
        if sight.epoch != mark.epoch or sight.last < mark.position:
            return None
        passed = sight.added - (sight.length - await self._streams.count_up_to(bucket, mark.position))
        if passed > mark.rows:
            return f"the stream counted {passed} entries up to the watermark, the ledger has {mark.rows} rows"
        return None

    async def _carry(self, bucket: int) -> None:
        """Carry the entries of the stream that the ledger does not have yet. The bucket is frozen: no more come."""
        for _ in range(SALVAGE_ROUNDS_MAX):
            marks = await self._store.watermarks([bucket])
            mark = marks[bucket]
            after = mark.position
            epoch = (await self._streams.look([bucket]))[bucket].epoch
            if epoch is not None and epoch < mark.epoch:
                closed = await self._pool.fetchrow(self._queries["closed_epoch"], bucket, epoch)
                if closed is not None:
                    after = max(after, Position(closed["last_ms"], closed["last_seq"]))
            found: Any = await self._client.xrange(
                keys.ledger_stream(bucket), min=f"({after.ms}-{after.seq}", count=PAGE
            )
            if not found:
                return
            items = [Item(bucket, position_of(name), decode_entry(fields), fields) for name, fields in found]
            if await self._store.commit(items, marks) is not None:
                self.report.entries_carried += len(items)

    async def _replays(self, bucket: int, member_id: str | None) -> AsyncIterator[tuple[Who, Replay]]:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(named_queries("ledger", "audit")["keep_months"])
            row = await connection.fetchrow(self._queries["configuration"])
            if row is None:
                raise RebuildRefused("no group is loaded; run `tong load GROUP.yaml` first")
            replay: Replay | None = None
            who: Who | None = None
            cursor = connection.cursor(
                self._queries["history"], bucket, row["buckets"], member_id, prefetch=PAGE, timeout=QUERY_SECONDS
            )
            async for found in cursor:
                if who is None or replay is None or found["member_id"] != who.member_id:
                    if who is not None and replay is not None:
                        yield who, replay
                    who = _who(found, row, bucket, cluster=self._cluster)
                    replay = Replay(who)
                    self.report.unknown_members += found["tier_id"] is None
                if found["kind"] == "opening":
                    replay.open(found["context"], _lots(found["moves"]))
                elif found["kind"] is not None:
                    replay.take(_transaction(found))
            if who is not None and replay is not None:
                yield who, replay

    async def _remove(self, buckets: Sequence[int]) -> None:
        """Remove the keys of the buckets' members, and answers under keys that name their redemptions.

        This is one walk over the whole key space.
        """
        installed = int(await self._pool.fetchval("SELECT buckets FROM installation"))
        for bucket in buckets:
            await self._client.delete(keys.holds(bucket))
        async for page in pages(self._client, "{b*}:*"):
            stale = [name for name in page if _rebuilt_in(name, buckets) is not None]
            answers = [name for name in page if kind_of(name) == "key"]
            if answers:
                values = await self._client.mget(answers)
                stale += [
                    name
                    for name, value in zip(answers, values, strict=True)
                    if _bucket_named(value, installed) in buckets
                ]
            if stale:
                await self._client.delete(*stale)

    async def _write_members(self, bucket: int, member_id: str | None) -> None:
        async for who, replay in self._replays(bucket, member_id):
            if not who.tier:
                continue  # the configuration does not have the member, so nobody can scan
            image = replay.image(self._now())
            self.report.findings += [
                Finding("I2", f"{who.member_id} {lot}", f"the ledger says {amount}", "nothing may be negative", bucket)
                for lot, amount in replay.negative.items()
            ]
            await self._write(who, image)
            self.report.members += 1
            self.report.calls_without_key += image.without_key

    async def _write(self, who: Who, image: ExpectedState) -> None:
        """Write all keys of one member in one step."""
        member = keys.member(who.bucket, who.member_id)
        revoked = await self._client.hget(member, "codes_valid_from") or who.codes_valid_from
        async with self._client.pipeline(transaction=not self._cluster) as pipeline:
            pipeline.delete(member, keys.lots(who.bucket, who.member_id))
            for key, fields in image.hashes.items():
                pipeline.delete(key)
                pipeline.hset(key, mapping=fields)
            for key, text in image.strings.items():
                pipeline.set(key, text)
            for key, forgotten_at in image.forgotten_at.items():
                pipeline.pexpireat(key, int(forgotten_at * 1000))
            if image.holds:
                pipeline.zadd(keys.holds(who.bucket), image.holds)
            if revoked is not None:
                pipeline.hset(member, "codes_valid_from", revoked)
            await pipeline.execute()
        self.report.keys_written += len(image.hashes) + len(image.strings)

    async def _next_epoch(self, bucket: int) -> None:
        found = await self._client.get(keys.epoch(bucket))
        async with self._pool.acquire() as connection, connection.transaction():
            mark = await connection.fetchrow(self._queries["lock_watermark"], bucket)
            assert mark is not None
            epoch = max(mark["epoch"], int(found or 0)) + 1
            await connection.execute(self._queries["close_epoch"], bucket)
            await connection.execute(self._queries["open_epoch"], bucket, epoch)
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.delete(keys.ledger_stream(bucket))
            pipeline.set(keys.epoch(bucket), epoch)
            pipeline.delete(keys.frozen(bucket))
            await pipeline.execute()
        self.report.epochs[bucket] = epoch


async def buckets_installed(connection: Connection) -> int:
    """Return how many buckets the installation has. Raises `RebuildRefused` where there is none."""
    found = await connection.fetchval("SELECT buckets FROM installation")
    if found is None:
        raise RebuildRefused("no group is loaded; run `tong load GROUP.yaml` first")
    return int(found)


async def pages(client: Client, pattern: str) -> AsyncIterator[list[bytes]]:
    """Yield names of keys, some at a time; one may come twice (SCAN)."""
    page: list[bytes] = []
    async for name in client.scan_iter(match=pattern, count=1_000):
        page.append(name)
        if len(page) >= PAGE:
            yield page
            page = []
    if page:
        yield page


def bucket_of_key(name: bytes) -> int | None:
    """Return the bucket in a key's hash tag."""
    number = name[2 : name.find(b"}")]
    return int(number) if name.startswith(b"{b") and number.isdigit() else None


def kind_of(name: bytes) -> str:
    """Return the kind of a key, after its hash tag: lots, redemption …"""
    words = name.split(b":", 2)
    return words[1].decode(errors="replace") if len(words) > 1 else ""


def _rebuilt_in(name: bytes, buckets: Sequence[int]) -> int | None:
    bucket = bucket_of_key(name)
    return bucket if bucket in buckets and kind_of(name) in REBUILT else None


def _bucket_named(value: bytes | None, installed: int) -> int | None:
    """Return the bucket of the redemption or accrual that an idempotency record answers with."""
    words = (value or b"").split()
    if len(words) < 3 or words[1] != b"0":
        return None
    subject = words[2].decode(errors="replace")
    found = [bucket_of_id(prefix, subject, installed) for prefix in (REDEMPTION_PREFIX, ACCRUAL_PREFIX)]
    return next((bucket for bucket in found if bucket is not None), None)


def _who(found: Any, group: Any, bucket: int, *, cluster: bool) -> Who:
    return Who(
        found["member_id"],
        bucket,
        found["tier_id"] or "",
        found["display_name"] or "",
        found["status"] or "blocked",
        ZoneInfo(group["time_zone"]),
        group["currencies"] or {},
        group["buckets"],
        cluster,
        found["codes_valid_from"],
    )


def _transaction(row: Any) -> Transaction:
    return Transaction(
        row["at_ms"],
        row["kind"],
        row["subject_id"],
        movements(row["moves"]),
        context_of(row),
    )


def _lots(opening: str | None) -> list[tuple[str, str, int]]:
    """Read lots from `<asset>,<lot>,<amount>;…`."""
    words = [lot.split(",") for lot in (opening or "").split(";") if lot]
    return [(asset, lot, int(amount)) for asset, lot, amount in words]
