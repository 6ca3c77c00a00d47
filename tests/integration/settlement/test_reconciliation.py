"""Reconciliation over a real ledger with a clock of the test's: local days, other days, bounds, what is kept."""

import asyncio
import datetime
from typing import Any

import pytest

from gateway.api.settlement.reconciliation_schemas import ReconciledBill, ReconciliationHead
from redemption.database import Pool
from redemption.domain.limits import RECONCILIATIONS_KEPT_DAYS
from redemption.settlement.periods import Closed, PeriodRefused, Periods
from redemption.settlement.production import Production
from redemption.settlement.reconciliation import CLASSES
from redemption.settlement.reconciling import ReconcileRefused, Reconciliation, Reconciliations, Upload
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import Book, agree, at, group_pool

DAY = datetime.date(2026, 11, 22)
NOON_AFTER = at("2026-11-23T04:00")


def upload(rows: str, *, day: datetime.date = DAY, outlet: str | None = None) -> Upload:
    return Upload("mall", outlet, day, f"reference,amount\n{rows}".encode(), "csv", "test")


async def used(book: Book, name: str, reference: str, value: int, when: str, *, business: str = "mall") -> None:
    """100 points of the hotel that took `value` off a bill, at a time in UTC."""
    await book.write(
        "redeem",
        name,
        business,
        [("points", "202701.hotel", "A", "R", 100)],
        at(when),
        legs=[{"kind": "points", "points": 100, "value_minor": value}],
        bill={"reference": reference, "amount_minor": 9_000, "currency": "CNY"},
    )


async def compared(store: Reconciliations, wanted: Upload) -> tuple[Reconciliation, list[dict[str, Any]]]:
    result = await store.reconcile(wanted)
    assert isinstance(result, tuple), result
    found, _ = result
    return found, await store.items(found, *found.places_of(None))


def kinds(items: list[dict[str, Any]]) -> dict[str, str]:
    return {item["reference"]: item["kind"] for item in items}


async def test_a_day_is_that_of_the_outlets_zone_and_other_days_are_pointed_at(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, store = Book(pool), Reconciliations(pool, lambda: NOON_AFTER)
        await used(book, "rdm_1", "first", 100, "2026-11-21T16:00")  # midnight in Shanghai
        await used(book, "rdm_2", "last", 100, "2026-11-22T15:59")
        await used(book, "rdm_3", "next", 100, "2026-11-22T16:00")
        await used(book, "rdm_4", "before", 100, "2026-11-21T15:59")
        await used(book, "rdm_5", "other shop", 100, "2026-11-22T04:00", business="gym")
        found, items = await compared(store, upload("first,1\nlast,1\nnext,1\nbefore,1\nother shop,1\n"))
        assert found.time_zone == "Asia/Shanghai"
        assert not found.summary["provisional"]
        assert kinds(items) == {
            "first": "matched",
            "last": "matched",
            "next": "missing_here",
            "before": "missing_here",
            "other shop": "missing_here",
        }
        pointed = {item["reference"]: item["elsewhere"] for item in items}
        assert (pointed["next"]["redemption_id"], pointed["next"]["day"]) == ("rdm_3", "2026-11-23")
        assert pointed["before"]["day"] == "2026-11-21"
        assert pointed["other shop"] is None

        # An outlet in another zone has another day.
        await pool.execute("UPDATE outlet SET time_zone = 'Asia/Tokyo' WHERE business_id = 'mall'")
        found, items = await compared(store, upload("first,1\nlast,1\nnext,1\nbefore,1\n"))
        assert found.time_zone == "Asia/Tokyo"
        assert kinds(items) == {"first": "matched", "last": "missing_here", "next": "missing_here", "before": "matched"}
        _, items = await compared(store, upload("last,1\nnext,1\n", day=DAY + datetime.timedelta(days=1)))
        assert kinds(items) == {"last": "matched", "next": "matched"}


async def test_what_is_given_back_counts_on_its_own_day_and_as_the_till_was_told(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, store = Book(pool), Reconciliations(pool, lambda: NOON_AFTER)
        # 100 points for 0.67; 33 of them back the next day: 67 x 67 / 100 = 44.89 stays, rounded down.
        await used(book, "rdm_1", "dinner", 67, "2026-11-21T04:00")
        await book.write("refund", "rdm_1", "mall", [("points", "202701.hotel", "R", "A", 33)], at("2026-11-22T04:00"))
        _, items = await compared(store, upload("dinner,0.67\n", day=DAY - datetime.timedelta(days=1)))
        assert [(item["kind"], item["ledger_minor"]) for item in items] == [("matched", 67)]
        _, items = await compared(store, upload("dinner,-0.23\n"))
        assert [(item["kind"], item["ledger_minor"]) for item in items] == [("matched", -23)]
        assert items[0]["movements"][0]["gave_back"]
        # A benefit whose value is nothing is still used.
        await book.write(
            "redeem",
            "rdm_2",
            "mall",
            [("benefit:parking", "-.hotel", "A", "R", 1)],
            at("2026-11-22T05:00"),
            legs=[{"kind": "benefit", "benefit_id": "parking", "uses": 1, "value_minor": 0}],
            bill={"reference": "parked", "amount_minor": 0, "currency": "CNY"},
        )
        _, items = await compared(store, upload("dinner,-0.23\n"))
        assert kinds(items) == {"parked": "missing_there", "dinner": "matched"}


async def test_one_list_sent_by_many_at_once_is_one_reconciliation(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, store = Book(pool), Reconciliations(pool, lambda: NOON_AFTER)
        await used(book, "rdm_1", "A-1", 100, "2026-11-22T04:00")
        results = await asyncio.gather(*(store.reconcile(upload("A-1,1\nA-2,1\n")) for _ in range(4)))
        assert all(isinstance(result, tuple) for result in results), results
        pairs = [result for result in results if isinstance(result, tuple)]
        assert len({found.reconciliation_id for found, _ in pairs}) == 1
        assert sorted(fresh for _, fresh in pairs) == [False, False, False, True]
        assert await pool.fetchval("SELECT count(*) FROM settlement_reconciliation_part") == 1
        # The ledger has changed since: that is another one.
        await used(book, "rdm_2", "A-2", 100, "2026-11-22T05:00")
        found, items = await compared(store, upload("A-1,1\nA-2,1\n"))
        assert found.reconciliation_id != pairs[0][0].reconciliation_id
        assert set(kinds(items).values()) == {"matched"}


async def test_what_is_kept_ends_and_of_a_business_only_the_newest_are_kept(
    postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        now = [NOON_AFTER]
        store = Reconciliations(pool, lambda: now[0])
        first, _ = await compared(store, upload("A-1,1\n"))
        now[0] += RECONCILIATIONS_KEPT_DAYS * 86_400 - 1
        assert await store.get(first.reconciliation_id) is not None
        now[0] += 1
        assert await store.get(first.reconciliation_id) is None
        assert await store.listed("mall", None, None, 10) == []
        later = DAY + datetime.timedelta(days=RECONCILIATIONS_KEPT_DAYS)
        await compared(store, upload("A-1,1\n", day=later))
        assert await rows_of(pool) == 1

        monkeypatch.setattr("redemption.settlement.reconciling.RECONCILIATIONS_KEPT_MAX", 3)
        for number in range(5):
            now[0] += 1
            await compared(store, upload(f"B-{number},1\n", day=later))
        newest = await store.listed("mall", later, None, 10)
        assert len(newest) == await rows_of(pool) == 3
        assert [found.created_at for found in newest] == sorted((each.created_at for each in newest), reverse=True)
        place = (newest[0].created_at, newest[0].reconciliation_id)
        assert await store.listed("mall", None, place, 10) == newest[1:]


async def rows_of(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM settlement_reconciliation"))


async def test_a_day_with_more_redemptions_than_are_compared_is_refused_and_an_outlets_is_not(
    postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, store = Book(pool), Reconciliations(pool, lambda: NOON_AFTER)
        await pool.execute("INSERT INTO outlet (outlet_id, business_id, name) VALUES ('out_mall_2', 'mall', '{}')")
        for number in range(4):
            await used(book, f"rdm_{number}", f"A-{number}", 100, f"2026-11-22T04:0{number}")
        monkeypatch.setattr("redemption.settlement.till_days.RECONCILED_MOVEMENTS_MAX", 3)
        refused = await store.reconcile(upload("A-1,1\n"))
        assert isinstance(refused, ReconcileRefused)
        assert (refused.reason, refused.field) == ("too_many", "outlet")
        _, items = await compared(store, upload("A-1,1\n", outlet="out_mall_2"))
        assert kinds(items) == {"A-1": "missing_here"}
        assert items[0]["elsewhere"]["outlet"] == "out_mall_1"


async def test_files_longer_than_a_part_are_read_in_order_from_any_place(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        store = Reconciliations(pool, lambda: NOON_AFTER)
        found, items = await compared(store, upload("".join(f"A-{number:05},1\n" for number in range(2_500))))
        assert [item["reference"] for item in items] == [f"A-{number:05}" for number in range(2_500)]
        assert await store.items(found, 998, 2_003) == items[998:2_003]
        assert await store.items(found, 7, 7) == []
        assert [item for batch in [each async for each in store.file(found)] for item in batch] == items
        assert found.places_of("missing_here") == (0, 2_500)
        assert found.places_of("matched") == (2_500, 2_500)
        assert set(found.summary["classes"]) == set(CLASSES)


async def test_the_day_of_a_bar_ends_at_its_cut_off_hour(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, now = Book(pool), [at("2026-11-22T19:59")]  # 03:59 in Shanghai, on the calendar day after
        store = Reconciliations(pool, lambda: now[0])
        await used(book, "rdm_1", "yesterday", 100, "2026-11-21T19:59")
        await used(book, "rdm_2", "first", 100, "2026-11-21T20:00")
        await used(book, "rdm_3", "at two", 100, "2026-11-22T18:00")
        await used(book, "rdm_4", "tomorrow", 100, "2026-11-22T20:00")
        rows = "yesterday,1\nfirst,1\nat two,1\ntomorrow,1\n"
        # Without a cut-off hour the bill of 02:00 is one of the next day.
        found, items = await compared(store, upload(rows))
        assert kinds(items)["at two"] == "missing_here"
        assert not found.summary["provisional"]

        await pool.execute("UPDATE outlet SET cut_off_hour = 4 WHERE business_id = 'mall'")
        found, items = await compared(store, upload(rows))
        assert kinds(items) == {
            "first": "matched",
            "at two": "matched",
            "yesterday": "missing_here",
            "tomorrow": "missing_here",
        }
        assert {item["reference"]: item["elsewhere"] and item["elsewhere"]["day"] for item in items} == {
            "first": None,
            "at two": None,
            "yesterday": "2026-11-21",
            "tomorrow": "2026-11-23",
        }
        assert found.summary["provisional"]  # the bar is still open
        refused = await store.reconcile(upload(rows, day=DAY + datetime.timedelta(days=1)))
        assert isinstance(refused, ReconcileRefused)
        assert refused.reason == "day_out_of_range"
        now[0] += 60
        found, _ = await compared(store, upload(rows + "new,1\n"))
        assert not found.summary["provisional"]

        # Beside an outlet that closes at midnight: the business's day begins with the first and ends with the last.
        await pool.execute("INSERT INTO outlet (outlet_id, business_id, name) VALUES ('out_mall_2', 'mall', '{}')")
        now[0] = at("2026-11-22T18:30")
        found, _ = await compared(store, upload(rows + "newer,1\n"))
        assert found.summary["provisional"]
        found, _ = await compared(store, upload(rows, day=DAY + datetime.timedelta(days=1)))
        assert found.summary["provisional"]


async def test_settlement_counts_by_business_days_and_closes_when_the_last_outlet_has(
    postgres: PrivatePostgres,
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 10_000})
        await pool.execute("UPDATE outlet SET cut_off_hour = 4 WHERE business_id = 'mall'")
        book = Book(pool)
        await used(book, "rdm_1", "bar at two", 100, "2026-11-30T18:00")
        await used(book, "rdm_2", "gym at two", 100, "2026-11-30T18:00", business="gym")
        await Production(pool).run()
        rows = await pool.fetch("SELECT bill_reference, local_day::text FROM settlement_line")
        days = {row["bill_reference"]: row["local_day"] for row in rows}
        assert days == {"bar at two": "2026-11-30", "gym at two": "2026-12-01"}
        open_still = await Periods(pool, lambda: at("2026-11-30T19:59")).close(202611, "finance")
        assert isinstance(open_still, PeriodRefused)
        assert open_still.reason == "month_not_over"
        closed = await Periods(pool, lambda: at("2026-11-30T20:00")).close(202611, "finance")
        assert isinstance(closed, Closed)
        assert [period.lines for period in closed.periods] == [1]


async def test_rows_of_another_day_and_references_that_a_spreadsheet_changed_are_said(
    postgres: PrivatePostgres,
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        book, store = Book(pool), Reconciliations(pool, lambda: NOON_AFTER)
        await used(book, "rdm_1", "202611220001", 100, "2026-11-22T04:00")
        await used(book, "rdm_2", "00123", 100, "2026-11-22T04:01")
        await used(book, "rdm_3", "wrong date", 100, "2026-11-22T04:02")
        await used(book, "rdm_4", "2.5E+11", 100, "2026-11-22T04:03")
        rows = [
            ("2.02611E+11", "2026/11/22 12:00"),
            ("2.02611E+11", "2026/11/22 12:01"),
            ("123", "2026/11/22 12:01"),
            ("old", "2020/11/22 12:00"),
            ("wrong date", "2020/11/22"),
            ("1234567890123450", ""),
            ("2.5E+11", ""),
        ]
        text = "reference,amount,time\n" + "".join(f"{name},1,{time}\n" for name, time in rows)
        found, items = await compared(store, Upload("mall", None, DAY, text.encode(), "csv", "test"))
        by_reference = {item["reference"]: (item["kind"], item["notes"]) for item in items}
        assert by_reference == {
            "2.02611E+11": ("missing_here", ["several_rows", "reference_shortened"]),
            "1234567890123450": ("missing_here", ["reference_shortened"]),
            "123": ("missing_here", ["leading_zeros_lost"]),
            "old": ("other_day", ["row_of_another_day"]),
            "wrong date": ("matched", ["row_of_another_day"]),
            "2.5E+11": ("matched", []),
            "202611220001": ("missing_there", []),
            "00123": ("missing_there", []),
        }
        assert found.summary["notes"] == [
            {"note": "references_shortened", "rows": [1, 2, 6], "rows_total": 3},
            {"note": "leading_zeros_lost", "rows": [3], "rows_total": 1},
            {"note": "rows_of_another_day", "rows": [4, 5], "rows_total": 2},
        ]
        assert found.summary["read_as"] == {
            "charset": "utf-8",
            "separator": ",",
            "decimal_mark": None,
            "date_order": None,
        }


async def test_a_reconciliation_that_an_earlier_version_kept_is_still_shown(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        store = Reconciliations(pool, lambda: NOON_AFTER)
        found, items = await compared(store, upload("A-1,1\n"))
        await pool.execute(
            "UPDATE settlement_reconciliation SET "
            "summary = (summary #- '{classes,other_day}') - '{notes,read_as}'::text[]"
        )
        kept = await store.get(found.reconciliation_id)
        assert kept is not None
        assert kept.totals_of("other_day")["bills"] == 0
        assert kept.places_of("missing_here") == (0, 1)
        head = ReconciliationHead.of(kept, "zh-Hant")
        assert (head.notes, head.read_as, head.totals.other_day.rows) == ([], None, 0)
        del items[0]["rows"][0]["day"]
        assert "清單有這張帳單" in ReconciledBill.of(items[0], "zh-Hant").explanation
