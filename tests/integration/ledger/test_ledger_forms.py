"""Rows of the ledger in their two forms: from before migration 0014, and with their moves in a column.

What reads the ledger says the same of both; the database itself refuses moves that are not well formed; a database with
rows of both is audited, archived and put back.
"""

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import orjson
import pytest

from redemption.database import Pool
from redemption.domain.contexts import context_of
from redemption.domain.members import member_id
from redemption.ledger.archive_files import BEFORE_MOVES, described
from redemption.ledger.chain import BEGINNING, Place, links
from redemption.ledger.entries import Entry, Position, decode_entry
from redemption.ledger.manifest import FORMATS, decoded, encoded, signature
from redemption.ledger.movements import movements
from redemption.ledger.store import Item, LedgerStore, Watermark
from redemption.projections.rows import Place as RowPlace
from redemption.projections.rows import read_rows
from redemption.queries import named_queries
from tests.support.ledger.archives import KEY, archived, fill, findings, restored, rows, settled_and_sealed
from tests.support.ledger.ledger import EntryGenerator
from tests.support.ledger.old_form import KEY_COLUMNS, POSTING_COLUMNS, postings_of, write_old_form
from tests.support.ledger.plans import most_rows, plan_of
from tests.support.servers.postgres import MIGRATIONS
from tests.support.settlement.settlement import Book, at

ENTRIES = 300
MARCH = at("2026-03-01T00:00")
MONTHS = ["2026-01.1", "2026-02.2", "2026-03.3", "2026-04.4", "2026-05.5"]
END = Place(2**31 - 1, 0, 0)


def random_items(chance: random.Random) -> list[Item]:
    """Entries of every kind; contexts as scans, as steps and as nobody writes them, at one bucket each."""
    generator = EntryGenerator(chance.randrange(2**32), 1)
    items = []
    for number in range(ENTRIES):
        _, made = generator.entry()
        business = chance.choice(("hotel", "mall"))
        amount = chance.randrange(10**6)
        legs = [["p", 5, chance.randrange(9)], ["b", "tea", 1, 2], ["s", 7, 8]][: chance.randrange(4)]
        restore = ["f" * 22, chance.randrange(10**9), "nonce", chance.choice((0, 60)), chance.choice((0, 28800))]
        place = [business, "out_1", "trm_1", chance.randrange(99), f"key-{number}"]
        bill = chance.choice((None, [chance.choice((None, "POS-1\t\\")), amount, "CNY"]))
        step = dict(zip(("business", "outlet", "terminal", "rules", "key"), place, strict=True))
        context = chance.choice(
            (
                [*place, bill, legs, *restore, chance.choice((None, "stay-1"))],
                [*place, bill, legs],
                step,
                {**step, "outlet": None, "bill": {"reference": "R", "amount_minor": amount, "currency": "CNY"}},
                {"business": business, "bill": {"reference": "R"}, "restore": {"hold_seconds": 60}},
                None,
            )
        )
        fields = {name.encode(): value.encode() for name, value in made.items()}
        if context is not None:
            fields[b"context"] = orjson.dumps(context)
        entry = decode_entry(fields)
        assert isinstance(entry, Entry)
        items.append(Item(0, Position(number + 1, 0), entry, {}))
    return items


async def write_new_form(pool: Pool, items: list[Item]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        for entry in [item.content for item in items if isinstance(item.content, Entry)]:
            await connection.execute("SELECT ledger_ensure_month(to_timestamp($1)::date)", entry.at_ms // 1000)
        await LedgerStore(pool).write(connection, items, {0: Watermark(1, Position(0, 0), 0)})


VIEW = f"SELECT {', '.join((*KEY_COLUMNS, *POSTING_COLUMNS))} FROM ledger_posting ORDER BY bucket, entry_ms, line"  # noqa: S608


async def test_the_view_has_the_postings_and_the_function_the_context_that_the_old_form_would_have(
    pool: Pool, chance: random.Random
) -> None:
    items = random_items(chance)
    await write_new_form(pool, items)
    seen = [tuple(row[len(KEY_COLUMNS) :]) for row in await pool.fetch(VIEW)]
    assert seen == [
        posting for item in items if isinstance(item.content, Entry) for posting in postings_of(item.content)
    ]
    found = await pool.fetch(
        "SELECT *, ledger_context(t) AS whole, ledger_legs(context, details) AS legs FROM"
        " ledger_transaction AS t ORDER BY entry_ms"
    )
    for row, item in zip(found, items, strict=True):
        assert isinstance(item.content, Entry)
        assert row["context"] is None
        assert context_of(row) == row["whole"] == item.content.context
        assert row["legs"] == item.content.context.get("legs")


async def test_what_reads_the_ledger_says_the_same_of_both_forms(pool: Pool, chance: random.Random) -> None:
    items = random_items(chance)
    await write_new_form(pool, items)
    async with pool.acquire() as connection:
        await write_old_form(connection, [item._replace(bucket=1) for item in items])
    queries = (named_queries("ledger", "rebuild"), named_queries("ledger", "audit"))

    async def said(bucket: int) -> list[list[Any]]:
        history = await pool.fetch(queries[0]["history"], bucket, 64, None)
        balances = await pool.fetch(queries[1]["balances"], bucket)
        holds = await pool.fetch(queries[1]["open_holds"], bucket)
        moved = await pool.fetch(queries[1]["movements_between"], bucket, 1, 0, 0, 9**9, 0)
        async with pool.acquire() as connection:
            projected = await read_rows(connection, bucket, RowPlace(0, 0, 0), ENTRIES)
        return [
            [(row["member_id"], movements(row["moves"]), context_of(row)) for row in history],
            sorted(map(tuple, balances)),
            sorted(map(tuple, holds)),
            [tuple(row) for row in moved],
            [(row.subject_id, row.legs, row.moves) for row in projected],
        ]

    new, old = await said(0), await said(1)
    assert new == old
    assert all(new)


MOVE = "points,202712.hotel,A,R,5"
MALFORMED = {
    "half a move": "points,202712.hotel,A,R",
    "nothing behind a semicolon": f"{MOVE};",
    "nothing before one": f";{MOVE}",
    "nothing moved": "points,202712.hotel,A,R,0",
    "a negative amount": "points,202712.hotel,A,R,-5",
    "a fraction": "points,202712.hotel,A,R,1.5",
    "an amount that is no bigint": f"points,202712.hotel,A,R,{10**16}",
    "no account": "points,202712.hotel,A,Q,5",
    "an account by name": "points,202712.hotel,member_available,R,5",
    "no asset": ",202712.hotel,A,R,5",
    "another asset": "gold,202712.hotel,A,R,5",
    "no issuer": "points,202712.,A,R,5",
    "a lot without a month": "points,hotel,A,R,5",
    "points for ever": "points,-.hotel,A,R,5",
    "one more word": f"{MOVE},5",
    "a line break": f"{MOVE}\n",
    "a second move that is wrong": f"{MOVE};points,202712.hotel,A,A,5",
    **{f"from {letter} to itself": f"points,202712.hotel,{letter},{letter},5" for letter in "AHIRX"},
}
INSERT = """
INSERT INTO ledger_transaction (occurred_at, entry_ms, entry_seq, epoch, bucket, kind, subject_id, member_id, business,
                                moves, details, context)
VALUES ('2026-11-22T00:00Z', 1, 0, 1, 0, 'adjust', 'adj_1', 'mem_0000000', $1, $2, $3, $4)
"""


@pytest.mark.parametrize("moves", MALFORMED.values(), ids=MALFORMED.keys())
async def test_the_database_refuses_moves_that_are_not_well_formed(pool: Pool, moves: str) -> None:
    await pool.execute("SELECT ledger_ensure_month('2026-11-01')")
    with pytest.raises(asyncpg.CheckViolationError, match="ledger_transaction_moves"):
        await pool.execute(INSERT, "spa", moves, "{}", None)
    await pool.execute(
        INSERT, "spa", f"{MOVE};CNY,-.spa,R,A,7;benefit:tea.2:x,202801.a_b-c,I,X,{10**16 - 1}", "{}", None
    )


@pytest.mark.parametrize(
    ("constraint", "row"),
    [
        ("ledger_transaction_moves", (None, MOVE, "{}", None)),
        ("ledger_transaction_details", ("spa", MOVE, "7", None)),
        ("ledger_transaction_form", ("spa", MOVE, "{}", {})),
        ("ledger_transaction_form", ("spa", MOVE, None, None)),
        ("ledger_transaction_form", ("spa", None, "{}", {})),
        ("ledger_transaction_form", (None, None, None, None)),
    ],
    ids=["no business redeems", "details are a number", "both forms", "no details", "no moves", "no form"],
)
async def test_the_database_refuses_a_row_of_no_form_or_of_both(pool: Pool, constraint: str, row: tuple[Any]) -> None:
    await pool.execute("SELECT ledger_ensure_month('2026-11-01')")
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await pool.execute(INSERT, *row)


async def test_a_row_from_before_is_chained_by_the_bytes_it_always_was(pool: Pool) -> None:
    book = Book(pool, old_until=MARCH)
    await book.write(
        "redeem", "rdm_1", "mall", [("points", "202712.gym", "A", "R", 4)], at("2026-02-03T04:05"), key="k,1"
    )
    await book.write(
        "redeem", "rdm_2", "mall", [("points", "202712.gym", "A", "R", 4)], at("2026-03-03T04:05"), key="k,1"
    )
    async with pool.acquire() as connection:
        old, new = await links(connection, 0, BEGINNING, END)
    member = member_id(0)
    assert old.content == chained(
        f'(transaction,1770091500000000,0,1,1,0,redeem,rdm_1,{member},mall,out_mall_1,,"k,1",,,,'
        '"{""key"": ""k,1"", ""bill"": null, ""outlet"": ""out_mall_1"", ""business"": ""mall""}")',
        f"(1770091500000000,0,points,member_available,{member},gym,202712.gym,202712,-4)",
        "(1770091500000000,1,points,business_redeemed,mall,gym,202712.gym,202712,4)",
    )
    details = json.dumps({"business": "mall", "outlet": "out_mall_1", "bill": None, "key": "k,1"}).replace('"', '""')
    assert new.content == chained(
        f'("transaction 2",1772510700000000,0,1,2,0,redeem,rdm_2,{member},mall,out_mall_1,,"k,1",,,,'
        f'"points,202712.gym,A,R,4","{details}")'
    )


def chained(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)


async def test_months_of_both_forms_are_archived_and_put_back_as_they_were(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance, old_until=MARCH + 10 * 86_400)
    statement = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} AS t"
    tables = ("ledger_transaction", "ledger_posting_row", "ledger_posting")
    before = [await pool.fetchval(statement.format(table)) for table in tables]
    assert (
        await pool.fetchval(
            "SELECT count(DISTINCT moves IS NULL) FROM ledger_transaction WHERE occurred_at >= "
            "'2026-03-01' AND occurred_at < '2026-04-01'"
        )
        == 2
    ), "no month has both"
    assert await findings(pool) == []
    assert [month.part for month in (await archived(pool, tmp_path, drop=True)).months] == MONTHS
    assert await findings(pool, tmp_path) == await findings(pool) == []
    for month in reversed(MONTHS):
        assert await restored(pool, tmp_path) == month
        assert await findings(pool, tmp_path) == []
    assert [await pool.fetchval(statement.format(table)) for table in tables] == before


async def test_a_part_that_was_archived_before_the_new_form_is_verified_and_put_back(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance, old_until=MARCH)
    counted = await rows(pool)
    for month in (await archived(pool, tmp_path, drop=True)).months[:2]:
        assert month.part is not None
        await as_of_format_1(pool, tmp_path / month.part)
    assert await findings(pool, tmp_path) == []
    while await pool.fetchval("SELECT count(*) FROM ledger_archive"):
        await restored(pool, tmp_path)
    assert await rows(pool) == counted
    assert await findings(pool) == []


async def as_of_format_1(pool: Pool, folder: Path) -> None:
    """Writes a part again as the version before did: files without the new columns, and its own manifest."""
    manifest = decoded((folder / "manifest.json").read_bytes())
    parts = []
    for each in manifest.buckets:
        path = folder / each.transactions.name
        lines = [line.split(b"\t")[:BEFORE_MOVES] for line in gzip.decompress(path.read_bytes()).splitlines()]
        path.write_bytes(gzip.compress(b"".join(b"\t".join(line) + b"\n" for line in lines), mtime=0))
        parts.append(msgspec.structs.replace(each, transactions=described(path, each.transactions.rows)))
    text = encoded(msgspec.structs.replace(manifest, format=FORMATS[0], buckets=tuple(parts)))
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.hmac").write_text(signature(KEY, text).hex())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE ledger_archive SET manifest = $2, mac = $3 WHERE part = $1",
            manifest.part,
            text.decode(),
            signature(KEY, text),
        )


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("UPDATE ledger_transaction SET moves = replace(moves, ',A,R,', ',A,X,') WHERE subject_id = 'rdm_1'", {"I10"}),
        ("UPDATE ledger_transaction SET details = '{}' WHERE subject_id = 'rdm_1'", {"I10"}),
        ("UPDATE ledger_transaction SET moves = '' WHERE subject_id = 'rdm_1'", {"I10"}),
        ("DELETE FROM ledger_transaction WHERE subject_id = 'rdm_1'", {"I10", "I7"}),
        ("DELETE FROM ledger_transaction WHERE subject_id = 'rdm_old'", {"I10", "I7", "orphan"}),
        ("DELETE FROM ledger_posting_row WHERE line = 1", {"I10", "sum"}),
        ("UPDATE ledger_posting_row SET amount = 2 * amount", {"I10"}),
    ],
)
async def test_what_is_changed_behind_a_seal_is_found_in_a_row_of_either_form(
    pool: Pool, change: str, kinds: set[str]
) -> None:
    book = Book(pool, old_until=MARCH)
    for subject, when in (("rdm_old", "2026-02-03T00:00"), ("rdm_1", "2026-03-03T00:00")):
        await book.write("redeem", subject, "mall", [("points", "202712.gym", "A", "R", 4)], at(when))
    await settled_and_sealed(pool)
    assert await findings(pool) == []
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(change)
    assert {finding.partition(":")[0] for finding in await findings(pool)} == kinds


async def test_the_migration_is_undone_row_by_row_and_done_again_over_months_that_are_there(
    pool: Pool, chance: random.Random
) -> None:
    await fill(pool, chance, redemptions=40, old_until=MARCH)
    down, up = reversed((MIGRATIONS / "0014_moves.sql").read_text().split("-- migrate:down"))
    postings = [tuple(row) for row in await pool.fetch(VIEW)]
    contexts = await pool.fetch(
        "SELECT ledger_context(t) AS context FROM ledger_transaction AS t ORDER BY bucket, entry_ms"
    )
    async with pool.acquire() as connection:
        await connection.execute(down)
        assert [tuple(row) for row in await connection.fetch(VIEW)] == postings
        assert await connection.fetch("SELECT context FROM ledger_transaction ORDER BY bucket, entry_ms") == contexts
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("UPDATE ledger_transaction SET context = '{}'")
        await connection.execute("SELECT ledger_ensure_month('2031-01-01')")
        await connection.execute(up)
        assert [tuple(row) for row in await connection.fetch(VIEW)] == postings
    await Book(pool).write(
        "issue", "iss_late", "hotel", [("points", "202712.hotel", "I", "A", 5)], at("2026-12-01T00:00")
    )
    assert await pool.fetchval("SELECT count(*) FROM ledger_transaction WHERE moves IS NULL") == len(contexts)


SCANS = 20_000
FILL = """
INSERT INTO ledger_transaction (occurred_at, entry_ms, entry_seq, epoch, bucket, kind, subject_id, member_id, business,
                                outlet, moves, details)
SELECT timestamptz '2026-11-02Z' + n * interval '1 minute', n, 0, 1, n % 4, 'redeem', 'rdm_' || n,
       'mem_' || lpad((n % 500)::text, 7, '0'), 'mall', 'out_1', 'points,202712.gym,A,R,5;points,202801.gym,A,R,6',
       '[1,[["p",11,11]]]'
FROM generate_series(1, $1::integer) AS n
"""
MONTH = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
READS: list[tuple[str, str, str, tuple[object, ...], int]] = [
    ("live", "history", "page", ("mem_0000007", MONTH[1], 2**62, 0, 20), 100),
    ("live", "history", "after", ("mem_0000007", 10_000, 0, MONTH[0], 20), 100),
    ("live", "history", "of_subjects", (["rdm_7", "rdm_507"], "mem_0000007", 100), 100),
    ("settlement", "reconciliation", "histories", (["rdm_7", "rdm_507"], *MONTH), 100),
    ("ledger", "audit", "movements_between", (0, 1, 400, 0, 800, 0), 1_000),
    ("ledger", "seal", "content", (0, 1, 400, 0, 1, 800, 0), 1_000),
]


async def test_what_reads_some_rows_of_a_large_ledger_reads_no_more_than_these(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for month in MONTH:
            await connection.execute("SELECT ledger_ensure_month($1::date)", month.date())
        await connection.execute(FILL, SCANS)
        await connection.execute("ANALYZE ledger_transaction")
        for part, file, name, arguments, most in READS:
            plan = await plan_of(connection, named_queries(part, file)[name], *arguments)
            assert 0 < most_rows(plan) <= most, f"{name}: {plan}"
        # The control: a join reads the whole month for one redemption.
        key = "bucket, epoch, entry_ms, entry_seq, occurred_at"
        joined = f"SELECT FROM ledger_transaction AS t JOIN ledger_posting USING ({key}) WHERE t.subject_id = 'rdm_7'"
        plan = await plan_of(connection, joined)
        assert most_rows(plan) >= SCANS
