"""The ledger writer against a real Valkey and a real PostgreSQL, in quiet weather. Storms are in tests/faults."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from redemption.hot import keys
from redemption.ledger.entries import Position, decode_entry
from redemption.ledger.store import Item, LedgerStore
from redemption.ledger.streams import LedgerStreams, StreamClient, open_stream_client
from redemption.ledger.writer import LedgerStopped, LedgerWriter, run_writer
from tests.support.ledger.ledger import (
    Acknowledged,
    EntryGenerator,
    LedgerCheck,
    add,
    connected,
    install,
    redeem_fields,
    rows_in_ledger,
)
from tests.support.ledger.old_form import write_old_form
from tests.support.ledger.writers import ledger_writer, running
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.suite.waiting import wait_until

BUCKETS = 6


@dataclass
class Place:
    """One test's servers, with what was added so far."""

    valkey: ValkeyServer
    dsn: str
    client: StreamClient
    connection: "asyncpg.Connection[Any]"
    acknowledged: Acknowledged = field(default_factory=dict)

    async def add(self, entries: list[tuple[int, dict[str, str]]]) -> None:
        await add(self.client, entries, self.acknowledged)

    async def drained(self, rows: int) -> None:
        async def written() -> bool:
            return await rows_in_ledger(self.connection) >= rows

        await wait_until(f"{rows} rows in the ledger", written)

    async def wrong(self) -> list[str]:
        return await LedgerCheck().run(self.client, self.connection, self.acknowledged, BUCKETS)


@pytest.fixture
async def place(postgres: PrivatePostgres) -> AsyncIterator[Place]:
    async with private_valkey() as valkey, postgres.fresh_database() as dsn, connected(dsn) as connection:
        client = open_stream_client(valkey.url)
        await install(client, BUCKETS)
        yield Place(valkey, dsn, client, connection)
        await client.aclose()


def redemptions(count: int, first: int = 0) -> list[tuple[int, dict[str, str]]]:
    return [(n % BUCKETS, redeem_fields(n, f"rdm_{n:06d}")) for n in range(first, first + count)]


async def test_entries_of_every_kind_arrive_once_in_order_and_sum_to_zero(place: Place) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    generator = EntryGenerator(seed, BUCKETS)
    await place.add([generator.entry() for _ in range(1_500)])
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        for _ in range(15):
            await place.add([generator.entry() for _ in range(100)])
        await place.drained(3_000)
        assert await place.wrong() == []
        status = await writer.status()
        assert (status.backlog, status.behind_seconds, status.stopped) == (0, 0.0, {})
        assert writer.figures.transactions == 3_000


async def test_more_entries_than_one_batch_in_one_bucket_do_not_hold_back_the_others(place: Place) -> None:
    await place.add([(0, redeem_fields(0, f"rdm_{n:06d}")) for n in range(5_000)])
    await place.add(redemptions(5, first=5_001))
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(5_005)
        assert await place.wrong() == []
        assert writer.figures.batches < 10


ODD_TEXTS = ("\\N", "\\.", "a\\b\\\\c", "tab\there", "two\r\nlines", "\u2028\u00a0", "茶 🍵", "quote\"'", "\x01\x7f")


async def test_texts_of_a_till_stand_in_the_ledger_as_they_were(place: Place) -> None:
    """Whatever COPY or JSON would take for a sign of its own."""
    entries: list[tuple[int, dict[str, str]]] = []
    for number, text in enumerate(ODD_TEXTS):
        entry = redeem_fields(0, f"rdm_{number}")
        context = json.loads(entry["context"])
        context |= {"business": text, "outlet": text, "terminal": text, "key": text, "note": text}
        context["bill"]["reference"] = text
        entries.append((0, {**entry, "context": json.dumps(context)}))
    await place.add(entries)
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(len(ODD_TEXTS))
    assert writer.figures.dead_letters == 0
    rows = await place.connection.fetch(
        "SELECT business, outlet, terminal, idempotency_key, bill_reference, ledger_context(t) ->> 'note', owner"
        " FROM ledger_transaction AS t JOIN ledger_posting AS p USING (bucket, epoch, entry_ms, entry_seq, occurred_at)"
        " WHERE p.line = 1 ORDER BY entry_ms, entry_seq"
    )
    assert [tuple(row) for row in rows] == [(text,) * 7 for text in ODD_TEXTS]


async def test_batches_of_huge_entries_are_cut_by_bytes_and_nothing_is_lost(place: Place) -> None:
    context = json.dumps({"business": "spa", "note": "x" * 8_000})
    await place.add([(0, {**redeem_fields(0, f"rdm_{n:06d}"), "context": context}) for n in range(1_200)])
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(1_200)
        assert await place.wrong() == []
        assert writer.figures.batches >= 3


async def test_a_writer_that_is_started_again_goes_on_where_it_was(place: Place) -> None:
    for first in (0, 300, 600):
        async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
            await place.add(redemptions(300, first))
            await place.drained(first + 300)
    assert await place.wrong() == []


async def test_two_writers_at_once_never_write_an_entry_twice(place: Place) -> None:
    assert await two_writers("shipped", place) == []


async def test_control_two_writers_without_the_fence_write_entries_twice(place: Place) -> None:
    await without_primary_keys(place.connection)
    assert any("doubled" in sentence for sentence in await two_writers("unfenced", place))


async def two_writers(variant: str, place: Place) -> list[str]:
    """What is wrong after two writers worked side by side on entries that came while they did."""
    added = 0
    async with (
        ledger_writer(place.valkey.url, place.dsn, BUCKETS, variant) as one,
        ledger_writer(place.valkey.url, place.dsn, BUCKETS, variant) as other,
        running(one),
        running(other),
    ):
        # They read the same entries when they wake up together, which the first few rounds bring about.
        while added < 1_000 or (variant == "shipped" and not fenced(one, other) and added < 20_000):
            await place.add(redemptions(100, added))
            added += 100
            await place.drained(added)
        assert variant != "shipped" or fenced(one, other), "they never met"
    return await place.wrong()


def fenced(*writers: LedgerWriter) -> bool:
    return any(writer.figures.batches_fenced for writer in writers)


async def without_primary_keys(connection: "asyncpg.Connection[Any]") -> None:
    """The keys would stop a doubled row too; a control has to show what the fence alone is worth."""
    for table in ("ledger_transaction", "ledger_dead_letter"):
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")


MALFORMED: list[dict[str, str | bytes]] = [
    {"v": "2"},
    {"kind": "steal"},
    {"member": "7"},
    {"member": "mem_zzzzzzz"},
    {"at": "soon"},
    {"moves": "points,202701.hotel,A,R"},
    {"moves": f"points,202701.hotel,A,R,{2**53}"},
    {"context": "{"},
    {"context": '{"a":"\\u0000"}'},
    {"context": b"\xff"},
    {"id": "\x00"},
    {"moves": b"\xff\x00"},
    {"extra": "1"},
    # JSON to orjson, but beyond what PostgreSQL's numeric holds: found when the database refuses the row.
    {"context": '{"business":"spa","a":1e-400000}'},
]


async def test_malformed_entries_become_dead_letters_and_the_rest_goes_on(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    stream = keys.ledger_stream(0)
    for number, changes in enumerate(MALFORMED):
        await place.add(redemptions(30, number * 30))
        bad: Any = {**redeem_fields(6, f"rdm_bad{number}"), **changes}
        await place.client.xadd(stream, bad)
    await place.client.xadd(stream, {b"\x00": b"\x00"})
    await place.add(redemptions(30, 30 * len(MALFORMED)))
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(31 * len(MALFORMED) + 31)
        assert writer.figures.dead_letters == len(MALFORMED) + 1
    assert await place.wrong() == []
    letters = await place.connection.fetch("SELECT * FROM ledger_dead_letter ORDER BY entry_ms, entry_seq")
    assert len(letters) == len(MALFORMED) + 1
    assert json.loads(letters[1]["fields"])["kind"] == "steal"
    assert letters[-2]["reason"].startswith("the database refuses it: ")
    alarms = [record.getMessage() for record in caplog.records if "dead letter" in record.getMessage()]
    assert len(alarms) == len(letters)
    assert not any("mem_" in alarm or "steal" in alarm for alarm in alarms)


async def test_trim_follows_the_watermark_and_never_passes_it(place: Place) -> None:
    streams = LedgerStreams(place.client)
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.add(redemptions(60))
        await place.drained(60)

        async def trimmed() -> bool:
            empty = all(sight.length == 0 for sight in (await streams.look(range(BUCKETS))).values())
            return empty and writer.figures.entries_trimmed == 60  # counted once the store has answered

        await wait_until("everything is trimmed and counted", trimmed)
    await place.add(redemptions(60, 60))  # nobody writes these
    marks = await place.connection.fetch("SELECT bucket, last_ms, last_seq FROM ledger_watermark")
    assert len(marks) == BUCKETS
    assert all(sight.length == 10 for sight in (await streams.look(range(BUCKETS))).values())
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer:
        await writer._begin()
        await writer._tend()
    assert all(sight.length == 10 for sight in (await streams.look(range(BUCKETS))).values())
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer:
        status = await writer.status()
        assert status.backlog == 60
        assert status.behind_seconds > 0


@pytest.mark.parametrize("epoch", ["2", "0", "nonsense"])
async def test_a_bucket_in_another_epoch_is_stopped_and_the_others_go_on(
    place: Place, epoch: str, caplog: pytest.LogCaptureFixture
) -> None:
    await place.add(redemptions(60))
    await place.client.set(keys.epoch(2), epoch)
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(50)
        assert list((await writer.status()).stopped) == [2]
        assert writer.figures.buckets_stopped == 1
        # It is found while the writer runs, too.
        await place.client.set(keys.epoch(3), epoch)

        async def stopped() -> bool:
            return writer.figures.buckets_stopped == 2

        await wait_until("bucket 3 is stopped", stopped)
        await place.add(redemptions(60, 60))
        await place.drained(90)
    assert await place.connection.fetchval("SELECT count(*) FROM ledger_transaction WHERE bucket = 2") == 0
    assert (await place.client.xlen(keys.ledger_stream(2))) == 20, "a stopped bucket must not be trimmed"
    assert "bucket 2 is stopped: the hot store is in epoch" in caplog.text


async def test_a_stream_from_an_old_backup_stops_its_bucket_at_start_and_while_running(place: Place) -> None:
    await place.add(redemptions(60))
    old = await place.client.dump(keys.ledger_stream(1))
    assert old is not None
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.add(redemptions(60, 60))
        await place.drained(120)
        await place.client.restore(keys.ledger_stream(1), 0, old, replace=True)

        async def stopped() -> bool:
            return list((await writer.status()).stopped) == [1]

        await wait_until("bucket 1 is stopped", stopped)
    # The till goes on: new entries bring the old stream's end past the watermark. It must not pass for a good one.
    after: Any = redeem_fields(1, "rdm_after")
    await place.client.xadd(keys.ledger_stream(1), after)
    await place.client.delete(keys.ledger_stream(4))
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.add(redemptions(6, 120))
        await place.drained(124)
        stopped_now = (await writer.status()).stopped
    assert stopped_now.keys() == {1, 4}
    assert stopped_now[1] == "the stream counts 10 entries up to the watermark, the ledger 20 rows"
    assert (
        await place.connection.fetchval("SELECT count(*) FROM ledger_transaction WHERE subject_id = 'rdm_after'") == 0
    )


async def test_a_writer_whose_every_bucket_is_stopped_ends_with_a_fault(place: Place) -> None:
    await install(place.client, BUCKETS, epoch=7)
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer:
        with pytest.raises(LedgerStopped, match="all 6 buckets are stopped: the hot store is in epoch 7"):
            await asyncio.wait_for(run_writer(writer, asyncio.Event()), 10)


async def test_a_hot_store_that_is_not_installed_yet_is_waited_for(place: Place) -> None:
    await place.client.flushall()
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):

        async def waiting() -> bool:
            return all(bucket.waiting for bucket in (await writer.status()).buckets)

        await wait_until("all buckets wait", waiting)
        await install(place.client, BUCKETS)
        await place.add(redemptions(60))
        await place.drained(60)
    assert await place.wrong() == []


async def test_stop_ends_an_idle_writer_at_once_and_needs_no_entries(place: Place) -> None:
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer:
        async with running(writer):
            await place.add(redemptions(1))
            await place.drained(1)
        began = asyncio.get_running_loop().time()
        async with running(writer):
            pass
        assert asyncio.get_running_loop().time() - began < 5


def test_a_writer_without_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match="without buckets"):
        LedgerWriter(LedgerStreams(open_stream_client("redis://127.0.0.1:1")), LedgerStore(None), [])  # type: ignore[arg-type]


# The tables themselves.


@pytest.fixture
async def filled(place: Place) -> Place:
    """One transaction in the ledger."""
    await place.add(redemptions(1))
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(1)
    return place


@pytest.mark.parametrize(
    "table", ["ledger_transaction", "ledger_transaction_2026_11", "ledger_posting_row", "ledger_posting_2026_11"]
)
@pytest.mark.parametrize("statement", ["UPDATE {} SET bucket = 5", "DELETE FROM {}", "TRUNCATE {}"])
async def test_what_is_written_cannot_be_changed_even_by_the_owner(filled: Place, table: str, statement: str) -> None:
    entry = decode_entry({name.encode(): value.encode() for name, value in redeem_fields(1, "rdm_old").items()})
    await write_old_form(filled.connection, [Item(1, Position(1, 0), entry, {})])
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await filled.connection.execute(statement.format(table))
    assert await filled.connection.fetchval("SELECT count(*) FROM ledger_posting") == 8


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger_posting SET amount = 5", "DELETE FROM ledger_posting", "TRUNCATE ledger_posting"]
)
async def test_the_view_of_postings_cannot_be_written(filled: Place, statement: str) -> None:
    with pytest.raises((asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.WrongObjectTypeError)):
        await filled.connection.execute(statement)


@pytest.mark.parametrize("table", ["ledger_posting_row", "ledger_posting_2026_11"])
async def test_postings_that_do_not_sum_to_zero_per_asset_are_refused(filled: Place, table: str) -> None:
    columns = "occurred_at, entry_ms, entry_seq, epoch, bucket, line, asset, account, owner, issuer, lot, amount"
    insert = f"INSERT INTO {table} ({columns}) VALUES "  # noqa: S608
    at = "'2026-11-22T00:00:00Z', 1, 0, 1, 0"
    lopsided = (
        f"({at}, 0, 'points', 'member_available', 'm', 'b', 'l', -5),"
        f" ({at}, 1, 'CNY', 'business_redeemed', 'b', 'b', 'l', 5)"
    )
    with pytest.raises(asyncpg.CheckViolationError, match="sum to zero"):
        await filled.connection.execute(insert + lopsided)
    await filled.connection.execute(insert + lopsided.replace("CNY", "points"))


async def test_a_month_is_made_once_by_many_at_the_same_time(place: Place) -> None:
    async def make(day: date) -> None:
        async with connected(place.dsn) as connection:
            await connection.execute("SELECT ledger_ensure_month($1)", day)

    await asyncio.gather(*(make(date(2031, 5, day)) for day in range(1, 9)))
    assert await place.connection.fetchval("SELECT count(*) FROM pg_class WHERE relname ~ '_2031_05$'") == 2
    for day in (date(2019, 12, 31), date(2100, 1, 1)):
        with pytest.raises(asyncpg.DataError):
            await make(day)


async def test_the_last_and_first_instants_of_a_month_find_their_partitions(place: Place) -> None:
    instants = (datetime(2026, 12, 31, 23, 59, 59, 999_000, UTC), datetime(2027, 1, 1, tzinfo=UTC))
    await place.add([(0, redeem_fields(0, f"rdm_{at.year}", at_ms=int(at.timestamp() * 1000))) for at in instants])
    async with ledger_writer(place.valkey.url, place.dsn, BUCKETS) as writer, running(writer):
        await place.drained(2)
    homes = await place.connection.fetch("SELECT tableoid::regclass::text AS home, subject_id FROM ledger_transaction")
    assert {(row["home"], row["subject_id"]) for row in homes} == {
        ("ledger_transaction_2026_12", "rdm_2026"),
        ("ledger_transaction_2027_01", "rdm_2027"),
    }


async def test_a_writer_without_ddl_rights_can_write_and_have_months_made(
    place: Place, postgres: PrivatePostgres
) -> None:
    await postgres.execute(
        "DO $$ BEGIN CREATE ROLE scribe LOGIN PASSWORD 'scribe'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    for grant in (
        "SELECT, INSERT ON ledger_transaction, ledger_dead_letter",
        "SELECT, INSERT, UPDATE ON ledger_watermark",
        "EXECUTE ON FUNCTION ledger_ensure_month(date)",
    ):
        await place.connection.execute(f"GRANT {grant} TO scribe")
    await place.add(redemptions(60))
    dsn = postgres.dsn(urlsplit(place.dsn).path.lstrip("/"), "scribe:scribe")
    async with ledger_writer(place.valkey.url, dsn, BUCKETS) as writer, running(writer):
        await place.drained(60)
        assert await place.wrong() == []
    async with connected(dsn) as connection:
        for refused in ("CREATE TABLE own (a int)", "DELETE FROM ledger_watermark", "DROP TABLE ledger_posting_row"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(refused)


async def test_look_ups_by_subject_member_and_bill_use_an_index(filled: Place) -> None:
    await filled.connection.execute("SET enable_seqscan = off")
    for condition in (
        "subject_id = 'rdm_000000'",
        "member_id = 'mem_0000000' ORDER BY occurred_at DESC",
        "business = 'restaurant' AND bill_reference = 'POS-rdm_000000'",
    ):
        plan = await filled.connection.fetch(f"EXPLAIN SELECT * FROM ledger_transaction WHERE {condition}")  # noqa: S608
        text = "\n".join(row[0] for row in plan)
        assert "Index" in text
        assert "Seq Scan" not in text
