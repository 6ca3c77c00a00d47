"""Output of commands: aligned tables and money for people, JSON for programs.

JSON has the stored names and integers (money in minor units); text has money with its currency's decimals. Answers go
to standard output, progress and refusals to standard error, so that an answer can be kept or piped.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import orjson
import typer

Json = Annotated[bool, typer.Option("--json", help="print JSON: stable names, money as whole minor units")]

_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?( [A-Z]{3})?")


def show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print a value as JSON, or the lines that describe it."""
    if as_json:
        document = orjson.dumps(msgspec.to_builtins(value), option=orjson.OPT_INDENT_2).decode()
        sys.stdout.write(f"{document}\n")
        return
    for line in lines:
        sys.stdout.write(f"{line}\n")


def say(text: str) -> None:
    """Print a line of progress, a refusal or a question to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def moment(instant: datetime | None) -> str:
    """Return `2026-11-30 18:29` (UTC), or nothing."""
    return "" if instant is None else f"{instant:%F %H:%M}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: columns aligned, numbers to the right, empty columns left out."""
    if not rows:
        return []
    used = [column for column in range(len(header)) if any(row[column] for row in rows)]
    cells = [[row[column] for column in used] for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    right = [all(_NUMBER.fullmatch(cell) for cell in column[1:] if cell) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            _padded(cell, width, right=to_right) for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _padded(text: str, width: int, *, right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if right else text + padding
