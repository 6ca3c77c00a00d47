-- What a rebuild of the hot store reads, and how it closes an epoch.

-- name: configuration
SELECT i.buckets, i.time_zone, (SELECT jsonb_object_agg(business_id, currency) FROM business) AS currencies
FROM installation AS i

-- name: history
-- Members of one bucket, each with its transactions in stream order; a member without any once, without a kind.
-- $3: one member only.
SELECT coalesce(m.member_id, t.member_id) AS member_id, m.tier_id, m.display_name, m.status,
       (extract(epoch FROM t.occurred_at) * 1000)::bigint AS at_ms, t.kind, t.subject_id, t.context,
       (SELECT string_agg(p.asset || ',' || p.lot || ',' || p.account || ',' || p.amount, ';' ORDER BY p.line)
        FROM ledger_posting AS p
        WHERE (p.bucket, p.epoch, p.entry_ms, p.entry_seq, p.occurred_at)
            = (t.bucket, t.epoch, t.entry_ms, t.entry_seq, t.occurred_at)) AS postings
FROM (SELECT * FROM member WHERE member_number % $2::integer = $1::integer AND ($3::text IS NULL OR member_id = $3)) AS m
FULL JOIN (SELECT * FROM ledger_transaction WHERE bucket = $1::smallint AND ($3::text IS NULL OR member_id = $3)) AS t
    ON t.member_id = m.member_id
ORDER BY 1, t.epoch, t.entry_ms, t.entry_seq

-- name: closed_epoch
SELECT last_ms, last_seq FROM ledger_epoch WHERE bucket = $1 AND epoch = $2

-- name: lock_watermark
SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark WHERE bucket = $1 FOR UPDATE

-- name: close_epoch
INSERT INTO ledger_epoch (bucket, epoch, last_ms, last_seq, rows_in_epoch)
SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark WHERE bucket = $1

-- name: open_epoch
UPDATE ledger_watermark SET epoch = $2, last_ms = 0, last_seq = 0, rows_in_epoch = 0, updated_at = now()
WHERE bucket = $1
