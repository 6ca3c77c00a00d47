-- What the projector asks of PostgreSQL. Each query opens with its name.

-- name: limit_transaction
-- A projector that stops in the middle of a batch is ended, so that another can go on; so is a statement of a
-- projection that takes too long, even where the process that sent it is paused.
SELECT set_config('application_name', 'tong projector', true), set_config('lock_timeout', $1, true),
       set_config('idle_in_transaction_session_timeout', $2, true), set_config('statement_timeout', $3, true)

-- name: end_stalled
-- One that is paused in the middle of a command, with half of its rows copied, is not idle in its transaction and no
-- timeout ends it. A session that works is left alone: it does not wait for its client. One that has copied for so long
-- is ended too, and begins its batch again.
SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = 'tong projector'
  AND pid <> pg_backend_pid() AND wait_event_type = 'Client' AND xact_start < clock_timestamp() - $1::interval
  AND state_change < clock_timestamp() - $1::interval

-- name: create_marks
INSERT INTO projection_mark (projection, bucket)
SELECT name, bucket FROM projection CROSS JOIN ledger_watermark
WHERE name = ANY ($1::text[]) AND begun_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM projection_mark AS mark WHERE (mark.projection, mark.bucket) = (name, ledger_watermark.bucket))
ON CONFLICT (projection, bucket) DO NOTHING

-- name: not_begun
SELECT name FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM projection WHERE projection.name = wanted.name AND begun_at IS NOT NULL)

-- name: in_step
-- Projections that no other has read further than, in any bucket.
SELECT name FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM projection_mark AS mine JOIN projection_mark AS other USING (bucket)
    WHERE mine.projection = wanted.name AND other.projection = ANY ($1::text[])
      AND (mine.epoch, mine.last_ms, mine.last_seq) < (other.epoch, other.last_ms, other.last_seq))

-- name: buckets_behind
SELECT DISTINCT bucket FROM projection_mark AS mark JOIN ledger_watermark AS ledger USING (bucket)
WHERE projection = ANY ($1::text[])
  AND (mark.epoch, mark.last_ms, mark.last_seq) < (ledger.epoch, ledger.last_ms, ledger.last_seq) ORDER BY bucket

-- name: try_marks
SELECT projection, epoch, last_ms, last_seq FROM projection_mark WHERE bucket = $1 AND projection = ANY ($2::text[])
ORDER BY projection FOR UPDATE SKIP LOCKED

-- name: lock_marks
SELECT projection, epoch, last_ms, last_seq FROM projection_mark WHERE bucket = $1 AND projection = ANY ($2::text[])
ORDER BY projection FOR UPDATE

-- name: watermark
SELECT epoch, last_ms, last_seq FROM ledger_watermark WHERE bucket = $1

-- name: advance_marks
UPDATE projection_mark SET epoch = $3, last_ms = $4, last_seq = $5, updated_at = now()
WHERE bucket = $1 AND projection = ANY ($2::text[]) AND (epoch, last_ms, last_seq) < ($3, $4, $5)

-- name: next_rows
SELECT epoch, entry_ms, entry_seq, occurred_at, kind, subject_id, member_id, business, outlet, currency, bill_reference,
       bill_amount_minor, CASE WHEN kind = 'redeem' THEN context -> 'legs' END AS legs,
       CASE WHEN kind = 'redeem' THEN details END AS details, coalesce(moves, ledger_moves(t)) AS moves
FROM ledger_transaction AS t WHERE bucket = $1 AND (epoch, entry_ms, entry_seq) > ($2::int, $3::bigint, $4::bigint)
ORDER BY epoch, entry_ms, entry_seq LIMIT $5

-- name: stopped
UPDATE projection SET stopped_at = coalesce(stopped_at, now()), stopped_because = $2 WHERE name = $1

-- name: goes_on
UPDATE projection SET stopped_at = NULL, stopped_because = NULL WHERE name = $1 AND stopped_at IS NOT NULL

-- name: status
-- Lag: the age of the first row that it has not read. A bucket that has not been read at all counts from its first row.
SELECT name, begun_at, complete_from, stopped_at, stopped_because, coalesce(buckets_behind, 0) AS buckets_behind,
       coalesce(lag_seconds, 0)::float8 AS lag_seconds
FROM projection LEFT JOIN (
    SELECT p.name, count(*) AS buckets_behind,
           max(extract(epoch FROM clock_timestamp()) - next.entry_ms / 1000.0) AS lag_seconds
    FROM projection AS p CROSS JOIN ledger_watermark AS ledger
    LEFT JOIN projection_mark AS mark ON (mark.projection, mark.bucket) = (p.name, ledger.bucket)
    LEFT JOIN LATERAL (
        SELECT entry_ms FROM ledger_transaction AS t
        WHERE t.bucket = ledger.bucket AND (t.epoch, t.entry_ms, t.entry_seq)
            > (coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0))
        ORDER BY epoch, entry_ms, entry_seq LIMIT 1) AS next ON true
    WHERE (coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0))
        < (ledger.epoch, ledger.last_ms, ledger.last_seq)
    GROUP BY p.name) AS behind USING (name)
ORDER BY name

-- name: begin
-- With the months behind the archived ones: an archived month may have late rows in the ledger, but not all of its rows.
UPDATE projection SET begun_at = now(),
    complete_from = (SELECT (max(month) + interval '1 month')::date FROM ledger_archive)
WHERE name = $1 AND begun_at IS NULL RETURNING name
