"""`tong settle reconcile`: a till's list of a day against the ledger, reported and kept as over HTTP."""

import asyncio
import datetime
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.api.settlement.reconciliation_files import FILE_FORMS, write_file
from gateway.api.settlement.reconciliation_schemas import ReconciliationHead
from gateway.formats.printing import table
from gateway.http.responses import encode
from gateway.problems.amounts import money
from redemption.database import Pool
from redemption.domain.clock import system_clock
from redemption.domain.limits import TILL_LIST_BYTES_MAX
from redemption.settlement.reconciliation import CLASSES, DIFFERENCES
from redemption.settlement.reconciling import ReconcileRefused, Reconciliation, Reconciliations, Upload
from redemption.settlement.till_lists.reading import TillListRefused

ROWS_TOLD: Final = 10


async def reconcile(
    pool: Pool,
    business: str,
    outlet: str | None,
    day: datetime.date,
    file: Path,
    by: str,
    output: Path | None,
    *,
    as_json: bool,
) -> int:
    """Compare a list and return the exit status.

    0: everything agrees or the list need not have it; 1: there are differences, or the list was refused.
    """
    with file.open("rb") as opened:
        data = await asyncio.to_thread(opened.read, TILL_LIST_BYTES_MAX + 1)
    form: Literal["csv", "json"] = "json" if file.suffix.lower() == ".json" else "csv"
    store = Reconciliations(pool, system_clock)
    result = await store.reconcile(Upload(business, outlet, day, data, form, by))
    if isinstance(result, TillListRefused):
        for fault in result.faults:
            sys.stderr.write(f"tong: {fault.place}: {fault.reason}\n")
        if result.count > len(result.faults):
            sys.stderr.write(f"tong: and {result.count - len(result.faults)} more\n")
        return 1
    if isinstance(result, ReconcileRefused):
        sys.stderr.write(f"tong: {result.detail} ({result.reason})\n")
        return 1
    found, _ = result
    if output is not None:
        chosen = output.suffix.removeprefix(".").lower()
        form_chosen = next(each for each in FILE_FORMS if each == chosen)
        with output.open("xb") as written:
            await write_file(written, form_chosen, found, store.file(found), "en")
    _tell(found, as_json=as_json)
    agrees = all(found.totals_of(kind)["bills"] == 0 for kind in DIFFERENCES)
    return 0 if agrees else 1


def _tell(found: Reconciliation, *, as_json: bool) -> None:
    head = ReconciliationHead.of(found, "en")
    if as_json:
        sys.stdout.write(msgspec.json.format(encode(head), indent=2).decode() + "\n")
        return
    place = found.outlet or found.business
    note = ", not over yet" if head.provisional else ""
    sys.stdout.write(f"{found.reconciliation_id}  {place}  {found.day} ({found.time_zone}{note})\n")
    totals = [(kind, getattr(head.totals, kind)) for kind in CLASSES]
    currency = head.currency
    rows = [
        (kind, str(total.bills), money(total.list_minor, currency), money(total.ledger_minor, currency))
        for kind, total in totals
    ]
    for line in table(("class", "bills", "list", "ledger"), rows):
        sys.stdout.write(f"{line}\n")
    for listed in head.notes:
        numbers = ", ".join(map(str, listed.rows[:ROWS_TOLD]))
        more = ", …" if listed.rows_total > ROWS_TOLD else ""
        sys.stdout.write(f"note: {listed.explanation} (rows {numbers}{more})\n")
