"""The hot store put back from the ledger: a replay is what the functions left, and tills go on as before."""

import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.administration.members import set_member_status
from loadtest.auditor import find_violations
from redemption.hot import keys
from redemption.ledger.archive.archiving import Archiver
from redemption.ledger.archive.restore import Restorer
from redemption.ledger.rebuild import RebuildRefused
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from redemption.queries import named_queries
from tests.support.api.client import fresh_key
from tests.support.engine.http import STANDARD, Environment, points
from tests.support.ledger.life import BUCKETS, Books, Life, until_ready_names

KINDS = ("member", "lots", "holds", "redemption", "accrual", "uses", "stay", "issued", "key", "code")


@pytest.fixture
def seed() -> int:
    chosen = random.randrange(2**32)
    print(f"seed {chosen}")  # noqa: T201
    return chosen


async def content(hot: Any, kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """What the hot store holds; tombstones and refusals are guards and left out."""
    found: dict[str, Any] = {}
    async for name in hot.scan_iter(match="{b*}:*", count=5_000):
        text = name.decode()
        kind = text.split(":")[1]
        if kind not in kinds:
            continue
        type_name = await hot.type(name)
        if type_name == b"hash":
            fields = {field.decode(): value.decode() for field, value in (await hot.hgetall(name)).items()}
            if kind == "member":
                fields = {field: value for field, value in fields.items() if value != "0"}
            found[text] = (fields, await hot.ttl(name) > 0)
        elif type_name == b"zset":
            found[text] = dict(await hot.zrange(name, 0, -1, withscores=True))
        else:
            value = (await hot.get(name)).decode()
            if kind != "key" or value.split()[1] == "0":
                found[text] = (value, await hot.ttl(name) > 0)
    return found


def differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    names = before.keys() | after.keys()
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


async def test_a_replay_of_any_life_is_what_the_functions_left_behind(
    environment: Environment, books: Books, seed: int
) -> None:
    life = Life(environment, await environment.members(6, **STANDARD), seed)
    await life.live(150)
    await books.drained()
    assert [str(finding) for finding in await books.would_change()] == []
    assert (await life.repeats_that_differ())[:3] == []


async def test_a_lost_hot_store_is_given_back_whole_and_tills_go_on(
    environment: Environment, books: Books, seed: int
) -> None:
    life = Life(environment, await environment.members(6, **STANDARD), seed)
    await life.live(150)
    hold = await environment.held(life.members[0], points(5))
    other_hold = await environment.held(life.members[1], points(7))
    scan = await environment.taken(life.members[2], points(9))
    await books.drained()
    before = await content(books.hot)
    epochs = await _epochs(books)
    await books.hot.flushall()
    async with books.stack.ledger() as ledger:
        used = await ledger.fetch("SELECT bucket FROM ledger_watermark WHERE rows_in_epoch > 0")
    await books.until_frozen([row["bucket"] for row in used])
    refused = await environment.verify(life.members[0], points(1))
    assert (refused.status_code, refused.json()["code"], refused.json()["outcome"]) == (
        503,
        "unavailable",
        "not_applied",
    )
    await books.hot.set(keys.BUCKETS_KEY, BUCKETS)
    assert len(await books.findings()) > 0
    report = await books.rebuild()
    assert report.findings == []
    assert report.calls_without_key == 0
    assert differing(before, await content(books.hot)) == {}
    assert await _epochs(books) == [epoch + 1 for epoch in epochs]
    assert (await books.hot.get(keys.LAYOUT_KEY)).decode() == keys.LAYOUT
    assert (await life.repeats_that_differ())[:3] == []
    assert (await environment.step(hold, "capture", {}, "after-rebuild")).status_code == 200
    assert (await environment.step(other_hold, "void", {}, "after-rebuild-2")).status_code == 200
    assert (await environment.step(scan, "refund", {}, "after-rebuild-3")).status_code == 200
    again = Life(environment, life.members, seed + 1)
    await again.live(60)
    async with books.stack.ledger() as ledger:
        await books.until_written()
        assert await find_violations(books.hot, ledger) == []
    await books.sealed()
    assert await books.findings() == []
    assert await books.would_change() == []


async def test_after_months_were_archived_a_rebuild_begins_from_what_they_left(
    environment: Environment, books: Books, seed: int, tmp_path: Path
) -> None:
    """The clocks of archive and rebuild stand a year later: this month is old, and what the hot store has forgotten."""
    life = Life(environment, await environment.members(4, **STANDARD), seed)
    await life.live(60)
    books.seconds_later = 366 * 86_400.0
    before = datetime.fromtimestamp(time.time() + 40 * 86_400, UTC).date().replace(day=1)
    archiver = Archiver(books.pool, books.key, say=lambda _: None, clock=lambda: time.time() + books.seconds_later)
    await _end_every_hold(books, environment)
    for _ in range(2):  # the second time with what came in since: late entries of an archived month
        await books.drained()
        await books.rebuild(freeze=True)
        kept = await content(books.hot, ("member", "lots"))
        assert [name for name in kept if ":lots:" in name]
        await books.sealed()
        await Projector(books.pool, registered_projections()).run()
        report = await archiver.archive(before, tmp_path)
        assert [month.refused for month in report.months] == [None] * len(report.months)
        assert len(report.months) > 0
        assert await books.findings() == []
        await books.rebuild(freeze=True)
        assert differing(kept, await content(books.hot, ("member", "lots"))) == {}
        assert await books.would_change() == []
        await Life(environment, life.members, seed + 1).live(20)
        await _end_every_hold(books, environment)
        await books.until_written()
        await books.sealed()
        books.archive = tmp_path
        assert [finding for finding in await books.findings() if not finding.startswith("I3")] == []
    restorer = Restorer(books.pool, books.key, say=lambda _: None)
    for _ in range(await books.pool.fetchval("SELECT count(*) FROM ledger_archive")):
        await restorer.restore(tmp_path)
    books.seconds_later, books.archive = 0.0, None
    await books.rebuild(freeze=True)
    assert await books.findings() == []
    assert await books.would_change() == []


async def test_codes_that_were_revoked_stay_so_after_the_hot_store_is_lost(
    environment: Environment, books: Books
) -> None:
    revoked, other = await environment.members(2, **STANDARD)
    codes = [environment.code(member) for member in (revoked, other)]
    await set_member_status(books.stack.settings, revoked.member_id, blocked=None, revoke_codes=True)
    await books.drained()
    for member in (revoked, other):
        await books.hot.delete(keys.member(member.bucket, member.member_id))
        await books.rebuild(member.bucket, freeze=True)
    answers = [await environment.call("/v1/verify", {"code": code, "legs": []}, fresh_key()) for code in codes]
    assert [answer.status_code for answer in answers] == [409, 201]
    assert answers[0].json()["code"] == "code_revoked"


async def test_an_old_backup_of_a_bucket_is_frozen_named_and_rebuilt(environment: Environment, books: Books) -> None:
    (member,) = await environment.members(1, **STANDARD)
    bucket = member.bucket
    await environment.taken(member, points(10))
    await books.drained()
    names = [name async for name in books.hot.scan_iter(match=f"{{b{bucket}}}:*", count=5_000)]
    backup = [(name, await books.hot.pttl(name), await books.hot.dump(name)) for name in names]
    later = await environment.taken(member, points(25))
    held = await environment.held(member, points(30))
    await books.drained()
    await books.hot.delete(*[name async for name in books.hot.scan_iter(match=f"{{b{bucket}}}:*", count=5_000)])
    for name, ttl, dumped in backup:
        await books.hot.restore(name, max(ttl, 0), dumped, replace=True)
    await books.until_frozen([bucket])
    answer = await environment.verify(member, points(1))
    assert (answer.status_code, answer.json()["outcome"]) == (503, "not_applied")
    assert (await environment.step(held, "capture", {}, "k-1")).status_code in (404, 503)
    (elsewhere,) = [each for each in await environment.members(3, **STANDARD) if each.bucket != bucket][:1]
    await environment.taken(elsewhere, points(1))
    await until_ready_names(environment, bucket)
    found = await books.findings(bucket)
    assert any("frozen: " in finding for finding in found)
    assert any("I7: " in finding for finding in found)
    assert any(f"I8: bucket {bucket}: {member.member_id} points/" in finding for finding in found)
    assert any(later["redemption_id"] in str(finding) for finding in await books.would_change(bucket))
    report = await books.rebuild(bucket)
    assert report.findings == []
    assert (await environment.step(later, "refund", {}, "k-2")).status_code == 200
    assert (await environment.step(held, "capture", {}, "k-3")).status_code == 200
    await environment.taken(member, points(2))
    await books.until_written()
    await books.sealed()
    assert await books.findings(bucket) == []
    assert await books.would_change(bucket) == []


async def test_what_was_scanned_on_an_old_backup_before_the_freeze_is_carried_into_the_ledger(
    environment: Environment, books: Books
) -> None:
    (member,) = await environment.members(1, **STANDARD)
    bucket = member.bucket
    await environment.taken(member, points(10))
    await books.drained()
    stream, lots = keys.ledger_stream(bucket), keys.lots(bucket, member.member_id)
    backup = {name: await books.hot.dump(name) for name in (stream, lots)}
    await environment.taken(member, points(20))
    await books.drained()
    async with books.writer_paused():
        for name, dumped in backup.items():
            await books.hot.restore(name, 0, dumped, replace=True)
        late = await environment.taken(member, points(40))
        # The writer may have this very entry in hand: once it wakes up it is fenced.
        report = await books.rebuild(bucket, freeze=True)
    assert report.entries_carried == 1
    assert (
        sum((await environment.holdings(member)).values()) - _others(await environment.holdings(member)) == 5_000 - 70
    )
    assert (await environment.step(late, "refund", {}, "k-late")).status_code == 200
    await books.until_written()
    assert await books.findings(bucket) == []


async def test_one_member_is_rebuilt_while_the_bucket_is_frozen_and_its_epoch_stays(
    environment: Environment, books: Books
) -> None:
    (member,) = await environment.members(1, **STANDARD)
    bucket = member.bucket
    await environment.taken(member, points(10))
    await books.drained()
    lots = keys.lots(bucket, member.member_id)
    right = await books.hot.hgetall(lots)
    epoch = await books.hot.get(keys.epoch(bucket))
    await books.hot.hincrby(lots, next(iter(right)), 1_000)
    assert any(member.member_id in finding for finding in await books.findings(bucket))
    with pytest.raises(RebuildRefused, match="neither empty nor frozen"):
        await books.rebuild(bucket, member=member.member_id)
    await books.rebuild(bucket, member=member.member_id, freeze=True)
    assert await books.hot.hgetall(lots) == right
    assert await books.hot.get(keys.epoch(bucket)) == epoch
    await environment.taken(member, points(1))
    await books.drained()
    assert await books.findings(bucket) == []


async def test_where_the_ledger_lacks_an_entry_nothing_is_done_unless_the_loss_is_accepted(
    environment: Environment, books: Books
) -> None:
    (member,) = await environment.members(1, **STANDARD)
    bucket = member.bucket
    await environment.taken(member, points(10))
    await books.drained()
    async with books.writer_paused():
        await environment.taken(member, points(3))  # this one is on its way to the writer, which waits for it
        lost = await environment.taken(member, points(15))
        await environment.taken(member, points(1))
        entries = await books.hot.xrevrange(keys.ledger_stream(bucket), count=2)
        assert lost["redemption_id"] in entries[1][1][b"2"].decode().split("\n")
        await books.hot.xdel(keys.ledger_stream(bucket), entries[1][0])
    await books.until_frozen([bucket])
    found = await books.findings(bucket)
    assert any(finding.startswith(f"I3: bucket {bucket}: {lost['redemption_id']}") for finding in found), found
    # The count that differs is told as I7 where the writer had come to the end, else as the reason of the freezing.
    counted = (
        f"I7: bucket {bucket}: entries: the stream counted",
        f"frozen: bucket {bucket}: no value moves: the stream",
    )
    assert any(finding.startswith(counted) for finding in found), found
    with pytest.raises(RebuildRefused, match="accept-loss"):
        await books.rebuild(bucket)
    assert await books.hot.exists(keys.frozen(bucket))
    await books.rebuild(bucket, accept_loss=True)
    await environment.taken(member, points(2))
    await books.until_written()
    assert await books.findings(bucket) == []


async def test_a_rebuild_that_was_killed_between_the_two_stores_is_run_again_and_doubles_nothing(
    environment: Environment, books: Books
) -> None:
    (member,) = await environment.members(1, **STANDARD)
    bucket = member.bucket
    await environment.taken(member, points(10))
    await books.drained()
    right = await environment.holdings(member)
    epoch = int(await books.hot.get(keys.epoch(bucket)))
    await books.hot.set(keys.frozen(bucket), "a rebuild is under way")
    queries = named_queries("ledger", "rebuild")
    async with books.pool.acquire() as connection, connection.transaction():
        await connection.execute(queries["close_epoch"], bucket)
        await connection.execute(queries["open_epoch"], bucket, epoch + 1)
    await books.hot.delete(keys.lots(bucket, member.member_id))
    report = await books.rebuild(bucket)
    assert (report.entries_carried, report.epochs) == (0, {bucket: epoch + 2})
    assert await environment.holdings(member) == right
    await environment.taken(member, points(1))
    await books.until_written()
    assert await books.findings(bucket) == []


# What the tests share.


async def _end_every_hold(books: Books, environment: Environment) -> None:
    """Voids what is held, whoever's it is."""
    for bucket in range(BUCKETS):
        for name in await books.hot.zrange(keys.holds(bucket), 0, -1):
            assert (await environment.step({"redemption_id": name.decode()}, "void", {})).status_code == 200
    await books.drained()


async def _epochs(books: Books) -> list[int]:
    return [int(epoch) for epoch in await books.hot.mget([keys.epoch(bucket) for bucket in range(BUCKETS)])]


def _others(holdings: dict[str, int]) -> int:
    return sum(amount for name, amount in holdings.items() if not name.startswith("points/"))
