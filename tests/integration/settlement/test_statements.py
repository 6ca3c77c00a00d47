"""Statements on a real PostgreSQL: what the figures say against the lines and the ledger."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.statements.request import FORMATS
from redemption.database import Pool
from redemption.settlement.figures import Row, Scope, Statement, StatementLine
from redemption.settlement.periods import Periods
from redemption.settlement.production import Production
from redemption.settlement.statements import StatementRefused, Statements
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import BUSINESSES, Book, at, group_pool
from tests.support.settlement.statements import NOW, agree_on_everything, export, history_of, read


@pytest.fixture(scope="module")
async def pool(postgres: PrivatePostgres) -> AsyncIterator[Pool]:
    """A history that the tests only read."""
    async with history_of(postgres) as opened:
        yield opened


def grown(rows: tuple[Row, ...]) -> Counter[str]:
    """The sum of the rows' figures."""
    total: Counter[str] = Counter()
    for row in rows:
        for name in (
            "lines",
            "own_lines",
            "receivable_minor",
            "payable_minor",
            "receivable_tax_minor",
            "payable_tax_minor",
            "net_minor",
            "own_face_minor",
        ):
            total[name] += getattr(row.sums, name)
    return total


def summed(lines: list[StatementLine]) -> Counter[str]:
    """The same from lines."""
    total: Counter[str] = Counter()
    for line in lines:
        total["lines"] += 1
        if line.direction == "own_use":
            total["own_lines"] += 1
            total["own_face_minor"] += line.face_value_minor
            continue
        total[f"{line.direction}_minor"] += line.amount_minor + line.tax_minor
        total[f"{line.direction}_tax_minor"] += line.tax_minor
        total["net_minor"] += line.net_minor
    return total


@pytest.mark.parametrize("period", ["2026-10", "2026-11"])
async def test_whichever_way_one_looks_the_figures_are_the_sums_of_the_lines(pool: Pool, period: str) -> None:
    for business in BUSINESSES:
        statement, lines = await read(pool, business, period)
        assert lines
        expected = summed(lines)
        for part in ("totals", "kinds", "counterparties", "outlets", "days", "instruments"):
            assert +grown(getattr(statement, part)) == +expected, part
            assert -grown(getattr(statement, part)) == -expected, part
        for row in statement.instruments:
            of_asset = [line for line in lines if line.asset == row.key]
            received = sum(line.units for line in of_asset if line.direction == "receivable")
            paid = sum(line.units for line in of_asset if line.direction == "payable")
            assert (row.sums.receivable_units, row.sums.payable_units) == (received, paid)
        late = [line for line in lines if line.belongs_to is not None]
        assert grown(statement.late)["lines"] == len(late)
        assert bool(late) == (business in ("hotel", "mall") and period == "2026-11")


@pytest.mark.parametrize("month", [202610, 202611])
async def test_the_lines_of_all_statements_are_those_of_the_ledger(pool: Pool, month: int) -> None:
    seen: Counter[str] = Counter()
    for business in BUSINESSES:
        _, lines = await read(pool, business, str(month))
        seen.update(line.line_id for line in lines)
    rows = await pool.fetch("SELECT line_id, issuer = acceptor FROM settlement_line WHERE period_month = $1", month)
    assert seen == Counter({row[0]: 1 if row[1] else 2 for row in rows})


async def test_two_parties_see_the_same_amounts_the_other_way_round(pool: Pool) -> None:
    for low, high in (("hotel", "mall"), ("gym", "restaurant"), ("hotel", "restaurant")):
        for period in ("2026-10", "2026-11"):
            mine, _ = await read(pool, low, period, high)
            theirs, _ = await read(pool, high, period, low)
            whole, _ = await read(pool, low, period)
            one, other = mine.totals[0].sums, theirs.totals[0].sums
            assert one.net_minor == -other.net_minor
            assert (one.receivable_amount_minor, one.receivable_tax_minor, one.receivable_units) == (
                other.payable_amount_minor,
                other.payable_tax_minor,
                other.payable_units,
            )
            of_pair = next(row for row in whole.counterparties if row.key == high)
            assert of_pair.sums == one


async def test_a_closed_periods_statement_says_what_the_period_says(pool: Pool) -> None:
    for period in await Periods(pool, lambda: NOW).verify(202610):
        low, high = period.party_low, period.party_high
        statement, lines = await read(pool, low, period.period_id)
        assert (statement.scope.counterparty, statement.status, statement.provisional) == (high, "closed", False)
        assert [(one.period_id, one.number, one.sha256, one.lines) for one in statement.periods] == [
            (period.period_id, period.number, period.sha256, len(lines))
        ]
        owed = sum((1 if total.acceptor == low else -1) * total.payable_minor for total in period.totals)
        assert statement.totals[0].sums.net_minor == (0 if low == high else owed)


async def test_without_a_period_it_is_the_running_month_and_provisional_and_so_is_a_day(pool: Pool) -> None:
    running, _ = await read(pool, "hotel")
    assert (running.scope.label, running.provisional, running.periods) == ("2026-11", True, ())
    day, lines = await read(pool, "hotel", "2026-11-06")
    assert day.provisional
    assert {line.local_day.isoformat() for line in lines} == {"2026-11-06"}
    today, _ = await read(pool, "hotel", "today")
    assert (today.scope.label, today.totals[0].sums.lines) == ("2026-11-22", 0)
    # A line that came after its month was closed is in a later period, and in the statement of its day.
    late, lines = await read(pool, "hotel", "2026-10-31")
    assert late.provisional
    assert any(line.belongs_to == "202610.hotel.mall" for line in lines)


async def test_exceptions_disputes_and_corrections_are_in_the_statement(pool: Pool, tmp_path: Path) -> None:
    document = json.loads(await export(pool, tmp_path / "s.json", "hotel", "2026-10", format="json", language="en"))
    assert document["exceptions_count"] == len(document["exceptions"]) > 0
    assert {one["reason"] for one in document["exceptions"]} >= {"no_agreement"}
    dispute = document["disputes"][0]
    assert (dispute["status"], dispute["note"]) == ("resolved", "both agree")
    marked = [line for line in document["lines"] if line["dispute_id"]]
    assert [line["line_id"] for line in marked] == [dispute["line_id"]]
    following = json.loads(await export(pool, tmp_path / "t.json", "hotel", "2026-11", format="json", language="en"))
    correction = next(line for line in following["lines"] if line["kind"] == "correction")
    assert (correction["line_id"], correction["reference"]) == (dispute["correction_id"], dispute["line_id"])
    assert correction["amount_minor"] == dispute["correction_amount_minor"]
    assert {line["kind"] for line in following["lines"]} == {"use", "return", "correction"}
    assert all(line["reference"] for line in following["lines"] if line["kind"] == "return")


async def test_a_statement_is_of_one_moment_whatever_is_settled_meanwhile(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await agree_on_everything(pool)
        book = Book(pool)

        async def use(number: int) -> None:
            moves = [("points", "202701.hotel", "A", "R", 10)]
            leg = {"kind": "points", "points": 10, "value_minor": 10}
            await book.write("redeem", f"rdm_{number}", "mall", moves, at("2026-11-05T04:00"), legs=[leg])
            await Production(pool).run()

        await use(1)
        statements = Statements(pool, lambda: NOW)
        scope = await statements.resolve("hotel")
        assert isinstance(scope, Scope)
        async with statements.open(scope) as opened:
            await use(2)
            lines = [line async for batch in opened.lines() for line in batch]
            assert (opened.statement.lines, len(lines)) == (1, 1)
        again = await statements.read("hotel")
        assert isinstance(again, Statement)
        assert again.lines == 2


async def test_a_business_without_any_line_has_a_statement_of_zero_in_its_currency(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await pool.execute("UPDATE business SET currency = 'JPY' WHERE business_id = 'gym'")
        statement, lines = await read(pool, "gym")
        assert ([row.sums.currency for row in statement.totals], lines) == (["JPY"], [])
        for kind in FORMATS:
            assert await export(pool, tmp_path / f"s.{kind}", "gym", None, format=kind)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("spa",), "business_unknown"),
        (("hotel", "2026-13"), "not_well_formed"),
        (("hotel", "2026-1-01"), "not_well_formed"),
        (("hotel", "２０２６-11"), "not_well_formed"),
        (("hotel", "1999-11"), "not_well_formed"),
        (("hotel", "202611.mall"), "not_well_formed"),
        (("hotel", "202611.mall.hotel"), "not_well_formed"),
        (("hotel", "202611.gym.mall"), "not_a_party"),
        (("hotel", "202611.hotel.mall", "gym"), "not_a_party"),
        (("hotel", "2026-11", "spa"), "business_unknown"),
        (("hotel\x00", "2026-11"), "business_unknown"),
        (("hotel", "x" * 5_000), "not_well_formed"),
    ],
)
async def test_what_cannot_be_told_is_refused_with_its_reason(
    pool: Pool, arguments: tuple[str, ...], reason: str
) -> None:
    refused = await Statements(pool, lambda: NOW).resolve(*arguments)
    assert isinstance(refused, StatementRefused), refused
    assert refused.reason == reason
    assert len(refused.detail) < 200
