"""`tong load` on real stores: any valid file from any valid state, in one transaction, nothing dropped in silence."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from redemption.configuration import load as group_load
from redemption.configuration.current import read_configuration
from redemption.configuration.group import GroupFileRefused
from redemption.configuration.load import LoadDeclined, LoadRefused
from redemption.domain.members import member_id
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import ValkeyServer, private_valkey
from tests.support.servers.stores import BUCKETS, Json, Stores, normalised, stores_on
from tests.support.settlement.settlement import Book

MONEY = {"points": {"worth_minor": 1, "worth_points": 1}, "earn": {"points": 1, "per_minor": 100}}


@pytest.fixture(scope="module")
async def valkey() -> AsyncIterator[ValkeyServer]:
    async with private_valkey() as server:
        yield server


@pytest.fixture
async def stores(postgres: PrivatePostgres, valkey: ValkeyServer) -> AsyncIterator[Stores]:
    async with stores_on(postgres, valkey) as opened:
        yield opened


def level(name: str, rank: int) -> Json:
    return {"id": name, "rank": rank, "name": {"en": name}}


def outlet(name: str, *terminals: str) -> Json:
    tills = [{"id": terminal, "name": terminal} for terminal in terminals]
    return {"id": name, "name": {"en": name}, "terminals": tills}


def business(name: str, *outlets: Json, currency: str = "CNY") -> Json:
    return {"id": name, "name": {"en": name}, "currency": currency, "rules": MONEY, "outlets": list(outlets)}


def member(number: int, tier: str = "standard", points: int = 0, of: str = "hotel") -> Json:
    lots = [{"business": of, "points": points, "expires_in_months": 3}] if points else []
    return {"number": number, "name": f"Member {number}", "tier": tier, "points": lots}


def benefit(**terms: Any) -> Json:
    return {
        "name": {"en": "Off"},
        "granted_by": "hotel",
        "discount": {"kind": "amount_off", "amount_minor": 100},
        **terms,
    }


def group(**changes: Any) -> Json:
    return {
        "time_zone": "Asia/Shanghai",
        "tiers": [level("standard", 0), level("gold", 1)],
        "businesses": [business("hotel", outlet("out_lobby", "trm_1", "trm_2")), business("mall", outlet("out_mall"))],
        "benefits": {"ten-off": benefit(), "gold-off": benefit(minimum_tier="gold")},
        **changes,
    }


async def points_of(stores: Stores, number: int) -> int:
    """What a member has in the hot store, all lots together."""
    lots = await stores.hot.hgetall(f"{{b{number % BUCKETS}}}:lots:{member_id(number)}")
    return sum(int(amount) for amount in lots.values())


async def test_what_is_not_in_the_file_is_named_and_stays_in_force_until_it_is_pruned(stores: Stores) -> None:
    await stores.load(group(members=[member(1, points=50)]))
    before = await stores.exported()
    less = group(
        tiers=[level("standard", 0)],
        businesses=[business("hotel", outlet("out_lobby", "trm_1"))],
        benefits={"ten-off": benefit()},
    )
    report = await stores.load(less)
    gone = [
        ("tier", "gold"),
        ("business", "mall"),
        ("outlet", "out_mall"),
        ("terminal", "trm_2"),
        ("benefit", "gold-off"),
    ]
    assert report.plan.still_in_force == gone
    assert await stores.exported() == before
    report = await stores.load(less, prune=True)
    assert report.plan.retired == gone
    assert await stores.exported() == normalised(less)
    assert await points_of(stores, 1) == 50, "holdings are kept"
    assert await stores.pool.fetchval("SELECT count(*) FROM benefit") == 2, "the row stays for what names it"


async def test_the_old_file_brings_back_what_was_retired(stores: Stores) -> None:
    await stores.load(group())
    await stores.load(group(benefits={}, tiers=[level("standard", 0)]), prune=True)
    report = await stores.load(group(), prune=True)
    assert report.plan.restored == [("tier", "gold"), ("benefit", "ten-off"), ("benefit", "gold-off")]
    assert await stores.exported() == normalised(group())


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "in reverse order"])
async def test_levels_are_inserted_between_and_swapped_and_the_old_file_loads_again(
    stores: Stores, turned: bool
) -> None:
    old = [level("standard", 0), level("gold", 1), level("diamond", 2)]
    between = [level("standard", 0), level("silver", 1), level("gold", 2), level("diamond", 3)]
    swapped = [level("standard", 0), level("silver", 1), level("diamond", 2), level("gold", 3)]
    for tiers in (old, between, swapped, between, old, swapped, old):
        file = group(tiers=tiers[::-1] if turned else tiers)
        await stores.load(file, prune=True)
        assert [tier["id"] for tier in (await stores.exported())["tiers"]] == [tier["id"] for tier in tiers]


async def test_a_rank_of_a_level_that_stays_is_refused_with_what_to_do(stores: Stores) -> None:
    await stores.load(group(benefits={}))
    changed = group(benefits={}, tiers=[level("standard", 0), level("silver", 1)])
    with pytest.raises(
        LoadRefused, match=r"tier silver: rank 1 is that of gold, which stays in force .* --prune retires"
    ):
        await stores.load(changed)
    await stores.load(changed, prune=True)


async def test_a_level_that_members_are_in_is_not_retired_until_they_have_moved(stores: Stores) -> None:
    await stores.load(group(members=[member(1, "gold"), member(2, "gold")]))
    without = group(tiers=[level("standard", 0)], benefits={})
    before = await stores.state()
    with pytest.raises(LoadRefused, match="tier gold cannot be retired: 2 members are in it"):
        await stores.load(without, prune=True)
    with pytest.raises(LoadRefused, match="1 members are in it"):
        await stores.load({**without, "members": [member(1)]}, prune=True)
    assert await stores.state() == before
    assert await stores.pool.fetchval("SELECT tier_id FROM member WHERE member_number = 1") == "gold", "not even that"
    await stores.load({**without, "members": [member(1), member(2)]}, prune=True)
    assert await stores.hot.hget(f"{{b1}}:member:{member_id(1)}", "tier") == b"standard"


async def booked_in_the_ledger(stores: Stores) -> None:
    moves = [("points", "202712.mall", "A", "R", 5)]
    await Book(stores.pool).write("redeem", "rdm_1", "hotel", moves, time.time(), outlet="out_lobby")


async def booked_in_the_hot_store(stores: Stores) -> None:
    await stores.load(group(members=[member(1, points=5), member(2, points=5, of="mall")]))


@pytest.mark.parametrize(("book", "place"), [(booked_in_the_ledger, "ledger"), (booked_in_the_hot_store, "hot store")])
@pytest.mark.parametrize("prune", [False, True])
async def test_the_currency_of_a_business_with_bookings_is_not_changed_and_nothing_else_is(
    stores: Stores, book: Any, place: str, prune: bool
) -> None:
    await stores.load(group())
    other = [business("hotel", outlet("out_lobby", "trm_1"), currency="HKD"), business("mall", currency="HKD")]
    changed = group(businesses=other, benefits={"new": benefit()}, time_zone="Asia/Hong_Kong")
    await stores.load(changed, prune=prune, dry_run=True)
    await book(stores)
    before, version = await stores.state(), await stores.version()
    with pytest.raises(LoadRefused) as refused:
        await stores.load(changed, prune=prune)
    for name in ("hotel", "mall"):
        assert f"business {name}: its currency cannot change from CNY to HKD: it has bookings in the {place}" in str(
            refused.value
        )
    assert (await stores.state(), await stores.version()) == (before, version)
    again = group(businesses=[])
    await stores.load(again | {"benefits": {}}, prune=True)
    with pytest.raises(LoadRefused, match="currency cannot change"):  # an id that comes back is the same business
        await stores.load(changed, prune=True)


async def test_the_currency_of_a_business_without_bookings_may_be_corrected(stores: Stores) -> None:
    await stores.load(group())
    changed = group(businesses=[business("hotel", currency="HKD"), business("mall", currency="HKD")])
    await stores.load(changed, prune=True)
    assert await stores.exported() == normalised(changed)


async def test_an_outlet_with_bookings_stays_with_its_business_and_a_terminal_may_move(stores: Stores) -> None:
    await stores.load(group())
    await booked_in_the_ledger(stores)
    moved = [business("hotel"), business("mall", outlet("out_lobby", "trm_1", "trm_2"), outlet("out_mall"))]
    with pytest.raises(
        LoadRefused, match="outlet out_lobby: it cannot move from hotel to mall: there are bookings at it"
    ):
        await stores.load(group(businesses=moved))
    moved = [business("hotel", outlet("out_lobby", "trm_1")), business("mall", outlet("out_mall", "trm_2"))]
    report = await stores.load(group(businesses=moved))
    assert [(each.thing, each.path, each.after) for each in report.plan.changed] == [("trm_2", "outlet_id", "out_mall")]
    moved = [business("hotel", outlet("out_lobby", "trm_1"), outlet("out_mall", "trm_2")), business("mall")]
    await stores.load(group(businesses=moved))  # nothing was ever booked at out_mall
    assert await stores.exported() == normalised(group(businesses=moved))


async def test_a_second_load_of_the_same_file_changes_nothing_not_even_the_version(stores: Stores) -> None:
    await stores.load(group(members=[member(1, points=50)]))
    version = await stores.version()
    report = await stores.load(group(members=[member(1, points=50)]), prune=True)
    assert not report.changes_anything
    assert (await stores.version(), await points_of(stores, 1)) == (version, 50)


async def test_a_dry_run_shows_the_plan_and_changes_nothing(stores: Stores) -> None:
    await stores.load(group())
    before, version = await stores.state(), await stores.version()
    changed = group(tiers=[level("gold", 0), level("standard", 1)], members=[member(7, points=3)])
    report = await stores.load(changed, prune=True, dry_run=True)
    assert {(each.thing, each.path, each.before, each.after) for each in report.plan.changed} == {
        ("gold", "rank", 1, 0),
        ("standard", "rank", 0, 1),
    }
    assert (report.members.new, report.members.balances_waiting, report.members.balances_issued) == (1, 1, 0)
    assert (await stores.state(), await stores.version()) == (before, version)
    assert await stores.pool.fetchval("SELECT count(*) FROM member") == 0
    assert await stores.hot.keys("*:member:*") == []


async def test_a_load_that_is_not_agreed_to_changes_nothing(stores: Stores) -> None:
    await stores.load(group())
    before = await stores.state()
    with pytest.raises(LoadDeclined):
        await stores.load(group(benefits={}), prune=True, agreed=lambda plan: not plan.retired)
    assert await stores.state() == before


async def test_two_loads_at_once_go_one_after_the_other(stores: Stores) -> None:
    files = [group(tiers=[level("standard", 0), level(f"t{n}", 1)], benefits={}) for n in range(4)]
    await asyncio.gather(*(stores.load(file, prune=True) for file in files[:2]))
    assert await stores.exported() in [normalised(file) for file in files[:2]]


async def test_a_load_while_another_is_at_work_is_refused_in_a_sentence(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_load, "LOCK_SECONDS", 0.2)
    await stores.load(group())
    async with stores.pool.acquire() as other:
        await other.fetchval("SELECT pg_advisory_lock(hashtextextended('tong.load', 0))")
        with pytest.raises(GroupFileRefused, match="another `tong load` is at work"):
            await stores.load(group(benefits={}), prune=True)
        await other.fetchval("SELECT pg_advisory_unlock(hashtextextended('tong.load', 0))")
    await stores.load(group(benefits={}), prune=True)


async def test_the_directory_of_a_worker_has_what_is_in_force(stores: Stores) -> None:
    await stores.load(group())
    await stores.load(group(businesses=[business("hotel", outlet("out_lobby", "trm_1"))], benefits={}), prune=True)
    async with stores.pool.acquire() as connection:
        configuration = await read_configuration(connection)
    assert configuration.benefits == {}
    assert set(configuration.businesses) == {"hotel", "mall"}, "the settlement of a retired business goes on"
    history = await stores.pool.fetchval("SELECT definition FROM configuration_history ORDER BY version DESC LIMIT 1")
    assert history["benefits"] is None
    assert history["currencies"] == {"hotel": "CNY"}


def lines(path: Path, entries: Iterator[Json] | list[Json]) -> Path:
    """A file of members, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return path


async def test_members_as_json_lines_are_loaded_once_however_often(stores: Stores, tmp_path: Path) -> None:
    file = lines(tmp_path / "members.jsonl", [member(n, points=10 + n) for n in range(2_500)])
    report = await stores.load(group(), members=file)
    assert (report.members.new, report.members.balances_issued, report.members.faults) == (2_500, 2_500, [])
    assert [await points_of(stores, n) for n in (0, 1_111, 2_499)] == [10, 1_121, 2_509]
    report = await stores.load(group(), members=file)
    assert (report.members.new, report.members.changed, report.members.balances_issued) == (0, 0, 0)
    assert [await points_of(stores, n) for n in (0, 1_111, 2_499)] == [10, 1_121, 2_509]


async def test_a_load_that_ended_in_the_middle_goes_on_and_issues_nothing_twice(stores: Stores, tmp_path: Path) -> None:
    """The members are stored and some issued, but nobody noted which: the id of the issue says so, and the ledger."""
    file = lines(tmp_path / "members.jsonl", [member(n, points=10) for n in range(300)])
    await stores.load(group(), members=file)
    await stores.pool.execute("UPDATE member SET opened_at = NULL")
    for number in range(100):  # 30 days on, the hot store has forgotten the ids; the ledger has not
        short = member_id(number).removeprefix("mem_")
        assert await stores.hot.delete(f"{{b{number % BUCKETS}}}:issued:iss_opening_{short}") == 1
    book, moves = Book(stores.pool), [("points", "202712.hotel", "I", "A", 10)]
    for number in range(100):
        short = member_id(number).removeprefix("mem_")
        book.add("issue", f"iss_opening_{short}", "hotel", moves, time.time())
    await book.flush()
    report = await stores.load(group(), members=file)
    assert [await points_of(stores, n) for n in range(300)] == [10] * 300
    assert await stores.pool.fetchval("SELECT count(*) FROM member WHERE opened_at IS NULL") == 0
    assert report.members.faults == []


async def test_a_wrong_line_is_named_and_no_member_is_loaded(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "members.jsonl"
    good = [json.dumps(member(n, points=1)) for n in range(5)]
    wrong = [
        '{"number": 9, "name": "a", "tier": "gold", "tier": "standard"}',
        json.dumps(member(9, "tin", points=1, of="spa")),
        json.dumps({**member(9), "name": "a\u202eb"}),
        json.dumps(member(3)),
        "{",
        '{"number": 1e2, "name": "a", "tier": "gold"}',
        json.dumps({**member(9), "colour": "red"}),
        '{"number": 9, "name": "' + "a" * 70_000 + '"}',
        "[" * 60_000,
        json.dumps(
            {**member(9), "points": [{"business": "hotel", "points": 1, "expires_in_months": 1} for _ in range(150)]}
        ),
    ]
    file.write_text("\n".join([*good, "", *wrong]) + "\n", encoding="utf-8")
    await stores.load(group())
    with pytest.raises(GroupFileRefused) as refused:
        await stores.load(group(benefits={}), prune=True, members=file)
    said = str(refused.value)
    for line, reason in (
        (7, "`tier` is a duplicate key"),
        (8, "no tier 'tin'; no business 'spa'"),
        (9, "name: character 2 is U+202E"),
        (10, "member 3 is on an earlier line too"),
        (11, "not JSON"),
        (12, "number: Expected 'int', got 'float'"),
        (13, "colour: is not known here"),
        (14, "is longer than 65536 bytes"),
        (15, "nested"),
        (16, "150 lots; a member may have 144"),
    ):
        assert any(f"line {line}: " in each and reason in each for each in said.splitlines()), (line, said[:3_000])
    assert "10 faults; no member was loaded" in said
    assert await stores.pool.fetchval("SELECT count(*) FROM member") == 0
    assert await stores.exported() == normalised(group()), "nor the configuration"


async def test_memory_does_not_grow_with_the_file_of_members(stores: Stores, tmp_path: Path) -> None:
    async def most(count: int, first: int) -> int:
        file = lines(tmp_path / f"{count}.jsonl", (member(first + n, points=1) for n in range(count)))
        tracemalloc.start()
        report = await stores.load(group(), members=file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert report.members.balances_issued == count
        return peak

    few, many = await most(1_000, 10_000), await most(6_000, 20_000)
    assert many < few + 2_000_000, f"{few} bytes for 1 000 members, {many} for 6 000"


@pytest.mark.timeout(300)
async def test_the_command_shows_asks_and_says_by_its_status(
    private_stack: Callable[..., AbstractAsyncContextManager[Any]], tmp_path: Path
) -> None:
    """The command line on a running stack."""
    async with private_stack() as stack:
        env = {
            "TONG_HOME": str(stack.home),
            "TONG_POSTGRES_DSN": stack.demo["postgres_dsn"],
            "TONG_VALKEY_URL": stack.demo["valkey_url"],
        }

        async def tong(*arguments: str) -> tuple[int, str, str]:
            done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=env)
            assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
            return done.exit_code, done.stdout, done.stderr

        exported = (await tong("export-group"))[1]
        file = tmp_path / "group.yaml"
        file.write_text(exported)
        assert (await tong("load", str(file), "--dry-run"))[0] == 0
        file.write_text(exported.replace("per_day: 3", "per_day: 4").replace("  spa-30:", "  spa-31:"))
        status, out, _ = await tong("load", str(file), "--dry-run")
        assert status == 1
        assert "change   benefit parking-hours: definition.per_day 3 -> 4" in out
        assert "keep     benefit spa-30: still in force, not in the file" in out
        status, out, err = await tong("load", str(file), "--prune")
        assert (status, "nobody to ask; --yes" in err) == (2, True), err
        assert (await tong("export-group"))[1] == exported
        status, out, err = await tong("load", str(file), "--prune", "--yes", "--json")
        told = json.loads(out)
        assert status == 0
        assert told["applied"]
        assert told["plan"]["retired"] == [{"kind": "benefit", "id": "spa-30"}]
        assert (await tong("export-group"))[1] == file.read_text()
        file.write_text(exported.replace("CNY", "HKD"))
        status, _, err = await tong("load", str(file), "--prune", "--yes")
        assert status == 1
        assert "business hotel: its currency cannot change from CNY to HKD" in err
        assert (await tong("load", str(file), "--dry-run"))[0] == 2
        file.write_text("a: [")
        status, _, err = await tong("load", str(file))
        assert (status, "line 1, column 5: not YAML" in err) == (1, True)
        members = lines(tmp_path / "members.jsonl", [{**member(5_000 + n, points=5), "tier": "gold"} for n in range(3)])
        file.write_text(exported)
        status, out, err = await tong("load", str(file), "--members", str(members))
        assert (status, "3 opening balances issued" in out) == (0, True), out + err
