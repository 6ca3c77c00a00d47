-- Disputes and the corrections that end them. Each query opens with its name.

-- name: parties
SELECT issuer, acceptor FROM settlement_line WHERE line_id = $1

-- name: limit_transaction
-- A session that stops in the middle of a correction is ended: it holds a mark that the projector waits for.
SELECT set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)

-- name: lock_line
-- The line's bucket is held, so that no return of it is rated between reading and correcting it.
SELECT mark.bucket FROM projection_mark AS mark JOIN settlement_line AS line USING (bucket)
WHERE line.line_id = $1 AND mark.projection = 'settlement_lines' FOR UPDATE OF mark

-- name: line
SELECT line_id, kind, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       face_value_minor, amount_minor, tax_minor, currency, agreement_id, agreement_version, reference, belongs_to,
       outlet, bill_reference, occurred_at, local_day, period_month
FROM settlement_line WHERE line_id = $1

-- name: corrected
-- What a line and its corrections come to.
SELECT sum(amount_minor)::bigint AS amount_minor, sum(tax_minor)::bigint AS tax_minor FROM settlement_line
WHERE line_id = $1 OR (kind = 'correction' AND reference = $1 AND subject_id = $2)

-- name: amount_through
-- What a line came to with its corrections up to this one.
SELECT sum(l.amount_minor)::bigint FROM settlement_line AS l, settlement_line AS last
WHERE last.line_id = $2
  AND (l.line_id = $1 OR (l.kind = 'correction' AND l.reference = $1 AND l.subject_id = last.subject_id
                          AND (l.occurred_at, l.line_id) <= (last.occurred_at, last.line_id)))

-- name: open_of_line
SELECT dispute_id FROM settlement_dispute AS d WHERE line_id = $1
  AND NOT EXISTS (SELECT FROM settlement_resolution AS r WHERE r.dispute_id = d.dispute_id)

-- name: open_dispute
INSERT INTO settlement_dispute (dispute_id, line_id, raised_by, reason, opened_by, opened_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: count_of_line
SELECT count(*) FROM settlement_dispute WHERE line_id = $1

-- name: resolve
INSERT INTO settlement_resolution (dispute_id, correction_id, note, resolved_by, resolved_at)
VALUES ($1, $2, $3, $4, $5)

-- name: hold_books
SELECT closed_through FROM settlement_books FOR SHARE

-- name: definition
SELECT definition FROM settlement_agreement_version WHERE agreement_id = $1 AND version = $2

-- name: dispute
SELECT dispute_id, line_id, raised_by, reason, opened_by, opened_at, correction_id, note, resolved_by, resolved_at
FROM settlement_dispute LEFT JOIN settlement_resolution USING (dispute_id) WHERE dispute_id = $1

-- name: listed
SELECT dispute_id, line_id, raised_by, reason, opened_by, opened_at, correction_id, note, resolved_by, resolved_at
FROM settlement_dispute LEFT JOIN settlement_resolution USING (dispute_id)
WHERE $1 OR resolved_at IS NULL ORDER BY opened_at, dispute_id LIMIT $2
