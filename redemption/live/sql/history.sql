-- A member's own movements in the ledger (redemption/live/history.py). occurred_at is in each condition, so that only the
-- partitions of the months in question are read.

-- name: page
SELECT occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, context
FROM ledger_transaction
WHERE member_id = $1 AND (occurred_at, entry_ms, entry_seq) < ($2, $3, $4) AND occurred_at <= $2
ORDER BY occurred_at DESC, entry_ms DESC, entry_seq DESC
LIMIT $5

-- name: after
SELECT occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, context
FROM ledger_transaction
WHERE member_id = $1 AND (entry_ms, entry_seq) > ($2, $3) AND occurred_at >= $4
ORDER BY entry_ms, entry_seq
LIMIT $5

-- name: of_subjects
SELECT occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, context
FROM ledger_transaction
WHERE subject_id = ANY ($1::text[]) AND member_id = $2
ORDER BY occurred_at, entry_ms, entry_seq
LIMIT $3

-- name: postings
SELECT p.epoch, p.entry_ms, p.entry_seq, p.asset, p.account, p.issuer, p.expires_month, p.amount
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::timestamptz[]) AS wanted (epoch, entry_ms, entry_seq, occurred_at)
JOIN ledger_posting p ON p.bucket = $1 AND p.epoch = wanted.epoch AND p.entry_ms = wanted.entry_ms
    AND p.entry_seq = wanted.entry_seq AND p.occurred_at = wanted.occurred_at
ORDER BY p.entry_ms, p.entry_seq, p.epoch, p.line

-- name: watermark
SELECT last_ms, last_seq FROM ledger_watermark WHERE bucket = $1
