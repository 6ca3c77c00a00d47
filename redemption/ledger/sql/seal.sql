-- What the chain over the ledger asks of PostgreSQL: the sealer writes with it, the audit verifies with it.

-- name: limit_reads
SELECT set_config('application_name', 'tong ledger sealer', true), set_config('timezone', 'UTC', true)

-- name: watermarks
SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark
WHERE bucket = ANY ($1::smallint[]) ORDER BY bucket

-- name: heads
SELECT DISTINCT ON (bucket) bucket, number, epoch, last_ms, last_seq, rows_sealed, rows_in_epoch, key_id, mac
FROM ledger_seal WHERE bucket = ANY ($1::smallint[]) ORDER BY bucket, number DESC

-- name: seals_of_bucket
SELECT number, epoch, last_ms, last_seq, rows_sealed, rows_in_epoch, key_id, mac
FROM ledger_seal WHERE bucket = $1 ORDER BY number

-- name: write_seals
INSERT INTO ledger_seal (bucket, number, epoch, last_ms, last_seq, rows_sealed, rows_in_epoch, key_id, mac)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::bigint[], $8::text[], $9::bytea[])

-- name: batch_end
-- Position of the last of at most $8 rows of a bucket after one position and up to another.
SELECT epoch, entry_ms, entry_seq FROM (
    (SELECT epoch, entry_ms, entry_seq FROM ledger_transaction
     WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2, $3, $4) AND (epoch, entry_ms, entry_seq) <= ($5, $6, $7)
     ORDER BY epoch, entry_ms, entry_seq LIMIT $8)
    UNION ALL
    (SELECT epoch, entry_ms, entry_seq FROM ledger_dead_letter
     WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2, $3, $4) AND (epoch, entry_ms, entry_seq) <= ($5, $6, $7)
     ORDER BY epoch, entry_ms, entry_seq LIMIT $8)
    ORDER BY epoch, entry_ms, entry_seq LIMIT $8
) AS batch ORDER BY epoch DESC, entry_ms DESC, entry_seq DESC LIMIT 1

-- name: content
-- Every row of the ledger between two positions as text, transactions of migrations before 0014 before their postings.
-- A composite's text is unambiguous (quoted, null apart from empty), and says nothing of time zone or date style: times
-- are microseconds.
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
    FROM ledger_transaction
    WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2, $3, $4) AND (epoch, entry_ms, entry_seq) <= ($5, $6, $7)
    UNION ALL
    SELECT epoch, entry_ms, entry_seq, 1, line,
           ROW((extract(epoch FROM occurred_at) * 1000000)::bigint, line, asset, account, owner, issuer, lot,
               expires_month, amount)::text
    FROM ledger_posting_row
    WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2, $3, $4) AND (epoch, entry_ms, entry_seq) <= ($5, $6, $7)
    UNION ALL
    SELECT epoch, entry_ms, entry_seq, 0, 0,
           ROW('dead letter', bucket, epoch, entry_ms, entry_seq, fields, reason)::text
    FROM ledger_dead_letter
    WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2, $3, $4) AND (epoch, entry_ms, entry_seq) <= ($5, $6, $7)
) AS every ORDER BY epoch, entry_ms, entry_seq, part, line
