-- What the ledger writer asks of PostgreSQL. Each query opens with its name; redemption/queries.py reads them.

-- name: limit_transaction
-- For this transaction only. A commit that is not flushed must never be acknowledged: entries are trimmed behind it.
SELECT set_config('application_name', 'tong ledger writer', true),
       set_config('lock_timeout', $1, true),
       set_config('idle_in_transaction_session_timeout', $2, true),
       CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END

-- name: create_watermarks
INSERT INTO ledger_watermark (bucket, epoch) SELECT unnest($1::smallint[]), 1 ON CONFLICT (bucket) DO NOTHING

-- name: read_watermarks
SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark WHERE bucket = ANY ($1::smallint[])

-- name: lock_watermarks
-- Always in bucket order, so that two writers wait for each other instead of deadlocking.
SELECT bucket, epoch, last_ms, last_seq, rows_in_epoch FROM ledger_watermark
WHERE bucket = ANY ($1::smallint[]) ORDER BY bucket FOR UPDATE

-- name: advance_watermarks
UPDATE ledger_watermark AS mark
SET last_ms = moved.last_ms, last_seq = moved.last_seq, rows_in_epoch = moved.rows_in_epoch, updated_at = now()
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS moved (bucket, last_ms, last_seq, rows_in_epoch)
WHERE mark.bucket = moved.bucket

-- name: ensure_month
SELECT ledger_ensure_month($1)

-- name: end_stalled_writers
-- A writer that was paused in the middle of a transaction holds the watermarks; its session is ended so that another
-- can go on. When it wakes up it finds its connection gone and starts from the committed watermarks.
SELECT pid, pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = 'tong ledger writer'
  AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - $1::interval
