"""The one writer of CSV: what is guarded, and that reading back gives what was written."""

import csv
import datetime
import io
import random

import pytest

from gateway.formats.spreadsheets import csv_bytes, guarded, without_guard


def cells(data: bytes, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator))


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "+1",
        "-1",
        "@a",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u3000=1",
        "\u00a0=1",
        "\u200b=1",
        "\ufeff=1",
        "\x00=1",
        "＝1",
        "＋1",
        "－2",
        "＠a",
        "﹦1",
        "﹢1",
        "﹣1",
        "﹫a",
        "\u22121",
        "-",
        "'=1",
        "''=1",
        "' =1",
        "\tx",
        "\r",
        "\nx",
        "\u202e=1",
        '=HYPERLINK("http://evil.invalid","x")',
    ],
)
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guarded(text)[:1] == "'"
    assert without_guard(guarded(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a=1", "POS-7", "通逸酒店", " a", "1-2", "'", "'a", "it's", "a+b", "a b=c", "#REF"]
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == without_guard(guarded(text)) == text


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_program_with_another_separator_finds_no_formula_either(separator: str) -> None:
    data = csv_bytes([["A", f'x{separator}=HYPERLINK("http://evil.invalid")', f"y{separator} -1+1", 5]])
    for line in data.decode().splitlines():
        for cell in line.replace('"', "").split(separator):
            assert cell.lstrip(" '")[:1] not in "=+-@" or cell.lstrip(" ")[:1] == "'", cell


def test_reading_back_gives_exactly_what_was_written(chance: random.Random) -> None:
    alphabet = "=+-@'\t\r\n;|, \"a1＝－\u200b\u3000通x"
    for _ in range(10_000):
        text = "".join(chance.choices(alphabet, k=chance.randint(0, 8)))
        read = cells(csv_bytes([[text, "end"]]))
        assert without_guard(read[0][0]) == text
        # No cell of any of the separators begins a formula.
        for part in text.replace("\r", "\n").replace(";", "\n").replace("|", "\n").replace("\t", "\n").split("\n"):
            assert part == "" or guarded(part)[:1] not in "=+-@＝－"


def test_numbers_and_times_stay_numbers_and_times() -> None:
    moment = datetime.datetime(2026, 11, 22, 18, 30, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=8)))
    data = csv_bytes([[-5, 1.5, None, datetime.date(2026, 11, 22), moment, "-5"]])
    assert data == b"-5,1.5,,2026-11-22,2026-11-22T10:30:05.000Z,'-5\r\n"
    with pytest.raises(TypeError, match="bytes is not a cell"):
        csv_bytes([[b"x"]])
