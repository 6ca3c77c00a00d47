"""`tong audit` finds what was done to either store, names it with both sides, and is quiet beside a live stack."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from gateway.workers.sealer import export_heads, read_heads
from loadtest.stack import TONG
from redemption.hot import keys
from redemption.ledger.chain import SealKey
from tests.support.engine.http import STANDARD, Environment, points
from tests.support.ledger.life import BUCKETS, Books
from tests.support.servers.load import load_on
from tests.support.servers.stack import Member, Stack


@asynccontextmanager
async def as_superuser(books: Books) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A session whose triggers are off, as one with every right can have it; what it did is undone at the end."""
    async with books.stack.ledger() as ledger:
        tables = ("ledger_transaction", "ledger_seal")
        for table in tables:
            await ledger.execute(f"CREATE TEMP TABLE saved_{table} AS TABLE {table}")
        await ledger.execute("SET session_replication_role = replica")
        try:
            yield ledger
        finally:
            for table in tables:
                await ledger.execute(f"DELETE FROM {table}")  # noqa: S608
                await ledger.execute(f"INSERT INTO {table} SELECT * FROM saved_{table}")  # noqa: S608


async def one_scan(environment: Environment, books: Books) -> tuple[Member, str]:
    """A member and a redemption of theirs, in the ledger and sealed."""
    (member,) = await environment.members(1, **STANDARD)
    taken = await environment.taken(member, points(10))
    await books.drained()
    await books.sealed()
    assert await books.findings(member.bucket) == []
    return member, str(taken["redemption_id"])


async def test_a_row_edited_as_superuser_is_found_by_the_chain_and_its_stretch_is_named(
    environment: Environment, books: Books
) -> None:
    member, redemption_id = await one_scan(environment, books)
    async with as_superuser(books) as ledger:
        row = await ledger.fetchrow(
            "UPDATE ledger_transaction SET outlet = 'out_other' WHERE subject_id = $1 RETURNING entry_ms, entry_seq",
            redemption_id,
        )
        assert row is not None
        (found,) = await books.findings(member.bucket)
    assert found.startswith(f"I10: bucket {member.bucket}: rows ")
    assert f"up to epoch 1 entry {row['entry_ms']}-{row['entry_seq']}" in found
    assert "a row was changed, removed or put in" in found


async def test_an_amount_edited_in_a_move_is_found_by_the_chain_and_as_a_balance_with_both_sides(
    environment: Environment, books: Books
) -> None:
    member, redemption_id = await one_scan(environment, books)
    async with as_superuser(books) as ledger:
        await ledger.execute(
            "UPDATE ledger_transaction SET moves = replace(moves, ',10', ',15') WHERE subject_id = $1",
            redemption_id,
        )
        found = await books.findings(member.bucket)
    assert {finding.partition(":")[0] for finding in found} == {"I10", "I8"}
    (balance,) = [finding for finding in found if finding.startswith("I8")]
    assert f"{member.member_id} points/" in balance
    assert balance.endswith("hot store 590; ledger 585")


async def test_a_deleted_transaction_is_found_by_chain_count_balance_and_its_record(
    environment: Environment, books: Books
) -> None:
    member, redemption_id = await one_scan(environment, books)
    async with as_superuser(books) as ledger:
        await ledger.execute("DELETE FROM ledger_transaction WHERE subject_id = $1", redemption_id)
        found = await books.findings(member.bucket)
    assert {finding.partition(":")[0] for finding in found} == {"I10", "I7", "I8", "I3"}
    (record,) = [finding for finding in found if finding.startswith("I3")]
    assert redemption_id in record
    assert any(finding.startswith("I7") and "rows" in finding for finding in found)


async def test_a_transaction_put_in_by_hand_is_found(environment: Environment, books: Books) -> None:
    member, redemption_id = await one_scan(environment, books)
    async with as_superuser(books) as ledger:
        await ledger.execute(
            "INSERT INTO ledger_transaction (occurred_at, entry_ms, entry_seq, epoch, bucket, kind, subject_id, "
            "member_id, moves, details) SELECT occurred_at, entry_ms - 1, 0, epoch, bucket, 'adjust', 'adj_1', "
            "member_id, '', '{}' FROM ledger_transaction WHERE subject_id = $1",
            redemption_id,
        )
        found = await books.findings(member.bucket)
    assert {finding.partition(":")[0] for finding in found} == {"I10", "I7"}


async def test_the_end_cut_off_with_its_seals_is_found_by_an_exported_head(
    environment: Environment, books: Books, tmp_path: Any
) -> None:
    member, redemption_id = await one_scan(environment, books)
    file = tmp_path / "heads.json"
    file.write_text(await export_heads(books.stack.settings))
    heads = read_heads(file)
    assert await books.findings(member.bucket, heads=[head for head in heads if head.bucket == member.bucket]) == []
    async with as_superuser(books) as ledger:
        for table in ("ledger_transaction", "ledger_seal"):
            condition = "last_ms" if table == "ledger_seal" else "entry_ms"
            await ledger.execute(
                f"DELETE FROM {table} WHERE bucket = $1 AND {condition} >= "  # noqa: S608
                "(SELECT entry_ms FROM saved_ledger_transaction WHERE subject_id = $2)",
                member.bucket,
                redemption_id,
            )
        found = await books.findings(member.bucket, heads=[head for head in heads if head.bucket == member.bucket])
    assert any(finding.startswith(f"I10: bucket {member.bucket}: exported head at") for finding in found)


async def test_a_chain_made_with_another_key_is_said_to_be_that(environment: Environment, books: Books) -> None:
    member, _ = await one_scan(environment, books)
    books.key = SealKey(b"another key of thirty-two bytes!")
    found = await books.findings(member.bucket)
    assert found
    assert all("this key is" in finding for finding in found)


async def test_a_balance_edited_in_the_hot_store_is_found_with_both_sides(
    environment: Environment, books: Books
) -> None:
    member, _ = await one_scan(environment, books)
    lots = keys.lots(member.bucket, member.member_id)
    name = sorted(await books.hot.hgetall(lots))[-1].decode()
    before = int(await books.hot.hincrby(lots, name, 7)) - 7
    hold_key = keys.member(member.bucket, member.member_id)
    await books.hot.hset(hold_key, "held", 3)
    await books.hot.hset(keys.lots(member.bucket, "mem_zzzzzz0"), "points/203001.hotel", 5)
    found = await books.findings(member.bucket)
    await books.hot.hincrby(lots, name, -7)
    await books.hot.hdel(hold_key, "held")
    await books.hot.delete(keys.lots(member.bucket, "mem_zzzzzz0"))
    assert f"I8: bucket {member.bucket}: {member.member_id} {name}: hot store {before + 7}; ledger {before}" in found
    assert f"I8: bucket {member.bucket}: {member.member_id} points held: hot store 3; ledger 0" in found
    assert any("mem_zzzzzz0" in finding and "no such member" in finding for finding in found)
    assert len(found) == 3


async def test_a_hold_that_lost_its_deadline_is_found(environment: Environment, books: Books) -> None:
    member, _ = await one_scan(environment, books)
    held = await environment.held(member, points(4))
    await books.drained()
    assert await books.findings(member.bucket) == []
    deadline = await books.hot.zscore(keys.holds(member.bucket), held["redemption_id"])
    await books.hot.zrem(keys.holds(member.bucket), held["redemption_id"])
    found = await books.findings(member.bucket)
    await books.hot.zadd(keys.holds(member.bucket), {held["redemption_id"]: deadline})
    assert found == [f"I9: bucket {member.bucket}: {held['redemption_id']}: not among the open holds; record says held"]


async def test_an_audit_beside_live_scans_finds_nothing(own: Stack, books: Books) -> None:
    members = await own.members([[("hotel", 500_000, 1), ("mall", 500_000, 3)]] * 6)
    async with load_on(own, members) as load:
        await load.until_more_applied(50)
        for _ in range(2):
            assert await books.findings(*{member.bucket for member in members}) == []
        assert load.journal.count("applied") > 100


def command(stack: Stack, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    demo = stack.demo
    variables = {
        "PATH": os.environ["PATH"],
        "TONG_HOME": str(stack.home),
        "TONG_VALKEY_URL": demo["valkey_url"],
        "TONG_POSTGRES_DSN": demo["postgres_dsn"],
        **more,
    }
    return subprocess.run(
        [str(TONG), *arguments], env=variables, capture_output=True, text=True, timeout=60, check=False
    )


async def test_the_commands_exit_status_says_clean_different_or_could_not_run(
    environment: Environment, books: Books, tmp_path: Any
) -> None:
    member, _ = await one_scan(environment, books)
    own = environment.stack
    heads = tmp_path / "heads.json"
    told = await asyncio.to_thread(command, own, "heads")
    heads.write_text(told.stdout)
    clean = await asyncio.to_thread(command, own, "audit", "--heads", str(heads), "--json")
    assert clean.returncode == 0, clean.stdout
    assert json.loads(clean.stdout)["clean"]
    assert json.loads(clean.stdout)["buckets"] == BUCKETS
    lots = keys.lots(member.bucket, member.member_id)
    name = next(iter(await books.hot.hgetall(lots)))
    await books.hot.hincrby(lots, name, 1)
    different = await asyncio.to_thread(command, own, "audit", "--bucket", str(member.bucket))
    dry = await asyncio.to_thread(command, own, "rebuild", "--member", member.member_id, "--dry-run")
    await books.hot.hincrby(lots, name, -1)
    assert different.returncode == 1
    assert member.member_id in different.stdout
    assert dry.returncode == 1
    assert member.member_id in dry.stdout
    for arguments in (["audit", "--heads", str(tmp_path / "none")], ["audit", "--bucket", "64"], ["rebuild"]):
        refused = await asyncio.to_thread(command, own, *arguments)
        assert refused.returncode == 2
        assert refused.stderr.startswith("tong: ")
    away = await asyncio.to_thread(
        lambda: command(own, "audit", TONG_POSTGRES_DSN="postgresql://tong@127.0.0.1:1/tong?sslmode=disable")
    )
    assert away.returncode == 2
