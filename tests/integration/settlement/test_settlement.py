"""Settlement on a real PostgreSQL: docs/reference/settlement.md's example, periods, exceptions, disputes."""

import asyncio

import asyncpg
import pytest

from redemption.database import Pool
from redemption.projections.projector import Pace, Projector
from redemption.settlement.agreements import AgreementRefused, add_agreement
from redemption.settlement.disputes import Dispute, DisputeRefused, Disputes
from redemption.settlement.lines import Line
from redemption.settlement.netting import Payment, business_nets, pair_nets, settle_up
from redemption.settlement.periods import Closed, Period, PeriodAltered, PeriodRefused, Periods
from redemption.settlement.production import Produced, Production, SettlementLines
from redemption.settlement.reading import SettlementReader
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import Book, agree, at, definition, differences, group_pool
from tests.support.settlement.worked_example import december, november, points
from tests.support.suite.waiting import wait_until


async def lines_of(pool: Pool, month: int, business: str | None = None) -> list[Line]:
    return [line async for line in SettlementReader(pool).lines(month, business)]


def money(lines: list[Line], subject: str) -> list[tuple[str, str, str, int, int, int, int]]:
    """Of a redemption: issuer, acceptor, kind, units, face value, amount, tax."""
    return sorted(
        (line.issuer, line.acceptor, line.kind, line.units, line.face_value_minor, line.amount_minor, line.tax_minor)
        for line in lines
        if line.subject_id == subject
    )


async def closed(pool: Pool, month: int, now: str) -> Closed:
    result = await Periods(pool, lambda: at(now)).close(month, "finance")
    assert isinstance(result, Closed), result
    return result


async def test_the_worked_example_of_the_documentation_comes_out_to_the_cent(pool: Pool) -> None:
    book = await november(pool)
    produced = await Production(pool).run()
    assert (produced.lines, produced.exceptions) == (6, 0)
    lines = await lines_of(pool, 202611)
    assert money(lines, "rdm_1") == [
        ("hotel", "restaurant", "use", 1500, 1000, 980, 0),
        ("mall", "restaurant", "use", 500, 333, 326, 0),
    ]
    assert money(lines, "rdm_2") == [("hotel", "restaurant", "use", 1, 8800, 6000, 360)]
    assert money(lines, "rdm_3") == [
        ("mall", "hotel", "use", 600, 600, 588, 0),
        ("restaurant", "hotel", "use", 100, 100, 98, 0),
    ]
    assert money(lines, "rdm_4") == [("hotel", "hotel", "use", 200, 200, 0, 0)]

    first = await closed(pool, 202611, "2026-12-01T12:00")
    payments = pair_nets(total for period in first.periods for total in period.totals)
    assert payments == [
        Payment("mall", "hotel", "CNY", 588),
        Payment("hotel", "restaurant", "CNY", 7242),
        Payment("mall", "restaurant", "CNY", 326),
    ]
    assert business_nets(payments) == {"CNY": {"hotel": -6654, "mall": -914, "restaurant": 7568}}
    assert settle_up(business_nets(payments)) == [
        Payment("hotel", "restaurant", "CNY", 6654),
        Payment("mall", "restaurant", "CNY", 914),
    ]

    disputes = Disputes(pool, lambda: at("2026-12-06T02:00"))
    breakfast = next(line for line in lines if line.subject_id == "rdm_2")
    dispute = await disputes.open(breakfast.line_id, "hotel", "agreed were 55.00", "anna")
    assert isinstance(dispute, Dispute)
    assert isinstance(await disputes.resolve(dispute.dispute_id, 5500, "both agree", "bo"), Dispute)

    await december(pool, book)
    await Production(pool).run()
    second = await closed(pool, 202612, "2027-01-02T00:00")
    lines = await lines_of(pool, 202612)
    assert money(lines, "rdm_1") == [
        ("hotel", "restaurant", "return", -1300, -867, -849, 0),
        ("hotel", "restaurant", "return", -200, -133, -131, 0),
        ("mall", "restaurant", "return", -500, -333, -326, 0),
    ]
    assert money(lines, "rdm_2") == [("hotel", "restaurant", "correction", 0, 0, -500, -30)]
    assert money(lines, "rdm_5") == [("mall", "hotel", "use", 100, 100, 98, 0)]
    assert money(lines, "rdm_6") == [("hotel", "mall", "use", 1000, 1000, 950, 0)]
    late = next(line for line in lines if line.subject_id == "rdm_5")
    assert (late.belongs_to, late.agreement_version) == ("202611.hotel.mall", 1)
    payments = pair_nets(total for period in second.periods for total in period.totals)
    assert payments == [
        Payment("hotel", "mall", "CNY", 852),
        Payment("restaurant", "hotel", "CNY", 1510),
        Payment("restaurant", "mall", "CNY", 326),
    ]
    assert business_nets(payments) == {"CNY": {"hotel": 658, "mall": 1178, "restaurant": -1836}}
    assert await differences(pool) == []


async def test_closing_twice_and_settling_anew_in_other_batches_give_the_same_hashes(
    postgres: PrivatePostgres, pool: Pool
) -> None:
    await november(pool)
    await Production(pool).run()
    first = await closed(pool, 202611, "2026-12-01T12:00")
    again = await closed(pool, 202611, "2027-02-01T12:00")
    assert first.fresh
    assert not again.fresh
    assert again.periods == first.periods
    assert [period.number for period in first.periods] == [1, 2, 3, 4]
    async with postgres.fresh_database() as dsn, group_pool(dsn) as other:
        await november(other)
        await Production(other, batch_transactions=1).run()
        elsewhere = await closed(other, 202611, "2026-12-20T12:00")
    assert [period.sha256 for period in elsewhere.periods] == [period.sha256 for period in first.periods]


async def test_a_paced_round_writes_the_same_lines_and_one_that_is_stopped_leaves_the_rest_to_the_next(
    postgres: PrivatePostgres, pool: Pool
) -> None:
    await november(pool)
    whole = await Production(pool).run()
    async with postgres.fresh_database() as dsn, group_pool(dsn) as other:
        await november(other)
        stop = asyncio.Event()
        stop.set()
        assert await Production(other).run(pace=Pace(stop, 60.0)) == Produced()
        assert await Production(other).run(pace=Pace(asyncio.Event(), 0.01)) == whole
        assert await Production(other).run() == Produced()
        assert await lines_of(other, 202611) == await lines_of(pool, 202611)


async def test_following_a_busy_ledger_paces_itself_and_settles_all_the_same(pool: Pool) -> None:
    book = await november(pool)
    stop = asyncio.Event()
    projector = Projector(pool, (SettlementLines(),), busy_transactions=1, busy_round_seconds=0.05)
    following = asyncio.create_task(projector.follow(stop))

    async def up_to_date() -> bool:
        return (await SettlementReader(pool).status()).buckets_behind == 0

    try:
        await wait_until("the first round is done", up_to_date)
        await december(pool, book)  # comes to a paced round
        await wait_until("a paced round is done", up_to_date)
    finally:
        stop.set()
        await following
    assert await lines_of(pool, 202612)
    assert await Production(pool).run() == Produced()


async def test_changing_an_agreement_later_changes_nothing_closed(pool: Pool) -> None:
    await november(pool)
    await Production(pool).run()
    before = await closed(pool, 202611, "2026-12-01T12:00")
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 1})
    await agree(pool, "hotel-points", issuer="hotel", instrument="points", rule={"kind": "fixed_fee", "fee_minor": 9})
    await Production(pool).run()
    assert (await closed(pool, 202611, "2026-12-02T12:00")).periods == before.periods


async def test_a_line_changed_by_a_superuser_behind_switched_off_triggers_is_found_by_its_hash(pool: Pool) -> None:
    await november(pool)
    await Production(pool).run()
    await closed(pool, 202611, "2026-12-01T12:00")
    with pytest.raises(asyncpg.RestrictViolationError):
        await pool.execute("UPDATE settlement_line SET amount_minor = 1 WHERE subject_id = 'rdm_2'")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE settlement_line SET amount_minor = 1 WHERE subject_id = 'rdm_2'")
    with pytest.raises(PeriodAltered, match=r"202611\.hotel\.restaurant"):
        await Periods(pool, lambda: at("2026-12-02T00:00")).close(202611, "finance")


async def test_a_month_that_is_not_over_or_follows_an_open_one_is_not_closed(pool: Pool) -> None:
    book = await november(pool)
    await december(pool, book)
    await Production(pool).run()
    # The last day of November ends at 16:00 UTC in Shanghai.
    early = await Periods(pool, lambda: at("2026-11-30T15:59")).close(202611, "finance")
    skipping = await Periods(pool, lambda: at("2027-01-05T00:00")).close(202612, "finance")
    assert isinstance(early, PeriodRefused)
    assert isinstance(skipping, PeriodRefused)
    assert (early.reason, skipping.reason) == ("month_not_over", "earlier_month_open")
    assert (await closed(pool, 202611, "2026-11-30T16:00")).fresh


async def test_a_period_is_approved_by_both_sides_before_it_is_paid(pool: Pool) -> None:
    await november(pool)
    await Production(pool).run()
    periods = Periods(pool, lambda: at("2026-12-01T12:00"))
    wanted = "202611.hotel.restaurant"
    open_one = await periods.approve(wanted, "hotel", "anna")
    assert isinstance(open_one, PeriodRefused)
    assert open_one.reason == "not_closed"
    await closed(pool, 202611, "2026-12-01T12:00")

    async def reason(result: Period | PeriodRefused) -> str:
        assert isinstance(result, PeriodRefused), result
        return result.reason

    assert await reason(await periods.approve("202611.gym.spa", "gym", "x")) == "not_found"
    assert await reason(await periods.approve(wanted, "mall", "x")) == "not_a_party"
    assert await reason(await periods.approve("202611.hotel.hotel", "hotel", "x")) == "own_use"
    assert await reason(await periods.pay(wanted, "BANK-1", "x")) == "not_approved"
    first = await periods.approve(wanted, "hotel", "anna")
    assert isinstance(first, Period)
    assert first.status == "closed"
    assert await reason(await periods.pay(wanted, "BANK-1", "x")) == "not_approved"
    await periods.approve(wanted, "hotel", "anna again")
    both = await periods.approve(wanted, "restaurant", "bo")
    assert isinstance(both, Period)
    assert (both.status, both.approved_by) == ("approved", ("hotel", "restaurant"))
    paid = await periods.pay(wanted, "BANK-1", "cy")
    assert isinstance(paid, Period)
    assert (paid.status, paid.payment_reference) == ("paid", "BANK-1")
    assert await periods.pay(wanted, "BANK-1", "cy") == paid
    assert await reason(await periods.pay(wanted, "BANK-2", "cy")) == "paid_already"


async def test_a_disputed_period_is_not_approved_and_the_line_never_changes(pool: Pool) -> None:
    await november(pool)
    await Production(pool).run()
    first = await closed(pool, 202611, "2026-12-01T12:00")
    periods, disputes = (kind(pool, lambda: at("2026-12-06T02:00")) for kind in (Periods, Disputes))
    assert isinstance(periods, Periods)
    assert isinstance(disputes, Disputes)
    line = next(line for line in await lines_of(pool, 202611) if line.subject_id == "rdm_2")
    stranger = await disputes.open(line.line_id, "mall", "no", "x")
    dispute = await disputes.open(line.line_id, "restaurant", "price is 65.00", "x")
    twice = await disputes.open(line.line_id, "hotel", "it is not", "x")
    assert isinstance(stranger, DisputeRefused)
    assert isinstance(twice, DisputeRefused)
    assert isinstance(dispute, Dispute)
    assert (stranger.reason, twice.reason) == ("not_a_party", "disputed_already")
    assert await disputes.listed() == [dispute]
    refused = await periods.approve("202611.hotel.restaurant", "hotel", "x")
    assert isinstance(refused, PeriodRefused)
    assert refused.reason == "disputed"
    ended = await disputes.resolve(dispute.dispute_id, None, "the price stands", "x")
    assert isinstance(ended, Dispute)
    assert ended.correction_id is None
    again = await disputes.resolve(dispute.dispute_id, 1, "no", "x")
    assert isinstance(again, DisputeRefused)
    assert again.reason == "resolved_already"
    assert isinstance(await periods.approve("202611.hotel.restaurant", "hotel", "x"), Period)
    assert [period.sha256 for period in await periods.verify(202611)] == [period.sha256 for period in first.periods]
    assert await lines_of(pool, 202612) == []


async def test_a_refund_after_a_correction_gives_the_corrected_amount_back(pool: Pool) -> None:
    book = await november(pool)
    await Production(pool).run()
    disputes = Disputes(pool, lambda: at("2026-11-23T02:00"))
    line = next(line for line in await lines_of(pool, 202611) if line.subject_id == "rdm_2")
    dispute = await disputes.open(line.line_id, "restaurant", "price is 65.00", "x")
    assert isinstance(dispute, Dispute)
    await disputes.resolve(dispute.dispute_id, 6500, "so it is", "x")
    await book.write(
        "refund", "rdm_2", "restaurant", [("benefit:breakfast", "202612.hotel", "R", "A", 1)], at("2026-11-24T00:30")
    )
    await Production(pool).run()
    assert money(await lines_of(pool, 202611), "rdm_2") == [
        ("hotel", "restaurant", "correction", 0, 0, 500, 30),
        ("hotel", "restaurant", "return", -1, -8800, -6500, -390),
        ("hotel", "restaurant", "use", 1, 8800, 6000, 360),
    ]


async def test_what_nobody_agreed_on_is_listed_until_an_agreement_comes_and_then_settled_once(pool: Pool) -> None:
    book = Book(pool)
    moves = [("points", "202701.hotel", "A", "R", 1), ("points", "202701.mall", "A", "R", 2)]
    await book.write("redeem", "rdm_1", "gym", moves, at("2026-11-05T04:00"), legs=[points(3, 100)])
    back = [("points", "202701.mall", "R", "A", 2), ("points", "202701.hotel", "R", "X", 1)]
    await book.write("refund", "rdm_1", "gym", back, at("2026-11-06T04:00"))
    produced = await Production(pool).run()
    assert (produced.lines, produced.exceptions) == (0, 4)
    reader = SettlementReader(pool)
    reasons = [(found.use.issuer, found.reason) async for found in reader.exceptions()]
    assert reasons == [
        ("hotel", "no_agreement"),
        ("mall", "no_agreement"),
        ("hotel", "original_not_settled"),
        ("mall", "original_not_settled"),
    ]
    assert await differences(pool) == []
    assert (await closed(pool, 202611, "2026-12-01T12:00")).exceptions == 4
    # Tried again only when something new was agreed; then whole: 3 points for a fee of 100, shared by units.
    assert (await Production(pool).run()).exceptions_settled == 0
    await agree(pool, "points", acceptor="gym", instrument="points", rule={"kind": "fixed_fee", "fee_minor": 100})
    assert (await Production(pool, batch_transactions=1).run()).exceptions_settled == 4
    assert (await Production(pool).run()).lines == 0
    lines = await lines_of(pool, 202612)
    assert {line.belongs_to for line in lines} == {"202611.gym.hotel", "202611.gym.mall"}
    assert sorted(line.amount_minor for line in lines) == [-67, -33, 33, 67]
    assert (await reader.status()).exceptions == 0
    assert await differences(pool) == []


async def test_an_agreement_has_one_scope_and_a_scope_one_agreement(pool: Pool) -> None:
    rule = {"kind": "proportion", "basis_points": 9800}
    assert await agree(pool, "points", instrument="points", rule=rule) == 1
    assert await agree(pool, "points", instrument="points", rule=rule) == 1
    assert await agree(pool, "points", instrument="points", rule=rule, cap_minor=5) == 2
    for name, fields, reason in (
        ("other", {"instrument": "points"}, "scope_taken"),
        ("points", {"instrument": "stored_value"}, "scope_differs"),
        ("spa", {"instrument": "points", "issuer": "spa"}, "not_well_formed"),
    ):
        async with pool.acquire() as connection:
            refused = await add_agreement(connection, name, definition(rule=rule, **fields), "test")
        assert isinstance(refused, AgreementRefused)
        assert refused.reason == reason
    with pytest.raises(asyncpg.RestrictViolationError):
        await pool.execute("DELETE FROM settlement_agreement_version")


async def test_two_settling_at_once_settle_everything_once(pool: Pool) -> None:
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9800})
    book = Book(pool)
    for number in range(60):
        await book.write(
            "redeem",
            f"rdm_{number}",
            "mall",
            [("points", "202701.hotel", "A", "R", 7)],
            at("2026-11-05T04:00") + number,
            legs=[points(7, 7)],
            bucket=number % 3,
        )
    produced = await asyncio.gather(*(Production(pool, batch_transactions=4).run() for _ in range(3)))
    assert sum(one.lines for one in produced) == 60
    assert await differences(pool) == []
