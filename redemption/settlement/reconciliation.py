"""A till's list of a day against the ledger: which bills agree, which are missing on a side, which differ.

Bills are compared, not rows: rows and movements of one bill reference (with outlets in the list: of one outlet too) are
one `Item`, so a bill with several redemptions, or several rows, agrees when its sums do. A row that names its
redemption goes to that redemption's bill, whatever reference it has.

Guarantees: every row and every movement is in exactly one item and every item in exactly one class, so the sums of the
items are the sums of both sides; the answer does not depend on the order of rows. Pure.

| class | rows | movements | what it is |
| --- | --- | --- | --- |
| `matched` | some | some | the same amount (and bill amount, where the list has one) |
| `different_amount` | some | some | both sides have the bill, not the same amount |
| `duplicate_in_list` | some | some | the same amount once duplicate rows are counted once |
| `missing_here` | some | none | the list has it, the ledger has not |
| `missing_there` | none | some | the ledger has it, the list has not |
| `other_day` | some | none | the ledger has not got it on this day, and the rows say that they are of another day |
| `cancelled_here` | none | some | taken and given back on the same day: the list need not have it |
"""

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from redemption.domain.limits import TILL_LIST_NOTED_ROWS_MAX
from redemption.settlement.till_days import Elsewhere, Movement
from redemption.settlement.till_lists.reading import TillRow

Class = Literal[
    "different_amount", "missing_here", "missing_there", "duplicate_in_list", "other_day", "cancelled_here", "matched"
]
CLASSES: Final[tuple[Class, ...]] = get_args(Class)
"""The classes in the order of the answer and its file: the most urgent come first."""
DIFFERENCES: Final[tuple[Class, ...]] = (
    "different_amount",
    "missing_here",
    "missing_there",
    "duplicate_in_list",
    "other_day",
)
"""The classes in which the two sides do not agree."""
UNMATCHED_ROWS: Final[tuple[Class, ...]] = ("missing_here", "other_day")
Note = Literal[
    "several_redemptions",
    "several_rows",
    "other_reference_in_list",
    "no_reference_in_ledger",
    "bill_amount_differs",
    "reference_shortened",
    "leading_zeros_lost",
    "row_of_another_day",
]
ListNote = Literal["references_shortened", "leading_zeros_lost", "rows_of_another_day"]
LIST_NOTES: Final[dict[ListNote, Note]] = {
    "references_shortened": "reference_shortened",
    "leading_zeros_lost": "leading_zeros_lost",
    "rows_of_another_day": "row_of_another_day",
}
"""Notes on a bill that are repeated as notes on the whole list."""

_BillKey = tuple[str, str, str]
_SHORTENED: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2,3}|[1-9][0-9]{14}0+", re.ASCII | re.IGNORECASE)
"""A long number as a spreadsheet writes it: with an exponent, or with zeros for every digit after the fifteenth."""


@dataclass(frozen=True, slots=True)
class Item:
    """One bill. `notes` say what is particular about it (docs/reference/settlement.md)."""

    kind: Class
    reference: str | None
    rows: tuple[TillRow, ...]
    movements: tuple[Movement, ...]
    notes: tuple[Note, ...]
    elsewhere: Elsewhere | None = None

    @property
    def list_minor(self) -> int:
        return sum(row.amount_minor for row in self.rows)

    @property
    def ledger_minor(self) -> int:
        return sum(movement.amount_minor for movement in self.movements)

    @property
    def outlets(self) -> list[str]:
        """Return the outlets of both sides."""
        named = [row.outlet for row in self.rows] + [movement.outlet for movement in self.movements]
        return sorted({outlet for outlet in named if outlet is not None})


@dataclass(frozen=True, slots=True)
class ClassTotal:
    """The sums of a class: bills, the rows and movements in them, and the amounts on either side."""

    bills: int
    rows: int
    movements: int
    list_minor: int
    ledger_minor: int


def compare(rows: Sequence[TillRow], movements: Sequence[Movement], day: datetime.date | None = None) -> list[Item]:
    """Compare the two sides bill by bill: all items, in the order of CLASSES and within a class by reference.

    `day` is the business day that is compared; without it no row is of another day.
    """
    by_outlet = any(row.outlet is not None for row in rows)
    key_of_redemption = {movement.redemption_id: _movement_key(movement, by_outlet=by_outlet) for movement in movements}
    rows_of: dict[_BillKey, list[TillRow]] = {}
    movements_of: dict[_BillKey, list[Movement]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        named = key_of_redemption.get(row.redemption_id or "")
        rows_of.setdefault(named or (row.reference, row.outlet or "", ""), []).append(row)
    for movement in movements:
        movements_of.setdefault(key_of_redemption[movement.redemption_id], []).append(movement)
    items = [
        _item(key, tuple(rows_of.get(key, ())), tuple(movements_of.get(key, ())), day)
        for key in {**rows_of, **movements_of}
    ]
    items = _with_lost_zeros(items)
    order = {kind: place for place, kind in enumerate(CLASSES)}
    return sorted(items, key=lambda item: (order[item.kind], item.reference or "", _first_of(item)))


def _first_of(item: Item) -> tuple[str, str]:
    """Return the key that tells bills of one reference apart."""
    return (item.outlets or [""])[0], item.movements[0].redemption_id if item.movements else ""


def _movement_key(movement: Movement, *, by_outlet: bool) -> _BillKey:
    if movement.reference is None:
        return ("", "", movement.redemption_id)
    return (movement.reference, (movement.outlet or "") if by_outlet else "", "")


def _item(key: _BillKey, rows: tuple[TillRow, ...], movements: tuple[Movement, ...], day: datetime.date | None) -> Item:
    notes: list[Note] = []
    if len({movement.redemption_id for movement in movements}) > 1:
        notes.append("several_redemptions")
    if len(rows) > 1:
        notes.append("several_rows")
    if any(row.reference != key[0] for row in rows):
        notes.append("other_reference_in_list")
    if movements and movements[0].reference is None:
        notes.append("no_reference_in_ledger")
    elsewhen = [row for row in rows if day is not None and row.day not in {None, day}]
    if elsewhen:
        notes.append("row_of_another_day")
    kind = _class_of(rows, movements, notes)
    if kind == "missing_here":
        if any(_SHORTENED.fullmatch(row.reference) for row in rows):
            notes.append("reference_shortened")
        if len(elsewhen) == len(rows):
            kind = "other_day"
    reference = key[0] or (rows[0].reference if rows else None)
    return Item(kind, reference, rows, movements, tuple(notes))


def _with_lost_zeros(items: list[Item]) -> list[Item]:
    """Note where a bill that is missing here would be one that is missing there if it had zeros in front.

    Nothing is matched by that: 00123 and 123 may be two bills.
    """
    references = [item.reference or "" for item in items if not item.rows]
    there = {reference.lstrip("0") for reference in references if reference.startswith("0")}
    return [
        replace(item, notes=(*item.notes, "leading_zeros_lost"))
        if item.kind in UNMATCHED_ROWS and item.reference in there
        else item
        for item in items
    ]


def _class_of(rows: tuple[TillRow, ...], movements: tuple[Movement, ...], notes: list[Note]) -> Class:
    there = sum(row.amount_minor for row in rows)
    here = sum(movement.amount_minor for movement in movements)
    if not movements:
        return "missing_here"
    if not rows:
        cancelled = here == 0 and any(movement.is_return for movement in movements)
        return "cancelled_here" if cancelled else "missing_there"
    if there == here:
        bills = {movement.bill_amount_minor for movement in movements} - {None}
        told = {row.bill_amount_minor for row in rows} - {None}
        if bills and told and not told <= bills:
            notes.append("bill_amount_differs")
            return "different_amount"
        return "matched"
    once = {(row.amount_minor, row.occurred_at, row.redemption_id): row.amount_minor for row in rows}
    if len(once) < len(rows) and sum(once.values()) == here:
        return "duplicate_in_list"
    return "different_amount"


def totals_of(items: Iterable[Item]) -> dict[Class, ClassTotal]:
    """Return the sums of each class; every class is included."""
    sums: dict[Class, list[int]] = {kind: [0, 0, 0, 0, 0] for kind in CLASSES}
    for item in items:
        of_item = (1, len(item.rows), len(item.movements), item.list_minor, item.ledger_minor)
        sums[item.kind] = [one + other for one, other in zip(sums[item.kind], of_item, strict=True)]
    return {kind: ClassTotal(*values) for kind, values in sums.items()}


def with_elsewhere(items: Sequence[Item], found: Mapping[str, Elsewhere]) -> list[Item]:
    """Return the items; those that are missing here name where else their bill was found."""
    return [
        replace(item, elsewhere=found.get(item.reference or "")) if item.kind in UNMATCHED_ROWS else item
        for item in items
    ]


def list_notes_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Collect the notes on the list as a whole: the note, the first rows it is about, and how many there are."""
    rows: dict[Note, set[int]] = {note: set() for note in LIST_NOTES.values()}
    for item in items:
        for note in item.notes:
            if note in rows:
                rows[note] |= {row.number for row in item.rows}
    return [
        {"note": name, "rows": sorted(rows[note])[:TILL_LIST_NOTED_ROWS_MAX], "rows_total": len(rows[note])}
        for name, note in LIST_NOTES.items()
        if rows[note]
    ]


def item_document(item: Item) -> dict[str, Any]:
    """Return an item as it is stored, answered and exported: plain values, times in UTC."""
    elsewhere = item.elsewhere
    return {
        "kind": item.kind,
        "reference": item.reference,
        "outlets": item.outlets,
        "list_minor": item.list_minor,
        "ledger_minor": item.ledger_minor,
        "difference_minor": item.list_minor - item.ledger_minor,
        "rows": [
            {
                "row": row.number,
                "reference": row.reference,
                "amount_minor": row.amount_minor,
                "occurred_at": instant(row.occurred_at),
                "redemption_id": row.redemption_id,
                "bill_amount_minor": row.bill_amount_minor,
                "day": None if row.day is None else row.day.isoformat(),
            }
            for row in item.rows
        ],
        "movements": [
            {
                "redemption_id": movement.redemption_id,
                "amount_minor": movement.amount_minor,
                "occurred_at": instant(movement.occurred_at),
                "outlet": movement.outlet,
                "bill_amount_minor": movement.bill_amount_minor,
                "gave_back": movement.is_return,
            }
            for movement in item.movements
        ],
        "notes": list(item.notes),
        "elsewhere": None
        if elsewhere is None
        else {
            "redemption_id": elsewhere.redemption_id,
            "day": elsewhere.day.isoformat(),
            "outlet": elsewhere.outlet,
        },
    }


def instant(moment: datetime.datetime | None) -> str | None:
    """Format a moment as RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest_of(values: Iterable[tuple[object, ...]]) -> bytes:
    """Return SHA-256 of a side, so that the same list against the same ledger is recognized."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(repr(tuple(value)).encode())
    return digest.digest()
