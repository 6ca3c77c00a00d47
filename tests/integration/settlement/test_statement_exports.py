"""Statements on a real PostgreSQL, written out and read back: CSV, workbook, PDF, and what stands in all of them."""

import csv
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from gateway.formats.spreadsheets import without_guard
from gateway.statements.paper import PAPER_ROWS_MAX
from gateway.statements.request import FORMATS, LANGUAGES, SECTIONS, StatementRequest
from gateway.statements.tables import lines_table
from gateway.statements.workbook import FIRST_ROW, HEADING_ROW, XlsxFile
from gateway.statements.writing import write_statement
from redemption.database import Pool
from redemption.settlement.figures import Scope
from redemption.settlement.periods import Closed, Periods
from redemption.settlement.production import Production
from redemption.settlement.statements import StatementRefused, Statements
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.pdf_text import pdf_pages
from tests.support.settlement.settlement import Book, at, group_pool
from tests.support.settlement.statements import HOSTILE, NAMES, NOW, agree_on_everything, export, history_of, read


@pytest.fixture(scope="module")
async def pool(postgres: PrivatePostgres) -> AsyncIterator[Pool]:
    """A history that the tests only read."""
    async with history_of(postgres) as opened:
        yield opened


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
    note = "PROVISIONAL: the month is not closed"
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
    assert {without_guard(row["outlet_name"]) for row in rows} == set(HOSTILE)
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
        found = {str(line[heading.index(key)]).removeprefix("\u200b") for line in lines}
        assert found == {sheet_text(name) for name in HOSTILE}
    text = "".join(pdf_pages(data["pdf"])).replace("\u200b", "").replace("\n", "").replace(" ", "")
    for name in HOSTILE:
        shown = "".join(character for character in name if character.isprintable()).replace(" ", "")
        assert shown in text, name


def sheet_text(text: str) -> str:
    """As a reader of the sheet gives it: a control character XML has no place for is written as _xHHHH_."""
    return text.replace("_x000D_", "_x005F_x000D_").replace("\u0007", "_x0007_")


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
