"""Old months leave the ledger for files and come back; sums, chain and audit hold all the while."""

import datetime
import gzip
import hashlib
import json
import random
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from gateway.administration import ledger_archive as commands
from gateway.settings import Settings
from redemption.database import Pool
from redemption.ledger.archive.export import ArchiveRefused
from redemption.ledger.archive_files import links_of, read_manifest
from redemption.ledger.audit.ledger import Evidence, read_bucket
from redemption.ledger.chain import make_seal_key
from redemption.ledger.manifest import ArchiveDamaged, decoded, encoded
from redemption.rights import OPERATIONS, creation, statements
from tests.support.ledger.archives import (
    JUNE,
    KEY,
    archived,
    archiver,
    fill,
    findings,
    restored,
    rows,
    settled_and_sealed,
    snapshots,
)
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import Book, at, group_pool

MONTHS = ["2026-01.1", "2026-02.2", "2026-03.3", "2026-04.4", "2026-05.5"]


async def test_archived_months_leave_sums_balances_and_chain_as_they_were(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance)
    before, counted = await snapshots(pool), await rows(pool)
    report = await archived(pool, tmp_path)
    assert [month.part for month in report.months] == MONTHS
    assert (await rows(pool))[0] < counted[0] / 10
    for folder in (None, tmp_path):
        for was, now in zip(before, await snapshots(pool, folder), strict=True):
            assert [str(finding) for finding in now.findings] == []
            assert {name: total for name, total in now.totals.items() if total} == {
                name: total for name, total in was.totals.items() if total
            }
            assert (now.holdings, now.holds) == (was.holdings, was.holds)
            assert (now.rows, now.sealed_rows) == (was.rows, was.sealed_rows)
            assert now.archived[1] > 0
            assert now.not_seen == 0 if folder else now.not_seen >= 0


async def test_what_was_archived_is_put_back_as_it_was_the_last_month_first(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance)
    statement = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} AS t"
    tables = ("ledger_transaction", "ledger_posting_row")
    before = [await pool.fetchval(statement.format(table)) for table in tables]
    await archived(pool, tmp_path, drop=True)
    assert await pool.fetchval(r"SELECT count(*) FROM pg_class WHERE relname ~ 'ledger.*_part_'") == 0
    for month in reversed(MONTHS):
        assert await restored(pool, tmp_path) == month
        assert await findings(pool, tmp_path) == []
    assert [await pool.fetchval(statement.format(table)) for table in tables] == before
    with pytest.raises(ArchiveRefused, match="nothing is archived"):
        await restored(pool, tmp_path)
    # The same rows make the same files: the folders are taken as they stand.
    assert [month.part for month in (await archived(pool, tmp_path)).months] == MONTHS


async def test_a_dry_run_says_what_would_go_and_changes_nothing(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance, redemptions=40)
    counted = await rows(pool)
    report = await archived(pool, tmp_path, dry_run=True)
    assert [month.month.month for month in report.months] == [1, 2, 3, 4, 5]
    assert sum(month.transactions for month in report.months) == counted[0] - await pool.fetchval(
        "SELECT count(*) FROM ledger_transaction WHERE occurred_at >= '2026-06-01'"
    )
    assert (await rows(pool), list(tmp_path.iterdir())) == (counted, [])


async def test_a_late_entry_of_an_archived_month_gets_a_partition_and_a_part_of_its_own(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    book = await fill(pool, chance)
    await archived(pool, tmp_path)
    await book.write("issue", "iss_late", "hotel", [("points", "202712.hotel", "I", "A", 5)], at("2026-01-20T00:00"))
    await settled_and_sealed(pool)
    assert await findings(pool, tmp_path) == []
    (late,) = (await archived(pool, tmp_path)).months
    assert (late.part, late.transactions) == ("2026-01.6", 1)
    assert await findings(pool, tmp_path) == []
    assert [await restored(pool, tmp_path) for _ in range(6)] == ["2026-01.6", *reversed(MONTHS)]
    assert await findings(pool) == []


@pytest.mark.parametrize(
    ("now", "kind", "reason"),
    [
        ("2026-05-11T00:00", "none", "too young"),
        ("2026-12-01T00:00", "not sealed", "is not sealed up to"),
        ("2026-12-01T00:00", "not settled", "projection settlement_lines has not read bucket 0"),
        ("2026-12-01T00:00", "refunded lately", "rdm_1 had a step lately"),
        ("2026-12-01T00:00", "held", "rdm_held holds something"),
    ],
)
async def test_a_month_that_somebody_may_need_stays_and_the_reason_is_said(
    pool: Pool, tmp_path: Path, now: str, kind: str, reason: str
) -> None:
    book = Book(pool)
    lot = "202712.hotel"
    await book.write("issue", "iss_1", "hotel", [("points", lot, "I", "A", 90)], at("2026-01-05T00:00"))
    leg = [{"kind": "points", "points": 40, "value_minor": 40}]
    await book.write("redeem", "rdm_1", "mall", [("points", lot, "A", "R", 40)], at("2026-01-31T10:00"), legs=leg)
    if kind == "refunded lately":
        await book.write("refund", "rdm_1", "mall", [("points", lot, "R", "A", 1)], at("2026-11-20T00:00"))
    if kind == "held":
        await book.write("hold", "rdm_held", "mall", [("points", lot, "A", "H", 9)], at("2026-01-31T11:00"), legs=leg)
    if kind != "not sealed":
        await settled_and_sealed(pool)
    if kind == "not settled":
        await pool.execute("UPDATE projection_mark SET last_ms = 1 WHERE projection = 'settlement_lines'")
    (month,) = (await archiver(pool, at(now)).archive(JUNE, tmp_path)).months
    assert month.refused is not None
    assert reason in month.refused
    assert month.part is None
    assert await rows(pool) == (3, 6) if kind in ("refunded lately", "held") else (2, 4)


async def test_a_chain_that_does_not_hold_is_not_archived(pool: Pool, chance: random.Random, tmp_path: Path) -> None:
    await fill(pool, chance, redemptions=40)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE ledger_transaction SET outlet = 'out_other' WHERE subject_id = 'rdm_1'")
    with pytest.raises(ArchiveRefused, match="a row was changed, removed or put in"):
        await archived(pool, tmp_path)
    assert await pool.fetchval("SELECT count(*) FROM ledger_archive") == 0


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("UPDATE ledger_archive_balance SET amount = amount + 1 WHERE account = 'member_available'", "archive"),
        ("DELETE FROM ledger_archive WHERE part = 2", "I10"),
        ("UPDATE ledger_archive SET manifest = replace(manifest, '\"rows\": 1', '\"rows\": 2')", "I10"),
        ("UPDATE ledger_transaction SET outlet = 'x' WHERE occurred_at >= '2026-05-01'", "I10"),
    ],
)
async def test_what_is_changed_behind_an_archive_is_found(
    pool: Pool, chance: random.Random, tmp_path: Path, what: str, found: str
) -> None:
    await fill(pool, chance)
    await archived(pool, tmp_path, before=datetime.date(2026, 4, 1))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(what)
    assert found in {finding.partition(":")[0] for finding in await findings(pool)}


async def test_rows_taken_out_and_covered_by_a_segment_made_up_are_found_by_the_signature(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    """The macs of seals are in PostgreSQL: who has every right there can make a segment that fits, but not sign it."""
    await fill(pool, chance)
    await archived(pool, tmp_path, before=datetime.date(2026, 4, 1))
    row = await pool.fetchrow("SELECT manifest, mac FROM ledger_archive WHERE part = 3")
    seal = await pool.fetchrow("SELECT * FROM ledger_seal WHERE bucket = 0 ORDER BY number DESC LIMIT 1")
    assert row is not None
    assert seal is not None
    manifest = decoded(row["manifest"].encode())
    first, *others = manifest.buckets
    (segment,) = first.segments
    longer = msgspec.structs.replace(
        segment,
        last=(seal["last_ms"], seal["last_seq"]),
        rows=seal["rows_sealed"] - segment.rows_before,
        after=seal["mac"].hex(),
    )
    forged = msgspec.structs.replace(manifest, buckets=(msgspec.structs.replace(first, segments=(longer,)), *others))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE ledger_archive SET manifest = $1 WHERE part = 3", encoded(forged).decode())
        await connection.execute("DELETE FROM ledger_transaction WHERE bucket = 0 AND occurred_at < '2026-06-01'")
    found = [finding for finding in await findings(pool) if finding.startswith("I10: bucket 0")]
    assert found == [f"I10: bucket 0: archived part {MONTHS[2]}: its manifest; is not signed with this key"]


async def test_a_changed_file_is_found_by_the_audit_kept_from_dropping_and_from_being_put_back(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance)
    await archived(pool, tmp_path)
    path = tmp_path / MONTHS[-1] / "bucket-1.transactions.copy.gz"
    whole = path.read_bytes()
    text = gzip.decompress(whole)
    assert b"out_" in text
    path.write_bytes(gzip.compress(text.replace(b"out_", b"uot_", 1)))
    wrong = await findings(pool, tmp_path)
    assert any(finding.startswith("I10: bucket 1: archived rows ") and MONTHS[-1] in finding for finding in wrong), (
        wrong
    )
    assert await findings(pool) == [], "without the folder nobody looks at the files"
    report = await archived(pool, tmp_path, drop=True)
    assert report.dropped == MONTHS[:-1]
    assert MONTHS[-1] in report.not_dropped[0]
    for damaged in (path.read_bytes(), whole[: len(whole) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(ArchiveDamaged, match="was changed"):
            await restored(pool, tmp_path)
        assert any(MONTHS[-1] in finding for finding in await findings(pool, tmp_path))
    path.write_bytes(whole)
    assert await restored(pool, tmp_path) == MONTHS[-1]
    assert await findings(pool, tmp_path) == []


async def test_files_can_be_checked_and_read_without_the_product(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    book = await fill(pool, chance, redemptions=40)
    # Whatever may stand in a column comes back: quotes, tabs, backslashes, nothing at all, Chinese.
    odd = "\\ \t\n\r\x0b\x0c\x08 \"(早餐),' \\N \\."
    book.add("redeem", "rdm_odd", "hotel", [], at("2026-06-01T00:00"), legs=[{"kind": "none", "note": odd}])
    await book.flush()
    await settled_and_sealed(pool)
    report = await archived(pool, tmp_path, before=datetime.date(2026, 7, 1))
    assert report.months[-1].part == "2026-06.6"
    for month in report.months:
        assert month.part is not None
        manifest, _, _ = read_manifest(tmp_path / month.part)
        assert sum(len(list(links_of(tmp_path / month.part, each))) for each in manifest.buckets) == month.transactions
        for each in manifest.buckets:
            data = (tmp_path / month.part / each.transactions.name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == each.transactions.sha256
            assert gzip.decompress(data).count(b"\n") == each.transactions.rows
    assert await findings(pool, tmp_path) == []
    await restored(pool, tmp_path)
    context = await pool.fetchval("SELECT ledger_context(t) FROM ledger_transaction AS t WHERE subject_id = 'rdm_odd'")
    assert context["legs"][0]["note"] == odd


async def test_who_may_only_read_can_audit_before_and_after_a_month_was_archived(
    pool: Pool, chance: random.Random, tmp_path: Path
) -> None:
    await fill(pool, chance, redemptions=40)
    await pool.execute("\n".join([creation(OPERATIONS), *statements(OPERATIONS)]))
    for archive in (None, tmp_path):
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET LOCAL ROLE {OPERATIONS}")
            found = await read_bucket(connection, 1, Evidence(KEY, (), archive), lambda _: None)
            assert found.findings == []
        await archived(pool, tmp_path)


async def test_the_command_says_by_its_status_whether_every_month_went(
    postgres: PrivatePostgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        settings = Settings(home=tmp_path, postgres_dsn=SecretStr(dsn))
        make_seal_key(settings.seal_key_path())
        folder = tmp_path / "archive"
        early = datetime.date(2020, 2, 1)
        report = await commands.archive(settings, early, folder, dry_run=False, drop=False)
        assert commands.archive_status(report) == 0
        assert commands.archive_lines(report, early, folder) == ["no month before 2020-02 has rows in the ledger"]
        await Book(pool).write("issue", "iss_1", "hotel", [("points", "209912.hotel", "I", "A", 9)], at("2099-10-05"))
        for dry_run in (True, False):
            before = datetime.date(2099, 12, 1)
            report = await commands.archive(settings, before, folder, dry_run=dry_run, drop=True)
            assert commands.archive_status(report) == 1
            (line,) = commands.archive_lines(report, before, folder)
            assert line.startswith("2099-10: 1 transactions stay: it is too young")
        assert await commands.listed(settings, as_json=True) == 0
        assert json.loads(capsys.readouterr().out) == []
        with pytest.raises(ArchiveRefused, match="nothing is archived"):
            await commands.restore(settings, folder)
        assert not folder.exists()
