-- What a rebuild of the hot store reads, and how it closes an epoch.

-- name: configuration
SELECT i.buckets, i.time_zone, (SELECT jsonb_object_agg(business_id, currency) FROM business) AS currencies
FROM installation AS i

-- name: history
-- Members of one bucket, each with where it stood after the archived months (kind `opening`) and its transactions in
-- stream order; a member without any once, without a kind. $3: one member only.
SELECT coalesce(m.member_id, t.member_id) AS member_id, m.tier_id, m.display_name, m.status, m.codes_valid_from, t.at_ms, t.kind,
       t.subject_id, t.business, t.outlet, t.terminal, t.idempotency_key, t.bill_reference, t.bill_amount_minor, t.currency,
       t.context, t.details, t.moves
FROM (SELECT * FROM member WHERE member_number % $2::integer = $1::integer AND ($3::text IS NULL OR member_id = $3)) AS m
FULL JOIN (
    SELECT t.member_id, t.epoch, t.entry_ms, t.entry_seq, (extract(epoch FROM t.occurred_at) * 1000)::bigint AS at_ms,
           t.kind, t.subject_id, t.business, t.outlet, t.terminal, t.idempotency_key, t.bill_reference,
           t.bill_amount_minor, t.currency, t.context, t.details, coalesce(t.moves, ledger_moves(t)) AS moves
    FROM ledger_transaction AS t WHERE t.bucket = $1::smallint AND ($3::text IS NULL OR t.member_id = $3)
    UNION ALL
    SELECT coalesce(lots.owner, states.member_id), 0, 0, 0, 0, 'opening', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           coalesce(states.state, '{}'), NULL, lots.opening
    FROM (SELECT owner, string_agg(asset || ',' || lot || ',' || amount, ';' ORDER BY asset, lot) AS opening
          FROM (SELECT owner, asset, lot, sum(amount) AS amount FROM ledger_archive_balance
                WHERE bucket = $1::smallint AND account = 'member_available' AND ($3::text IS NULL OR owner = $3)
                  AND part IN (SELECT part FROM ledger_archive)
                GROUP BY owner, asset, lot HAVING sum(amount) <> 0) AS summed
          GROUP BY owner) AS lots
    FULL JOIN (SELECT DISTINCT ON (member_id) member_id, state FROM ledger_archive_member
               WHERE bucket = $1::smallint AND ($3::text IS NULL OR member_id = $3)
                 AND part IN (SELECT part FROM ledger_archive)
               ORDER BY member_id, part DESC) AS states ON states.member_id = lots.owner
) AS t ON t.member_id = m.member_id
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
