"""All cells of others' text go through gateway/formats/spreadsheets.py: no other module writes CSV or opens a
workbook."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITER = "gateway/formats/spreadsheets.py"


def sources() -> list[Path]:
    return sorted(
        path
        for top in ("gateway", "membership", "redemption", "tokens", "loadtest")
        for path in (ROOT / top).rglob("*.py")
    )


def faults_of(tree: ast.AST) -> Iterator[str]:
    """What writes a table by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "csv":
            if node.attr not in {"reader", "DictReader", "Error"}:
                yield f"csv.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "csv":
            yield "names of csv"
        elif isinstance(node, ast.ImportFrom) and node.module == "xlsxwriter":
            yield "xlsxwriter.Workbook"
        elif isinstance(node, ast.Import) and any(alias.name in {"xlsxwriter", "openpyxl"} for alias in node.names):
            yield "xlsxwriter"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # xlsxwriter's own guesses: `write` makes a formula of "=1", `write_url` a link.
            if node.func.attr in {"write_string", "write_url", "write_row", "write_column", "write_rich_string"}:
                yield node.func.attr
            if any(word.arg == "format" and getattr(word.value, "value", None) == "csv" for word in node.keywords):
                yield "COPY as CSV"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_writes_csv_or_opens_a_workbook(path: Path) -> None:
    if str(path.relative_to(ROOT)) != WRITER:
        assert list(faults_of(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import csv\ncsv.writer(f)", "csv.writer"),
        ("import csv\ncsv.DictWriter(f, [])", "csv.DictWriter"),
        ("from csv import writer", "names of csv"),
        ("from xlsxwriter import Workbook", "xlsxwriter.Workbook"),
        ("sheet.write_url(0, 0, x)", "write_url"),
        ("c.copy_from_query(q, format='csv')", "COPY as CSV"),
    ],
)
def test_the_check_finds_each_way_around_it(text: str, fault: str) -> None:
    assert list(faults_of(ast.parse(text))) == [fault]


def test_no_query_writes_csv() -> None:
    for path in sorted((ROOT / "redemption").rglob("*.sql")):
        assert re.search(r"\bFORMAT\s+'?csv", path.read_text(encoding="utf-8"), re.IGNORECASE) is None, path
