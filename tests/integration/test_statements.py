"""Statements on a real PostgreSQL: what the figures say against the lines and the ledger, in every format."""

import csv
import io
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from gateway.statements.paper import PAPER_ROWS_MAX
from gateway.statements.request import FORMATS, LANGUAGES, SECTIONS, StatementRequest
from gateway.statements.tables import lines_table
from gateway.statements.workbook import FIRST_ROW, HEADING_ROW, XlsxFile
from gateway.statements.writing import write_statement
from redemption.database import Pool
from redemption.settlement.figures import Row, Scope, Statement, StatementLine
from redemption.settlement.periods import Closed, Periods
from redemption.settlement.production import Production
from redemption.settlement.statements import StatementRefused, Statements
from tests.support.pdf_text import pdf_pages
from tests.support.postgres import PrivatePostgres, private_postgres
from tests.support.settlement import BUSINESSES, Book, at, group_pool
from tests.support.statements import (
    HOSTILE,
    NAMES,
    agree_on_everything,
    export,
    months_of_history,
    name_everything,
)

SEED = random.SystemRandom().randrange(2**32)
NOW = at("2026-11-22T08:00")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture(scope="module")
async def pool(postgres: PrivatePostgres) -> AsyncIterator[Pool]:
    """A history that the tests only read."""
    async with postgres.fresh_database() as dsn, group_pool(dsn) as opened:
        await name_everything(opened)
        await agree_on_everything(opened)
        await months_of_history(opened, SEED)
        yield opened


@pytest.fixture(autouse=True)
def seed_is_printed() -> None:
    sys.stdout.write(f"history of seed {SEED}\n")


async def read(pool: Pool, *arguments: str | None) -> tuple[Statement, list[StatementLine]]:
    statements = Statements(pool, lambda: NOW)
    scope = await statements.resolve(*arguments)  # type: ignore[arg-type]
    assert isinstance(scope, Scope), scope
    async with statements.open(scope) as opened:
        return opened.statement, [line async for batch in opened.lines() for line in batch]


def grown(rows: tuple[Row, ...]) -> Counter[str]:
    """The sum of the rows' figures."""
    total: Counter[str] = Counter()
    for row in rows:
        for name in ("lines", "own_lines", "receivable_minor", "payable_minor", "receivable_tax_minor",
                     "payable_tax_minor", "net_minor", "own_face_minor"):  # fmt: skip
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
                other.payable_amount_minor, other.payable_tax_minor, other.payable_units,
            )  # fmt: skip
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


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_csv_adds_up_to_the_statement(pool: Pool, tmp_path: Path, language: Any) -> None:
    statement, lines = await read(pool, "hotel", "2026-10")
    columns = [column.key for column in lines_table(statement, language).columns]
    data = await export(pool, tmp_path / "s.csv", "hotel", "2026-10", format="csv", language=language)
    assert data.startswith("\ufeff".encode())
    heading, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    if language == "en":
        assert heading == ["statement", *columns]
    else:
        assert heading[-1] == {"zh-Hant": "爭議編號", "zh-Hans": "争议编号"}[language]
    for key in ("amount_minor", "tax_minor", "net_minor", "units"):
        place = 1 + columns.index(key)
        assert sum(int(row[place]) for row in rows) == sum(getattr(line, key) for line in lines)
    assert {row[0] for row in rows} == {{"en": "closed", "zh-Hant": "已關帳", "zh-Hans": "已关账"}[language]}
    for section in SECTIONS:
        await export(pool, tmp_path / "s.csv", "hotel", "2026-10", format="csv", language=language, section=section)
        table = list(csv.reader((tmp_path / "s.csv").read_text("utf-8-sig").splitlines()))
        assert {len(row) for row in table} == {len(table[0])}


def sheet_table(sheet: Any) -> tuple[list[str], list[list[Any]]]:
    heading, *rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=HEADING_ROW + 1)]
    return heading, [row for row in rows if any(cell is not None for cell in row)]


@pytest.mark.parametrize("rows_per_sheet", [1_000, 17])
async def test_the_workbook_read_back_has_totals_that_are_the_sums_of_its_lines(
    pool: Pool, tmp_path: Path, rows_per_sheet: int
) -> None:
    path = tmp_path / "s.xlsx"
    statements = Statements(pool, lambda: NOW)
    scope = await statements.resolve("hotel", "2026-11")
    assert isinstance(scope, Scope)
    async with statements.open(scope) as opened:
        statement = opened.statement
        with path.open("wb") as stream:
            file = XlsxFile(stream, tmp_path, statement, "en", rows_per_sheet=rows_per_sheet)
            table = lines_table(statement, "en")
            file.begin(table)
            async for batch in opened.lines():
                file.rows([table.row_of(line) for line in batch])
            file.finish()
    book, formulas = openpyxl.load_workbook(path, data_only=True), openpyxl.load_workbook(path)
    names = [sheet.title for sheet in book if sheet.title.startswith("Lines")]
    assert len(names) == -(-statement.lines // rows_per_sheet)
    rows: list[list[Any]] = []
    for name in names:
        heading, more = sheet_table(book[name])
        rows += more
        assert book[name].freeze_panes == f"A{FIRST_ROW + 1}"
    assert len(rows) == statement.lines
    net, direction = heading.index("Net"), heading.index("Direction")
    summary = {row[0].value: row for row in book["Summary"].iter_rows() if row[0].value}
    top = [cell.value for cell in summary["Currency"]]
    total = [cell.value for cell in summary["CNY"]]
    written = [cell.value for cell in next(row for row in formulas["Summary"].iter_rows() if row[0].value == "CNY")]
    assert money(total[top.index("Net")]) == sum(money(row[net]) for row in rows) == statement.totals[0].sums.net_minor
    for column, wanted in (("Receivable", "Receivable"), ("Payable", "Payable")):
        amount, tax = heading.index("Before tax"), heading.index("Tax")
        of_lines = sum(money(row[amount]) + money(row[tax]) for row in rows if row[direction] == wanted)
        assert money(total[top.index(column)]) == of_lines
    assert total[top.index("Lines")] == len(rows)
    assert all(str(cell).startswith("=") for cell in written[1:] if cell is not None)
    assert all(f"'{name}'!" in written[top.index("Payable before tax")] for name in names)
    for name in ("By counterparty", "By outlet", "By day", "By instrument"):
        heading, rows = sheet_table(book[name])
        place = heading.index("Net")
        assert rows[-1][0] == "Total"
        assert money(rows[-1][place]) == sum(money(row[place]) for row in rows[:-1])
        assert sheet_table(formulas[name])[1][-1][place].startswith("=SUMIFS(")
    cell = book["Lines"].cell(FIRST_ROW + 1, 1 + net)
    assert (cell.data_type, cell.number_format) == ("n", "#,##0.00")
    assert book["Lines"].cell(FIRST_ROW + 1, 1).is_date


def money(value: Any) -> int:
    """Minor units of a cell that shows two digits; nothing is lost in it."""
    minor = Decimal(str(value)) * 100
    assert minor == minor.to_integral_value()
    return int(minor)


@pytest.mark.parametrize(("language", "region"), [("zh-Hant", "tc"), ("zh-Hans", "sc"), ("en", "tc")])
async def test_the_pdf_says_it_in_its_language_with_the_font_in_it(
    pool: Pool, tmp_path: Path, language: Any, region: str
) -> None:
    data = await export(pool, tmp_path / "s.pdf", "hotel", "2026-10", format="pdf", language=language)
    assert f"NotoSansCJK{region}-Regular".encode() in data
    assert b"/FontFile3" in data
    text = "\n".join(pdf_pages(data)).replace("\u200b", "")
    statement, lines = await read(pool, "hotel", "2026-10")
    for business in ("hotel", "mall", "restaurant"):
        assert NAMES[business][language] in text
    assert f"{abs(statement.totals[0].sums.net_minor) / 100:,.2f}" in text
    assert statement.periods[0].sha256 in text
    assert all(line.line_id in text.replace("\n", "") for line in lines)
    assert {"zh-Hant": "已關帳", "zh-Hans": "已关账", "en": "Closed"}[language] in text


async def test_a_provisional_statement_says_so_everywhere(pool: Pool, tmp_path: Path) -> None:
    note = "PROVISIONAL: the period is not closed"
    for period in (None, "2026-11", "2026-10-05", "202611.hotel.mall"):
        data = {
            kind: await export(pool, tmp_path / f"s.{kind}", "hotel", period, format=kind, language="en")
            for kind in FORMATS
        }
        document = json.loads(data["json"])
        assert (document["provisional"], document["status"]) == (True, "provisional")
        assert document["notice"].startswith(note)
        rows = list(csv.DictReader(io.StringIO(data["csv"].decode("utf-8-sig"))))
        assert {row["statement"] for row in rows} == {"provisional"}
        assert all(note in page and "PROVISIONAL\n" in page for page in pdf_pages(data["pdf"]))
        for sheet in openpyxl.load_workbook(io.BytesIO(data["xlsx"])):
            assert sheet["A2"].value.startswith(note)
            assert note in sheet.oddHeader.center.text
        scope = await Statements(pool, lambda: NOW).resolve("hotel", period)
        assert isinstance(scope, Scope)
        for kind in FORMATS:
            assert "PROVISIONAL" in StatementRequest("hotel", format=kind).file_name(scope, provisional=True)


async def test_the_same_statement_is_the_same_bytes_whenever_it_is_written(pool: Pool, tmp_path: Path) -> None:
    for kind in FORMATS:
        first = await export(pool, tmp_path / f"a.{kind}", "mall", "2026-10", format=kind)
        closed = await Periods(pool, lambda: at("2027-03-01T00:00")).close(202610, "again")
        assert isinstance(closed, Closed)
        later = await export(
            pool, tmp_path / f"b.{kind}", "mall", "2026-10", format=kind, clock=lambda: at("2027-03-01T00:00")
        )
        assert first == later, kind


async def test_hostile_names_and_references_come_out_as_text(postgres: PrivatePostgres, tmp_path: Path) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await agree_on_everything(pool)
        book = Book(pool)
        for number, name in enumerate(HOSTILE):
            outlet = f"out_h_{number}"
            await pool.execute(
                "INSERT INTO outlet (outlet_id, business_id, name) VALUES ($1, 'mall', $2)", outlet, {"en": name}
            )
            moves = [("points", "202701.hotel", "A", "R", 10)]
            leg = {"kind": "points", "points": 10, "value_minor": 10}
            bill = {"reference": name, "amount_minor": 10, "currency": "CNY"}
            await book.write(
                "redeem", f"rdm_{number}", "mall", moves, at("2026-11-05T04:00"), legs=[leg], outlet=outlet, bill=bill
            )
        await pool.execute("UPDATE business SET name = $1 WHERE business_id = 'mall'", {"en": HOSTILE[0]})
        await pool.execute("UPDATE business SET name = $1 WHERE business_id = 'hotel'", {"en": HOSTILE[9]})
        await Production(pool).run()
        data = {
            kind: await export(pool, tmp_path / f"s.{kind}", "hotel", "2026-11", format=kind, language="en")
            for kind in FORMATS
        }
    rows = list(csv.DictReader(io.StringIO(data["csv"].decode("utf-8-sig"), newline="")))
    assert {row["outlet_name"].removeprefix("'") for row in rows} == set(HOSTILE)
    assert not [cell for row in rows for cell in row.values() if cell.strip(" ")[:1] in "=+@\t＝" and cell]
    assert {line["bill_reference"] for line in json.loads(data["json"])["lines"]} == set(HOSTILE)
    book_read = openpyxl.load_workbook(io.BytesIO(data["xlsx"]))
    for sheet in book_read:
        for row in sheet.iter_rows():
            for cell in row:
                assert (
                    cell.data_type != "f"
                    or cell.value.startswith(("=SUMIFS(", "=COUNTIFS("))
                    or sheet.title == "Summary"
                )
                assert cell.hyperlink is None
    heading, lines = sheet_table(book_read["Lines"])
    for key in ("Outlet", "Bill reference"):
        assert {line[heading.index(key)] for line in lines} == {sheet_text(name) for name in HOSTILE}
    text = "".join(pdf_pages(data["pdf"])).replace("\u200b", "").replace("\n", "").replace(" ", "")
    for name in HOSTILE:
        shown = "".join(character for character in name if character.isprintable()).replace(" ", "")
        assert shown in text, name


def sheet_text(text: str) -> str:
    """As a reader of the sheet gives it: a control character XML has no place for is written as _xHHHH_."""
    return text.replace("_x000D_", "_x005F_x000D_").replace("\u0007", "_x0007_")


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


async def test_a_pdf_of_many_lines_shows_the_first_and_says_where_the_others_are(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await agree_on_everything(pool)
        book = Book(pool)
        for number in range(PAPER_ROWS_MAX + 7):
            leg = {"kind": "points", "points": 10, "value_minor": 10}
            moves = [("points", "202701.hotel", "A", "R", 10)]
            book.add("redeem", f"rdm_{number}", "mall", moves, at("2026-11-05T04:00"), legs=[leg])
        await book.flush()
        await Production(pool).run()
        data = await export(pool, tmp_path / "s.pdf", "mall", "2026-11", format="pdf", language="en")
    text = "\n".join(pdf_pages(data))
    assert text.count("\nstl_0-") == PAPER_ROWS_MAX
    assert f"Only the first {PAPER_ROWS_MAX} of {PAPER_ROWS_MAX + 7} are shown here" in text.replace("\u200b", "")


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


async def test_without_a_chinese_font_a_pdf_is_refused_with_what_to_install(pool: Pool, tmp_path: Path) -> None:
    empty = tmp_path / "fonts"
    empty.mkdir()
    refused = await write_statement(
        Statements(pool, lambda: NOW), StatementRequest("hotel", format="pdf"), tmp_path / "s.pdf", font_path=empty
    )
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "font_missing"
    assert "noto-cjk-sans-otc" in refused.detail
    assert list(tmp_path.iterdir()) == [empty]
