"""A reconciliation as a file: CSV, XLSX or JSON, a bill a row, in the order of the answer.

Guarantees: written a thousand bills at a time in a thread, so neither memory nor the worker's loop is held by its
length; a text that a spreadsheet would take for a formula, or its writer for markup, is text. Each bill is explained in
words (gateway/api/settlement/reconciliation_texts.py); the notes about the list are in the XLSX's summary and in the
JSON.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Any, Final, Literal, get_args

from gateway.api.settlement.reconciliation_schemas import ReconciledBill, ReconciliationHead
from gateway.api.settlement.reconciliation_texts import explanation_of
from gateway.formats.spreadsheets import BYTE_ORDER_MARK, csv_bytes, open_workbook, write_text
from gateway.http.responses import encode
from gateway.problems.kinds import Language
from redemption.settlement.reconciliation import CLASSES
from redemption.settlement.reconciling import Document, Reconciliation

FileForm = Literal["csv", "xlsx", "json"]
FILE_FORMS: Final[tuple[FileForm, ...]] = get_args(FileForm)
MEDIA_TYPES: Final[dict[FileForm, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
COLUMN_WIDTHS: Final = {
    "class": 18,
    "reference": 24,
    "outlets": 20,
    "list_minor": 14,
    "ledger_minor": 14,
    "difference_minor": 16,
    "currency": 10,
    "list_rows": 12,
    "list_time": 26,
    "redemption_ids": 28,
    "ledger_time": 26,
    "notes": 24,
    "elsewhere_day": 14,
    "elsewhere_outlet": 20,
    "elsewhere_redemption_id": 28,
    "explanation": 80,
}
"""The columns in their order, with their widths in a workbook, in characters."""

Batches = AsyncIterator[list[Document]]


def file_name(found: Reconciliation, form: FileForm) -> str:
    """Return a file name like `tong-reconciliation-mall-2026-11-22.csv`."""
    place = found.outlet or found.business
    return f"tong-reconciliation-{place}-{found.day.isoformat()}.{form}"


async def write_file(
    file: IO[bytes], form: FileForm, found: Reconciliation, batches: Batches, language: Language
) -> None:
    """Write the whole file, its explanations in one language."""
    if form == "json":
        await _write_json(file, found, batches, language)
    elif form == "xlsx":
        await _write_xlsx(file, found, batches, language)
    else:
        await asyncio.to_thread(file.write, BYTE_ORDER_MARK + csv_bytes([tuple(COLUMN_WIDTHS)]))
        async for batch in batches:
            await asyncio.to_thread(_add_csv, file, batch, found.summary["currency"], language)


async def _write_json(file: IO[bytes], found: Reconciliation, batches: Batches, language: Language) -> None:
    file.write(encode(ReconciliationHead.of(found, language))[:-1] + b',"bills":[')
    separator = b""

    def lines(documents: list[Document]) -> bytes:
        return b",".join(encode(ReconciledBill.of(each, language)) for each in documents)

    async for batch in batches:
        file.write(separator + await asyncio.to_thread(lines, batch))
        separator = b","
    file.write(b"]}")


async def _write_xlsx(file: IO[bytes], found: Reconciliation, batches: Batches, language: Language) -> None:
    book = open_workbook(file)
    book.set_properties({"title": file_name(found, "xlsx"), "created": found.created_at.replace(tzinfo=None)})
    strong = book.add_format({"bold": True})
    summary, bills = book.add_worksheet("summary"), book.add_worksheet("bills")
    head = ReconciliationHead.of(found, language)
    for row, name in enumerate(("business", "outlet", "day", "time_zone", "provisional", "currency", "created_at")):
        write_text(summary, row, 0, name, strong)
        value = getattr(head, name)
        write_text(summary, row, 1, "" if value is None else str(value))
    columns = ("bills", "rows", "movements", "list_minor", "ledger_minor")
    summary.set_column(0, len(columns), 20)
    for column, name in enumerate(("class", *columns)):
        write_text(summary, 9, column, name, strong)
    for row, kind in enumerate(CLASSES, 10):
        write_text(summary, row, 0, kind)
        for column, name in enumerate(columns, 1):
            summary.write_number(row, column, getattr(getattr(head.totals, kind), name))
    for row, note in enumerate(head.notes, 11 + len(CLASSES)):
        write_text(summary, row, 0, note.note, strong)
        write_text(summary, row, 1, note.explanation)
    for column, (name, width) in enumerate(COLUMN_WIDTHS.items()):
        bills.set_column(column, column, width)
        write_text(bills, 0, column, name, strong)
    bills.freeze_panes(1, 0)
    number = 1
    async for batch in batches:
        await asyncio.to_thread(_add_sheet_rows, bills, number, batch, found.summary["currency"], language)
        number += len(batch)
    await asyncio.to_thread(book.close)


def _add_sheet_rows(sheet: Any, first: int, batch: list[Document], currency: str, language: Language) -> None:
    for number, item in enumerate(batch, first):
        for column, cell in enumerate(cells_of(item, currency, language)):
            if isinstance(cell, int):
                sheet.write_number(number, column, cell)
            else:
                write_text(sheet, number, column, cell)


def _add_csv(file: IO[bytes], batch: list[Document], currency: str, language: Language) -> None:
    file.write(csv_bytes(cells_of(item, currency, language) for item in batch))


def cells_of(item: Document, currency: str, language: Language) -> list[str | int]:
    """Return a bill as cells, one for each column; several values are separated by spaces."""
    elsewhere = item["elsewhere"] or {}
    times = [row["occurred_at"] for row in item["rows"] if row["occurred_at"]]
    ids = dict.fromkeys(movement["redemption_id"] for movement in item["movements"])
    return [
        item["kind"],
        item["reference"] or "",
        " ".join(item["outlets"]),
        item["list_minor"],
        item["ledger_minor"],
        item["difference_minor"],
        currency,
        " ".join(str(row["row"]) for row in item["rows"]),
        times[0] if times else "",
        " ".join(ids),
        item["movements"][0]["occurred_at"] if item["movements"] else "",
        " ".join(item["notes"]),
        elsewhere.get("day", ""),
        elsewhere.get("outlet") or "",
        elsewhere.get("redemption_id", ""),
        explanation_of(item, language),
    ]
