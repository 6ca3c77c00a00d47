"""The product's layout as its auditors know it: key names, fields of a stream entry, tables, queries.

Spelled anew: it imports nothing of the product, so a mistake in the product's own spelling shows as a difference. When
a layout changes, this is the one file of the auditors to look at.
"""

from collections.abc import Mapping
from typing import Any, Final

BUCKETS: Final = 64

LETTERS: Final = {
    "A": "member_available",
    "H": "member_held",
    "I": "business_issued",
    "R": "business_redeemed",
    "X": "expired",
}
"""Accounts in a move `<asset>,<lot>,<from>,<to>,<amount>` of a stream entry, and in `ledger_posting.account`."""

ALL_LOTS: Final = "{b*}:lots:*"
ALL_MEMBERS: Final = "{b*}:member:*"
HELD_FIELD: Final = "held"


def stream(bucket: int) -> str:
    return f"{{b{bucket}}}:ledger"


ENTRY_FIELD: Final = "2"
ENTRY_LINES: Final = ("kind", "id", "member", "at", "moves", "context")


def parts(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the lines of a stream entry: it is one field, named by its version, with these as lines. Another thing is
    given back as it is."""
    lines = fields.get(ENTRY_FIELD, "").split("\n")
    return dict(zip(ENTRY_LINES, lines, strict=True)) if len(lines) == len(ENTRY_LINES) else dict(fields)


async def entries(hot: Any, bucket: int) -> list[tuple[str, dict[str, str]]]:
    """Return id and lines of the entries that a bucket's stream still holds."""
    return [(entry.decode(), parts(_text(fields))) for entry, fields in await hot.xrange(stream(bucket))]


def _text(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def holds(bucket: int) -> str:
    """Sorted set: redemption id, scored with its deadline in milliseconds."""
    return f"{{b{bucket}}}:holds"


def lots(bucket: int, member_id: str) -> str:
    return f"{{b{bucket}}}:lots:{member_id}"


def member_of_key(name: bytes) -> str:
    return name.decode().rpartition(":")[2]


INSTALLED_BUCKETS: Final = "SELECT buckets FROM installation"

WATERMARKS: Final = "SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark"

ROWS_OF_EPOCHS: Final = """
SELECT bucket, epoch, count(*) AS rows FROM (
    SELECT bucket, epoch FROM ledger_transaction UNION ALL SELECT bucket, epoch FROM ledger_dead_letter
) AS written GROUP BY bucket, epoch"""

DEAD_LETTERS: Final = "SELECT count(*) FROM ledger_dead_letter"

UNBALANCED: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM ledger_posting GROUP BY bucket, epoch, entry_ms, entry_seq, asset HAVING sum(amount) <> 0
) AS uneven"""

TOTALS: Final = "SELECT asset, account, sum(amount)::bigint AS total FROM ledger_posting GROUP BY asset, account"

TRANSACTIONS: Final = """
SELECT bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, terminal, idempotency_key
FROM ledger_transaction WHERE member_id = ANY ($1::text[])"""

SUMS_OF_SUBJECTS: Final = """
SELECT t.subject_id, p.asset, p.account, sum(p.amount)::bigint AS amount
FROM ledger_posting AS p JOIN ledger_transaction AS t USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
WHERE t.member_id = ANY ($1::text[]) GROUP BY t.subject_id, p.asset, p.account"""

SCANS_OF_RUN: Final = """
SELECT idempotency_key, subject_id FROM ledger_transaction
WHERE kind IN ('redeem', 'hold') AND idempotency_key LIKE $1 || '-%'"""

REDEMPTIONS: Final = """
SELECT t.terminal, t.idempotency_key, t.subject_id, t.member_id, coalesce((
    SELECT sum(p.amount) FROM ledger_posting AS p
    WHERE (p.bucket, p.epoch, p.entry_ms, p.entry_seq) = (t.bucket, t.epoch, t.entry_ms, t.entry_seq)
      AND p.asset = 'points' AND p.account = 'business_redeemed'), 0)::bigint AS points
FROM ledger_transaction AS t WHERE t.kind = 'redeem'"""

OPEN_HOLDS: Final = """
SELECT t.subject_id FROM ledger_posting AS p
JOIN ledger_transaction AS t USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
WHERE p.account = 'member_held' GROUP BY t.subject_id HAVING bool_or(p.amount <> 0) AND sum(p.amount) <> 0"""

BALANCES: Final = """
SELECT owner, asset, lot, sum(amount)::bigint AS amount FROM ledger_posting
WHERE account = 'member_available' GROUP BY owner, asset, lot HAVING sum(amount) <> 0"""

POINTS_HELD: Final = """
SELECT owner, sum(amount)::bigint AS amount FROM ledger_posting
WHERE account = 'member_held' AND asset = 'points' GROUP BY owner HAVING sum(amount) <> 0"""

ENTRIES: Final = "SELECT bucket, entry_ms, entry_seq, subject_id, member_id, kind FROM ledger_transaction"

POSTINGS: Final = """
SELECT bucket, entry_ms, entry_seq, asset, lot, account, amount FROM ledger_posting ORDER BY epoch, line"""

# The chain (docs/reference/ledger.md, "The chain"): which text of a row is hashed, in which order.
SEALS: Final = (
    "SELECT bucket, number, epoch, last_ms, last_seq, rows_sealed, mac FROM ledger_seal ORDER BY bucket, number"
)

CHAINED: Final = """
SELECT epoch, entry_ms, entry_seq, part, content FROM (
    SELECT epoch, entry_ms, entry_seq, 0 AS part, 0 AS line,
           CASE WHEN moves IS NULL THEN
               ROW('transaction', (extract(epoch FROM occurred_at) * 1000000)::bigint, bucket, epoch, entry_ms,
                   entry_seq, kind, subject_id, member_id, business, outlet, terminal, idempotency_key, bill_reference,
                   bill_amount_minor, currency, context)::text
           ELSE
               ROW('transaction 2', (extract(epoch FROM occurred_at) * 1000000)::bigint, bucket, epoch, entry_ms,
                   entry_seq, kind, subject_id, member_id, business, outlet, terminal, idempotency_key, bill_reference,
                   bill_amount_minor, currency, moves, details)::text
           END AS content
    FROM ledger_transaction WHERE bucket = $1
    UNION ALL
    SELECT epoch, entry_ms, entry_seq, 1, line,
           ROW((extract(epoch FROM occurred_at) * 1000000)::bigint, line, asset, account, owner, issuer, lot,
               expires_month, amount)::text
    FROM ledger_posting_row WHERE bucket = $1
    UNION ALL
    SELECT epoch, entry_ms, entry_seq, 0, 0,
           ROW('dead letter', bucket, epoch, entry_ms, entry_seq, fields, reason)::text
    FROM ledger_dead_letter WHERE bucket = $1
) AS every ORDER BY epoch, entry_ms, entry_seq, part, line"""


def first_link(bucket: int) -> bytes:
    """Return the beginning of a bucket's chain, before it is keyed."""
    return f"tong ledger chain 1 bucket {bucket}".encode()
