"""Rows of the ledger as they were written before migration 0014: the context whole, two rows of postings for a move."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redemption.ledger.entries import ACCOUNTS, Entry
from redemption.ledger.store import Item

POSTING_COLUMNS = ("line", "asset", "account", "owner", "issuer", "lot", "expires_month", "amount")
TRANSACTION_COLUMNS = (
    *("occurred_at", "bucket", "epoch", "entry_ms", "entry_seq", "kind", "subject_id", "member_id", "business"),
    *("outlet", "terminal", "idempotency_key", "bill_reference", "bill_amount_minor", "currency", "context"),
)
KEY_COLUMNS = TRANSACTION_COLUMNS[:5]


def postings_of(entry: Entry) -> list[tuple[int, str, str, str | None, str, str, int | None, int]]:
    """The postings of an entry, in the order of POSTING_COLUMNS."""
    rows: list[tuple[int, str, str, str | None, str, str, int | None, int]] = []
    for move in entry.moves:
        for letter, amount in ((move.source, -move.amount), (move.target, move.amount)):
            owner = entry.member_id if letter in "AH" else entry.business if letter == "R" else move.issuer
            account = ACCOUNTS[letter]
            rows.append((len(rows), move.asset, account, owner, move.issuer, move.lot, move.expires_month, amount))
    return rows


async def write_old_form(connection: Any, items: Sequence[Item]) -> None:
    """Writes the entries in epoch 1; of a transaction all postings in one statement."""
    transactions, postings = [], []
    for bucket, position, entry, _ in items:
        assert isinstance(entry, Entry)
        key = (_moment(entry.at_ms), bucket, 1, *position)
        columns = (getattr(entry, name) for name in TRANSACTION_COLUMNS[5:-1])
        transactions.append((*key, *columns, json.dumps(entry.context)))
        postings += [(*key, *posting) for posting in postings_of(entry)]
    values = ", ".join(f"${number}" for number in range(1, len(TRANSACTION_COLUMNS)))
    await connection.executemany(
        f"INSERT INTO ledger_transaction ({', '.join(TRANSACTION_COLUMNS)})"  # noqa: S608
        f" VALUES ({values}, ${len(TRANSACTION_COLUMNS)}::text::jsonb)",
        transactions,
    )
    await connection.copy_records_to_table(
        "ledger_posting_row", records=postings, columns=[*KEY_COLUMNS, *POSTING_COLUMNS]
    )


def _moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
