-- Months of the ledger written to files, detached and put back. `{table}` is a partition's name, made by ours.

-- name: parts
SELECT part, month, manifest, mac FROM ledger_archive ORDER BY part

-- name: lock
-- Of the session: one archive or restore at a time.
SELECT pg_try_advisory_lock(hashtextextended('tong.ledger_archive', 0))

-- name: months
-- Months whose rows are in the ledger, oldest first: both tables' partitions, by the name that ledger_ensure_month gives.
SELECT to_date(right(relname, 7), 'YYYY_MM') AS month FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'public.ledger_transaction'::regclass AND relname ~ '^ledger_transaction_\d{4}_\d\d$' ORDER BY 1

-- name: last_places
-- Where each bucket's last row of the month stands.
SELECT bucket, place[1]::int AS epoch, place[2] AS last_ms, place[3] AS last_seq, rows FROM (
    SELECT bucket, max(ARRAY[epoch::bigint, entry_ms, entry_seq]) AS place, count(*) AS rows
    FROM {table} GROUP BY bucket) AS each_bucket ORDER BY bucket

-- name: sealed_after
-- The first seal that holds a place.
SELECT epoch, last_ms, last_seq FROM ledger_seal WHERE bucket = $1 AND (epoch, last_ms, last_seq) >= ($2, $3, $4)
ORDER BY number LIMIT 1

-- name: count
SELECT count(*) FROM {table}

-- name: projected
-- The marks of every projection that is registered, also of one that no process runs.
SELECT name, ledger.bucket, coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0)
FROM projection CROSS JOIN ledger_watermark AS ledger
LEFT JOIN projection_mark AS mark ON (mark.projection, mark.bucket) = (name, ledger.bucket)
ORDER BY name

-- name: still_alive
-- Subjects of the month with a step after $1: the hot store may have their record.
SELECT subject_id FROM (
    SELECT DISTINCT subject_id FROM ledger_transaction
    WHERE occurred_at >= $1 AND kind IN ('capture', 'release', 'refund', 'reverse')) AS recent
WHERE EXISTS (SELECT FROM {table} AS t WHERE t.subject_id = recent.subject_id) LIMIT 1

-- name: still_held
SELECT subject_id FROM (
    SELECT DISTINCT t.subject_id FROM {table} AS t WHERE kind = 'hold') AS begun
WHERE NOT EXISTS (SELECT FROM ledger_transaction AS ended
                  WHERE ended.subject_id = begun.subject_id AND ended.kind IN ('capture', 'release', 'reverse'))
LIMIT 1

-- name: begun_later
-- A step in the month of what began in a later one: the hot store's clock stepped back over the month's end.
SELECT t.subject_id FROM {table} AS t JOIN ledger_transaction AS begun USING (subject_id)
WHERE t.kind IN ('capture', 'release', 'refund', 'reverse') AND begun.kind IN ('redeem', 'hold', 'accrue')
  AND begun.occurred_at >= $1 LIMIT 1

-- name: copy_transactions
SELECT (extract(epoch FROM occurred_at) * 1000000)::bigint, bucket, epoch, entry_ms, entry_seq, kind, subject_id,
       member_id, business, outlet, terminal, idempotency_key, bill_reference, bill_amount_minor, currency, context,
       moves, details
FROM {table} WHERE bucket = $1 ORDER BY epoch, entry_ms, entry_seq

-- name: copy_postings
SELECT (extract(epoch FROM occurred_at) * 1000000)::bigint, bucket, epoch, entry_ms, entry_seq, line, asset, account,
       owner, issuer, lot, expires_month, amount
FROM {table} WHERE bucket = $1 ORDER BY epoch, entry_ms, entry_seq, line

-- name: clear_balances
-- Of parts that were never finished, and of the one that is put back ($1).
DELETE FROM ledger_archive_balance WHERE part = $1 OR NOT EXISTS (
    SELECT FROM ledger_archive AS a WHERE a.part = ledger_archive_balance.part)

-- name: clear_members
DELETE FROM ledger_archive_member WHERE part = $1 OR NOT EXISTS (
    SELECT FROM ledger_archive AS a WHERE a.part = ledger_archive_member.part)

-- name: write_balances
-- $1 the part; {table} the month's transactions, {postings} the rows of postings that some of them have.
INSERT INTO ledger_archive_balance (part, bucket, account, owner, asset, lot, subject_id, amount)
SELECT $1, bucket, account, owner, asset, lot, CASE WHEN account = 'member_held' THEN subject_id ELSE '' END,
       sum(amount)::bigint
FROM (
    SELECT t.subject_id, t.bucket, p.account, p.owner, p.asset, p.lot, p.amount
    FROM {postings} AS p JOIN {table} AS t USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
    UNION ALL
    SELECT t.subject_id, t.bucket, p.account, p.owner, p.asset, p.lot, p.amount
    FROM {table} AS t CROSS JOIN LATERAL ledger_postings_of(t.moves, t.member_id, t.business) AS p) AS posted
GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(amount) <> 0

-- name: accruals
-- What was earned and taken back in the month by members of a bucket, in order; whether a later month takes it back.
SELECT t.member_id, (extract(epoch FROM t.occurred_at) * 1000)::bigint AS at_ms, t.kind, t.subject_id,
       t.business, t.outlet, t.terminal, t.idempotency_key, t.bill_reference, t.bill_amount_minor, t.currency, t.context,
       t.details, coalesce(t.moves, ledger_moves(t)) AS moves,
       t.kind = 'accrue' AND EXISTS (
           SELECT FROM ledger_transaction AS later
           WHERE later.subject_id = t.subject_id AND later.kind = 'reverse' AND later.occurred_at >= $2) AS taken_back_later
FROM {table} AS t WHERE t.bucket = $1 AND t.subject_id LIKE 'acr\_%' AND t.kind IN ('accrue', 'reverse')
ORDER BY t.member_id, t.epoch, t.entry_ms, t.entry_seq

-- name: member_states
SELECT DISTINCT ON (member_id) member_id, state FROM ledger_archive_member
WHERE bucket = $1 AND part IN (SELECT part FROM ledger_archive)
ORDER BY member_id, part DESC

-- name: opening_balances
SELECT ROW(account, owner, asset, lot, subject_id, amount)::text AS content FROM ledger_archive_balance
WHERE part = $1 AND bucket = $2 ORDER BY account, owner, asset, lot, subject_id

-- name: opening_members
SELECT ROW(member_id, state)::text AS content FROM ledger_archive_member WHERE part = $1 AND bucket = $2
ORDER BY member_id

-- name: write_members
INSERT INTO ledger_archive_member (part, bucket, member_id, state)
SELECT $1, $2, * FROM unnest($3::text[], $4::jsonb[])

-- name: opening_counts
SELECT (SELECT count(*) FROM ledger_archive_balance WHERE part = $1 AND bucket = $2) AS balances,
       (SELECT count(*) FROM ledger_archive_member WHERE part = $1 AND bucket = $2) AS members

-- name: write_part
INSERT INTO ledger_archive (part, month, manifest, mac) VALUES ($1, $2, $3, $4)

-- name: remove_part
DELETE FROM ledger_archive WHERE part = $1

-- name: kept_tables
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
  AND relname ~ '^ledger_(transaction|posting)_\d{4}_\d\d_part_\d+$' ORDER BY 1

-- name: stage
CREATE TEMP TABLE staged_transaction (
    occurred_us bigint, bucket smallint, epoch integer, entry_ms bigint, entry_seq bigint, kind text, subject_id text,
    member_id text, business text, outlet text, terminal text, idempotency_key text, bill_reference text,
    bill_amount_minor bigint, currency text, context jsonb, moves text, details text) ON COMMIT DROP;
CREATE TEMP TABLE staged_posting (
    occurred_us bigint, bucket smallint, epoch integer, entry_ms bigint, entry_seq bigint, line smallint, asset text,
    account text, owner text, issuer text, lot text, expires_month integer, amount bigint) ON COMMIT DROP

-- name: unstage_transactions
WITH moved AS (DELETE FROM staged_transaction RETURNING *)
INSERT INTO ledger_transaction (occurred_at, bucket, epoch, entry_ms, entry_seq, kind, subject_id, member_id, business,
                                outlet, terminal, idempotency_key, bill_reference, bill_amount_minor, currency, context,
                                moves, details)
SELECT timestamptz 'epoch' + occurred_us * interval '1 microsecond', bucket, epoch, entry_ms, entry_seq, kind,
       subject_id, member_id, business, outlet, terminal, idempotency_key, bill_reference, bill_amount_minor, currency,
       context, moves, details
FROM moved

-- name: unstage_postings
WITH moved AS (DELETE FROM staged_posting RETURNING *)
INSERT INTO ledger_posting_row (occurred_at, bucket, epoch, entry_ms, entry_seq, line, asset, account, owner, issuer,
                                lot, expires_month, amount)
SELECT timestamptz 'epoch' + occurred_us * interval '1 microsecond', bucket, epoch, entry_ms, entry_seq, line, asset,
       account, owner, issuer, lot, expires_month, amount
FROM moved
