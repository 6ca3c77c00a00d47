"""Writing one statement to a file, whole or not at all.

Guarantees: the file appears under its name when it is complete (written in a folder beside it, then renamed), with
mode 0600; everything in it is of one snapshot; what blocks (compressing, typesetting) runs in a thread, one batch of
rows at a time, so memory is that of a batch. A workbook needs room for its rows as plain XML while it is written.
Not guaranteed: speed for others in this process, Python runs one thread at a time. A gateway worker uses
`exports.py`, which does this in a process of its own.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from gateway.statements.document import JsonFile
from gateway.statements.fonts import FontMissing, FoundFont, find_font
from gateway.statements.paper import PAPER_ROWS_MAX, PaperFile
from gateway.statements.request import StatementRequest
from gateway.statements.separated import CsvFile
from gateway.statements.tables import (
    FIGURE_SECTIONS,
    StreamedTable,
    Table,
    exceptions_table,
    figure_tables,
    lines_table,
)
from gateway.statements.workbook import TooManyLines, XlsxFile
from redemption.settlement.figures import Statement
from redemption.settlement.statements import OpenStatement, StatementRefused, Statements

SAY_EVERY_ROWS: Final = 100_000
READ_BYTES: Final = 1024 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """The properties of a written file."""

    path: Path
    size_bytes: int
    sha256: str
    provisional: bool
    rows: int


class _File(Protocol):
    """The interface of each format. It blocks: call it in a thread."""

    def begin(self, table: Any) -> None: ...

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None: ...

    def finish(self) -> None: ...


async def write_statement(
    statements: Statements, request: StatementRequest, path: Path, font_path: Path | None = None, say: Say | None = None
) -> Written | StatementRefused:
    """Write the requested statement to `path`, replacing what was there.

    Raises `OSError` and PostgreSQL's faults; then nothing is left behind.
    """
    scope = await statements.resolve(request.business, request.period, request.counterparty)
    if isinstance(scope, StatementRefused):
        return scope
    font: FoundFont | None = None
    if request.format == "pdf":
        try:
            font = await asyncio.to_thread(find_font, request.language, font_path)
        except FontMissing as missing:
            return StatementRefused("font_missing", str(missing))
    with tempfile.TemporaryDirectory(prefix=".tong-statement-", dir=path.parent) as name:
        unfinished = Path(name) / path.name
        try:
            async with statements.open(scope) as opened:
                rows = await _write(opened, request, unfinished, font, say or (lambda _: None))
                provisional = opened.statement.provisional
        except TooManyLines as refused:
            return StatementRefused("not_well_formed", str(refused))
        size, digest = await asyncio.to_thread(_finish, unfinished, path)
    return Written(path, size, digest, provisional, rows)


async def _write(opened: OpenStatement, request: StatementRequest, path: Path, font: FoundFont | None, say: Say) -> int:
    """Write the file. Returns how many rows of exceptions and lines are in it."""
    statement = opened.statement
    with _private(path) as stream:
        file = await asyncio.to_thread(_open, stream, path.parent, statement, request, font)
        if request.format == "csv" and request.section in FIGURE_SECTIONS:
            tables = {table.section: table for table in figure_tables(statement, request.language)}
            await asyncio.to_thread(_whole, file, tables[request.section])
            return len(tables[request.section].rows)
        count = 0
        limit = PAPER_ROWS_MAX if request.format == "pdf" else None
        if request.format != "csv" or request.section == "exceptions":
            table = exceptions_table(statement, request.language)
            count += await _copy(file, table, opened.exceptions(), limit, statement.exceptions, say)
        if request.format != "csv" or request.section == "lines":
            table = lines_table(statement, request.language)
            count += await _copy(file, table, opened.lines(), limit, statement.lines, say)
        say(f"{count} rows, finishing")
        await asyncio.to_thread(file.finish)
        return count


def _private(path: Path) -> BinaryIO:
    """Open a new file that only its owner reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _open(
    stream: BinaryIO, folder: Path, statement: Statement, request: StatementRequest, font: FoundFont | None
) -> _File:
    if request.format == "json":
        return JsonFile(stream, statement, request.language)
    if request.format == "csv":
        return CsvFile(stream, statement, request.language)
    if request.format == "xlsx":
        return XlsxFile(stream, folder, statement, request.language)
    assert font is not None
    return PaperFile(stream, statement, request.language, font)


def _whole(file: _File, table: Table) -> None:
    file.begin(table)
    file.rows(table.rows)
    file.finish()


async def _copy(
    file: _File, table: StreamedTable, batches: AsyncGenerator[Any, None], limit: int | None, total: int, say: Say
) -> int:
    """Copy rows from the database to the file, a batch at a time."""
    count = 0
    told = 0
    await asyncio.to_thread(file.begin, table)
    async with aclosing(batches) as stream:
        async for batch in stream:
            await asyncio.to_thread(_rows, file, table, batch)
            count += len(batch)
            if count - told >= SAY_EVERY_ROWS:
                told = count
                say(f"{table.section}: {count} of {total}")
            if limit is not None and count >= limit:
                break
    return count


def _rows(file: _File, table: StreamedTable, batch: list[Any]) -> None:
    file.rows([table.row_of(one) for one in batch])


def _finish(unfinished: Path, path: Path) -> tuple[int, str]:
    """Sync the file and rename it. Returns its size and SHA-256."""
    digest = hashlib.sha256()
    with unfinished.open("rb") as stream:
        while data := stream.read(READ_BYTES):
            digest.update(data)
        os.fsync(stream.fileno())
        size = stream.tell()
    unfinished.replace(path)
    return size, digest.hexdigest()
