"""Schemas of the reconciliation of a till's day, each with what builds it. Money is in minor units of `currency`."""

from collections.abc import Sequence
from typing import Annotated, Final, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.api.settlement.reconciliation_texts import explanation_of, list_note_text
from gateway.api.settlement.schemas import Business, Count, Cursor, Day, Minor, Who, moment
from gateway.http.responses import extended
from gateway.problems.kinds import Language
from gateway.scans.schemas import Instant
from redemption.domain.commands import Currency, Reference
from redemption.domain.limits import TILL_LIST_NOTED_ROWS_MAX, TILL_LIST_ROWS_MAX
from redemption.settlement.reconciliation import CLASSES, Class, ListNote, Note
from redemption.settlement.reconciling import Document, Reconciliation
from redemption.settlement.till_lists.text import Charset
from redemption.settlement.till_lists.values import DateOrder, DecimalMark

RECONCILIATION_ID_PATTERN: Final = "^rec_[0-9a-z]{26}$"
RECONCILIATION_ID_EXAMPLE: Final = "rec_q7xm3kz5vdn2w4ytr6bhcfa7le"

ReconciliationId = Annotated[str, Meta(pattern=RECONCILIATION_ID_PATTERN, examples=[RECONCILIATION_ID_EXAMPLE])]
BillMinor = Annotated[int | None, Meta(description="the whole bill before redemption")]


class TillListRow(Struct, omit_defaults=True):
    """A bill, or one of several redemptions of it, as the till has it. Either `amount_minor` or `amount` is needed."""

    reference: Reference
    amount_minor: Annotated[
        int | None, Meta(description="taken off the bill by redemption, minor units; negative: given back")
    ] = None
    amount: Annotated[str | None, Meta(description="the same in the currency's unit, as text", examples=["12.50"])] = (
        None
    )
    date: Annotated[
        str | None, Meta(description="where the time is in a column of its own", examples=["2026-11-22"])
    ] = None
    time: Annotated[
        str | None,
        Meta(
            description="RFC 3339, or local to the outlet, as a spreadsheet writes it", examples=["2026-11-22 18:30:05"]
        ),
    ] = None
    outlet: Annotated[str | None, Meta(description="in every row or in none")] = None
    currency: Currency | None = None
    redemption_id: Annotated[str | None, Meta(description="finds the redemption whatever the reference is")] = None
    bill_amount_minor: BillMinor = None


class TillListRequest(Struct):
    """A day's list."""

    rows: Annotated[list[TillListRow], Meta(max_length=TILL_LIST_ROWS_MAX)]


class ClassTotal(Struct):
    """Of a class: bills, the list's rows and the ledger's movements in them, and the sum of either side."""

    rows: Count
    bills: Count
    movements: Count
    list_minor: Minor
    ledger_minor: Minor


class ListedRow(Struct):
    """A row of the list; `row` 1 is the first after the header."""

    row: Annotated[int, Meta(ge=1)]
    reference: str
    amount_minor: Minor
    occurred_at: Instant | None
    redemption_id: str | None
    bill_amount_minor: BillMinor
    day: Annotated[Day | None, Meta(description="the business day that the row names")] | UnsetType = UNSET


class LedgerMovement(Struct):
    """A redemption of the ledger: taken, or given back."""

    redemption_id: str
    amount_minor: Annotated[int, Meta(description="minor units off the bill; negative: given back")]
    occurred_at: Instant
    outlet: str | None
    bill_amount_minor: BillMinor
    gave_back: bool


class FoundElsewhere(Struct):
    """A bill of this reference on another day within a week, or at another outlet."""

    redemption_id: str
    day: Day
    outlet: str | None


class ReconciledBill(Struct):
    """One bill, from either side or both. Every row and every movement of the day is in exactly one."""

    kind: Class
    reference: str | None
    outlets: list[str]
    list_minor: Minor
    ledger_minor: Minor
    difference_minor: Annotated[int, Meta(description="list - ledger")]
    rows: list[ListedRow]
    movements: list[LedgerMovement]
    notes: list[Note]
    elsewhere: FoundElsewhere | None
    explanation: Annotated[str, Meta(description="kind and notes in words, after Accept-Language")]

    @classmethod
    def of(cls, item: Document, language: Language) -> Self:
        """Build it of an item as it is stored. Raises msgspec.ValidationError for one of another shape."""
        return msgspec.convert({**item, "explanation": explanation_of(item, language)}, cls)


class ClassTotals(Struct):
    """By class."""

    different_amount: Annotated[ClassTotal, Meta(description="both have the bill, not the same amount")]
    missing_here: Annotated[ClassTotal, Meta(description="the list has it, the ledger has not")]
    missing_there: Annotated[ClassTotal, Meta(description="the ledger has it, the list has not")]
    duplicate_in_list: Annotated[ClassTotal, Meta(description="the same once duplicate rows count once")]
    other_day: Annotated[ClassTotal, Meta(description="the list's rows name another day")]
    cancelled_here: Annotated[ClassTotal, Meta(description="taken and given back that day; the list need not have it")]
    matched: ClassTotal


class NoteOfList(Struct):
    """Something unusual about the list as a whole."""

    note: ListNote
    rows: Annotated[list[int], Meta(max_length=TILL_LIST_NOTED_ROWS_MAX, description="the first rows it is about")]
    rows_total: Annotated[int, Meta(ge=1)]
    explanation: Annotated[str, Meta(description="what it means and how to mend it, after Accept-Language")]

    @classmethod
    def of(cls, note: Document, day: str, language: Language) -> Self:
        """Build it of a note as it is stored with the reconciliation of a day."""
        explanation = list_note_text(note["note"], note["rows_total"], day, language)
        return msgspec.convert({**note, "explanation": explanation}, cls)


class ReadAs(Struct):
    """The way in which the list was read."""

    charset: Charset
    separator: Annotated[str | None, Meta(description="between the fields; of JSON null")]
    date_order: Annotated[DateOrder | None, Meta(description="of dates whose year is last")]
    decimal_mark: Annotated[DecimalMark | None, Meta(description="that the amounts show; null: none, or both")]


class ReconciliationHead(Struct):
    """One comparison of a business day. `provisional`: the day was not over at every outlet of the list."""

    reconciliation_id: ReconciliationId
    business: Business
    outlet: str | None
    day: Day
    time_zone: Annotated[str, Meta(description="whose day it is", examples=["Asia/Shanghai"])]
    provisional: bool
    currency: Currency
    rows: Annotated[int, Meta(ge=0, description="of the list")]
    movements: Annotated[int, Meta(ge=0, description="of the ledger")]
    ignored_columns: list[str]
    notes: list[NoteOfList]
    read_as: Annotated[ReadAs | None, Meta(description="null: kept by an earlier version")]
    totals: ClassTotals
    uploaded_by: Who
    created_at: Instant
    expires_at: Annotated[Instant, Meta(description="it is kept until then")]

    @classmethod
    def of(cls, found: Reconciliation, language: Language) -> "ReconciliationHead":
        """Build it of a reconciliation as it is stored."""
        summary, day = found.summary, found.day.isoformat()
        return ReconciliationHead(
            reconciliation_id=found.reconciliation_id,
            business=found.business,
            outlet=found.outlet,
            day=day,
            time_zone=found.time_zone,
            provisional=summary["provisional"],
            currency=summary["currency"],
            rows=summary["rows"],
            movements=summary["movements"],
            ignored_columns=summary["ignored_columns"],
            notes=[NoteOfList.of(note, day, language) for note in summary.get("notes", ())],
            read_as=msgspec.convert(summary.get("read_as"), ReadAs | None),
            totals=msgspec.convert({kind: found.totals_of(kind) for kind in CLASSES}, ClassTotals),
            uploaded_by=found.uploaded_by,
            created_at=moment(found.created_at),
            expires_at=moment(found.expires_at),
        )


class ReconciliationsAnswer(Struct):
    """Newest first."""

    reconciliations: list[ReconciliationHead]
    next_cursor: Cursor


class ReconciliationAnswer(ReconciliationHead):
    """A comparison and the first bills of each class but `matched`; all of them are at /items and in the file."""

    bills: list[ReconciledBill]
    bills_left_out: Count

    @classmethod
    def with_bills(
        cls, found: Reconciliation, bills: Sequence[Document], bills_left_out: int, language: Language
    ) -> Self:
        """Build it of a reconciliation and the bills of it that are shown, as they are stored."""
        return extended(
            cls,
            ReconciliationHead.of(found, language),
            bills=[ReconciledBill.of(bill, language) for bill in bills],
            bills_left_out=bills_left_out,
        )


class ReconciledBillsAnswer(Struct):
    """Bills in the order of the file: by class, then by reference."""

    bills: list[ReconciledBill]
    next_cursor: Cursor
