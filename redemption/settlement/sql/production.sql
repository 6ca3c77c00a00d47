-- From the ledger to lines. Each query opens with its name.

-- name: limit_transaction
-- A settling process that stands still in the middle of a batch is ended, so that another can go on.
SELECT set_config('application_name', 'tong settlement', true), set_config('lock_timeout', $1, true),
       set_config('idle_in_transaction_session_timeout', $2, true)

-- name: end_stalled
-- One that stands still in the middle of a command, with half of its rows copied, is not idle in its transaction and no
-- timeout ends it. A session that works is left alone: it does not wait for its client. One that has copied for so long
-- is ended too, and begins its batch again.
SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = 'tong settlement'
  AND pid <> pg_backend_pid() AND wait_event_type = 'Client' AND xact_start < clock_timestamp() - $1::interval
  AND state_change < clock_timestamp() - $1::interval

-- name: create_marks
INSERT INTO settlement_mark (bucket) SELECT bucket FROM ledger_watermark
WHERE NOT EXISTS (SELECT FROM settlement_mark AS mark WHERE mark.bucket = ledger_watermark.bucket)
ON CONFLICT (bucket) DO NOTHING

-- name: buckets_behind
SELECT bucket FROM settlement_mark AS mark JOIN ledger_watermark AS ledger USING (bucket)
WHERE (mark.epoch, mark.last_ms, mark.last_seq) < (ledger.epoch, ledger.last_ms, ledger.last_seq) ORDER BY bucket

-- name: buckets_with_exceptions
SELECT DISTINCT bucket FROM settlement_exception WHERE settled_at IS NULL AND tried_serial < $1 ORDER BY bucket

-- name: try_mark
SELECT epoch, last_ms, last_seq FROM settlement_mark WHERE bucket = $1 FOR UPDATE SKIP LOCKED

-- name: lock_mark
SELECT epoch, last_ms, last_seq FROM settlement_mark WHERE bucket = $1 FOR UPDATE

-- name: watermark
SELECT epoch, last_ms, last_seq FROM ledger_watermark WHERE bucket = $1

-- name: hold_books
SELECT closed_through FROM settlement_books FOR SHARE

-- name: next_transactions
SELECT epoch, entry_ms, entry_seq, occurred_at, kind, subject_id, business, outlet, currency, bill_reference,
       CASE WHEN kind = 'redeem' THEN context -> 'legs' END AS legs, CASE WHEN kind = 'redeem' THEN details END AS details,
       coalesce(moves, ledger_moves(t)) AS moves
FROM ledger_transaction AS t WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2::int, $3::bigint, $4::bigint)
ORDER BY epoch, entry_ms, entry_seq LIMIT $5

-- name: legs_of_holds
SELECT subject_id, context -> 'legs' AS legs, details FROM ledger_transaction
WHERE subject_id = ANY ($1::text[]) AND kind = 'hold'

-- name: lines_of_subjects
-- Originals before what refers to them: a return comes later in its stream, a correction has no place in one.
SELECT line_id, kind, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       face_value_minor, amount_minor, tax_minor, currency, agreement_id, agreement_version, reference, belongs_to,
       outlet, bill_reference, occurred_at, local_day, period_month
FROM settlement_line WHERE subject_id = ANY ($1::text[])
ORDER BY (kind = 'use') DESC, epoch, entry_ms, entry_seq, line_id

-- name: advance_mark
UPDATE settlement_mark SET epoch = $2, last_ms = $3, last_seq = $4, settled_at = now() WHERE bucket = $1

-- name: open_exceptions
-- Whole transactions, in ledger order, so that issuers of one use are rated together and originals come first.
SELECT line_id, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       units_in_use, face_value_minor, currency, outlet, bill_reference, occurred_at, local_day
FROM settlement_exception
WHERE settled_at IS NULL AND bucket = $1 AND tried_serial < $2
  AND (epoch, entry_ms, entry_seq) <= (
      SELECT epoch, entry_ms, entry_seq FROM (
          SELECT epoch, entry_ms, entry_seq FROM settlement_exception
          WHERE settled_at IS NULL AND bucket = $1 AND tried_serial < $2
          ORDER BY epoch, entry_ms, entry_seq LIMIT $3) AS first
      ORDER BY epoch DESC, entry_ms DESC, entry_seq DESC LIMIT 1)
ORDER BY epoch, entry_ms, entry_seq, asset, acceptor, issuer

-- name: exceptions_settled
UPDATE settlement_exception SET settled_at = now() WHERE line_id = ANY ($1::text[])

-- name: exceptions_tried
UPDATE settlement_exception AS kept SET reason = tried.reason, tried_serial = $3
FROM unnest($1::text[], $2::text[]) AS tried (line_id, reason) WHERE kept.line_id = tried.line_id
