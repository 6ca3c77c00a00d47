-- From the ledger to lines. Each query opens with its name.

-- name: buckets_with_exceptions
SELECT DISTINCT bucket FROM settlement_exception WHERE settled_at IS NULL AND tried_serial < $1 ORDER BY bucket

-- name: hold_books
SELECT closed_through FROM settlement_books FOR SHARE

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
