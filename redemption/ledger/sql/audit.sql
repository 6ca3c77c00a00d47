-- What `tong audit` asks of the ledger. Everything is per bucket, so that one bucket is in memory at a time.

-- name: keep_months
-- First in a transaction, before its snapshot: no month is detached while it reads.
LOCK TABLE ledger_transaction, ledger_posting_row IN ACCESS SHARE MODE

-- name: watermark
SELECT epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark WHERE bucket = $1

-- name: unbalanced
-- Rows of before migration 0014 only: a move balances by its form.
SELECT epoch, entry_ms, entry_seq, asset, sum(amount)::bigint AS total FROM ledger_posting_row WHERE bucket = $1
GROUP BY epoch, entry_ms, entry_seq, asset HAVING sum(amount) <> 0 ORDER BY 1, 2, 3, 4 LIMIT $2

-- name: orphans
SELECT DISTINCT epoch, entry_ms, entry_seq, owner FROM ledger_posting_row AS p
WHERE bucket = $1 AND NOT EXISTS (
    SELECT FROM ledger_transaction AS t
    WHERE (t.bucket, t.epoch, t.entry_ms, t.entry_seq, t.occurred_at)
        = (p.bucket, p.epoch, p.entry_ms, p.entry_seq, p.occurred_at))
ORDER BY 1, 2, 3, 4 LIMIT $2

-- name: dead_letters
SELECT epoch, entry_ms, entry_seq, reason FROM ledger_dead_letter WHERE bucket = $1 ORDER BY 1, 2, 3 LIMIT $2

-- name: rows_of_epochs
SELECT epoch, count(*) AS rows FROM (
    SELECT epoch FROM ledger_transaction WHERE bucket = $1 UNION ALL SELECT epoch FROM ledger_dead_letter WHERE bucket = $1
) AS every GROUP BY epoch ORDER BY epoch

-- name: closed_epochs
SELECT epoch, rows_in_epoch FROM ledger_epoch WHERE bucket = $1 ORDER BY epoch

-- name: rows_up_to
SELECT (SELECT count(*) FROM ledger_transaction
        WHERE bucket = $1 AND epoch = $2 AND (entry_ms, entry_seq) <= ($3, $4))
     + (SELECT count(*) FROM ledger_dead_letter
        WHERE bucket = $1 AND epoch = $2 AND (entry_ms, entry_seq) <= ($3, $4))

-- name: balances
-- Of every account, so that one pass over the postings is enough.
SELECT owner, account, asset, lot, sum(amount)::bigint AS amount FROM (
    SELECT owner, account, asset, lot, amount FROM ledger_posting WHERE bucket = $1
    UNION ALL
    SELECT owner, account, asset, lot, amount FROM ledger_archive_balance
    WHERE bucket = $1 AND part IN (SELECT part FROM ledger_archive)) AS every
GROUP BY owner, account, asset, lot HAVING sum(amount) <> 0

-- name: open_holds
SELECT subject_id, asset, lot, sum(amount)::bigint AS amount FROM (
    SELECT t.subject_id, p.asset, p.lot, p.amount
    FROM ledger_posting AS p JOIN ledger_transaction AS t USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
    WHERE p.bucket = $1 AND p.account = 'member_held'
    UNION ALL
    SELECT subject_id, asset, lot, amount FROM ledger_archive_balance
    WHERE bucket = $1 AND account = 'member_held' AND part IN (SELECT part FROM ledger_archive)) AS every
GROUP BY subject_id, asset, lot HAVING sum(amount) <> 0

-- name: movements_between
-- LATERAL with OFFSET, so that postings are always looked up by their key.
SELECT t.entry_ms, t.entry_seq, t.subject_id, moved.owner, moved.account, moved.asset, moved.lot, moved.amount
FROM ledger_transaction AS t CROSS JOIN LATERAL (
    SELECT owner, account, asset, lot, amount, line FROM ledger_posting AS p
    WHERE (p.bucket, p.epoch, p.entry_ms, p.entry_seq, p.occurred_at)
        = (t.bucket, t.epoch, t.entry_ms, t.entry_seq, t.occurred_at)
      AND p.account IN ('member_available', 'member_held') OFFSET 0) AS moved
WHERE t.bucket = $1 AND t.epoch = $2 AND (t.entry_ms, t.entry_seq) > ($3, $4) AND (t.entry_ms, t.entry_seq) <= ($5, $6)
ORDER BY t.entry_ms, t.entry_seq, moved.line

-- name: members_of_bucket
SELECT member_id FROM member
WHERE member_number % (SELECT buckets FROM installation)::integer = $1::integer ORDER BY member_id

-- name: subjects_known
SELECT DISTINCT subject_id FROM ledger_transaction WHERE subject_id = ANY ($1::text[])

-- name: members_known
SELECT member_id FROM member WHERE member_id = ANY ($1::text[])
UNION SELECT member_id FROM ledger_transaction WHERE member_id = ANY ($1::text[])
UNION SELECT owner FROM ledger_archive_balance
WHERE owner = ANY ($1::text[]) AND account = 'member_available' AND part IN (SELECT part FROM ledger_archive)
