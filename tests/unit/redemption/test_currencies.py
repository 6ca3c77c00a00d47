"""One table of currency decimals, everywhere an amount is read or printed."""

import datetime
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.formats.money import money_text
from gateway.pages.product_tables import tables
from gateway.problems.amounts import money
from redemption.domain.currencies import decimals_of, is_currency, other_decimals
from redemption.settlement.till_lists.reading import TillList, TillListRefused, read_csv
from redemption.settlement.till_lists.terms import ListTerms

ROOT = Path(__file__).parents[3]
AMOUNTS = [
    ("JOD", "1.250", 1_250),
    ("KWD", "0.005", 5),
    ("TND", "12.345", 12_345),
    ("IQD", "1.000", 1_000),
    ("JPY", "500", 500),
    ("ISK", "500", 500),
    ("CLP", "500", 500),
    ("CNY", "12.50", 1_250),
    ("CLF", "1.2345", 12_345),
]


def test_the_table_is_the_one_that_was_decided_on() -> None:
    """A new edition of the list that changes a currency's decimals moves the point of amounts that are booked."""
    assert other_decimals() == {
        "BHD": 3,
        "BIF": 0,
        "CLF": 4,
        "CLP": 0,
        "DJF": 0,
        "GNF": 0,
        "IQD": 3,
        "ISK": 0,
        "JOD": 3,
        "JPY": 0,
        "KMF": 0,
        "KRW": 0,
        "KWD": 3,
        "LYD": 3,
        "OMR": 3,
        "PYG": 0,
        "RWF": 0,
        "TND": 3,
        "UGX": 0,
        "UYI": 0,
        "UYW": 4,
        "VND": 0,
        "VUV": 0,
        "XAF": 0,
        "XOF": 0,
        "XPF": 0,
    }


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "AAA", "cny", "", "CN"])
def test_what_has_no_minor_unit_is_no_currency(code: str) -> None:
    assert not is_currency(code)


@pytest.mark.parametrize(("currency", "text", "minor"), AMOUNTS)
def test_a_list_of_the_day_is_read_by_the_currencys_decimals(currency: str, text: str, minor: int) -> None:
    terms = ListTerms(currency, frozenset(), datetime.date(2026, 11, 22), ZoneInfo("UTC"))
    read = read_csv(f"reference,amount\nA,{text}\n".encode(), terms)
    assert isinstance(read, TillList), read
    assert [row.amount_minor for row in read.rows] == [minor]
    decimals = decimals_of(currency)
    too_many = read_csv(f"reference,amount\nA,1.{'1' * (decimals + 1)}\n".encode(), terms)
    assert isinstance(too_many, TillListRefused)
    assert f"{decimals} decimals" in too_many.faults[0].reason


@pytest.mark.parametrize(("currency", "text", "minor"), AMOUNTS)
def test_statements_and_the_members_activity_print_the_same_decimals(currency: str, text: str, minor: int) -> None:
    assert money_text(minor, currency).replace(",", "") == text
    assert money(minor, currency).replace(" ", "") == f"{text}{currency}"


def test_the_pages_carry_the_same_constants() -> None:
    for path, text in tables().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m gateway.pages.product_tables`"


def test_nothing_else_of_the_product_has_a_table_of_its_own() -> None:
    decimals_by_code = re.compile(r"""["'][A-Z]{3}["']: [0-9]|\{["'](?:JPY|KRW|VND)["'], ["'](?:JPY|KRW|VND)["']""")
    own = [
        str(path.relative_to(ROOT))
        for folder in ("gateway", "redemption")
        for path in (ROOT / folder).rglob("*.py")
        if decimals_by_code.search(path.read_text(encoding="utf-8"))
    ]
    assert own == []
