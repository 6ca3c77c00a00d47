-- A member's own movements in the ledger (redemption/live/history.py). occurred_at is in each condition, so that only the
-- partitions of the months in question are read.

-- name: page
SELECT occurred_at, entry_ms, entry_seq, kind, subject_id, business, outlet, terminal, idempotency_key,
    bill_reference, bill_amount_minor, currency, context, details, coalesce(moves, ledger_moves(t)) AS moves
FROM ledger_transaction AS t
WHERE member_id = $1 AND (occurred_at, entry_ms, entry_seq) < ($2, $3, $4) AND occurred_at <= $2
ORDER BY occurred_at DESC, entry_ms DESC, entry_seq DESC
LIMIT $5

-- name: after
SELECT occurred_at, entry_ms, entry_seq, kind, subject_id, business, outlet, terminal, idempotency_key,
    bill_reference, bill_amount_minor, currency, context, details, coalesce(moves, ledger_moves(t)) AS moves
FROM ledger_transaction AS t
WHERE member_id = $1 AND (entry_ms, entry_seq) > ($2, $3) AND occurred_at >= $4
ORDER BY entry_ms, entry_seq
LIMIT $5

-- name: of_subjects
SELECT occurred_at, entry_ms, entry_seq, kind, subject_id, business, outlet, terminal, idempotency_key,
    bill_reference, bill_amount_minor, currency, context, details, coalesce(moves, ledger_moves(t)) AS moves
FROM ledger_transaction AS t
WHERE subject_id = ANY ($1::text[]) AND member_id = $2
ORDER BY occurred_at, entry_ms, entry_seq
LIMIT $3

-- name: watermark
SELECT last_ms, last_seq FROM ledger_watermark WHERE bucket = $1
