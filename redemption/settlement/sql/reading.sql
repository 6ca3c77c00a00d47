-- Lines and exceptions for reports. Each query opens with its name.

-- name: lines
-- Of a month, of one business or all, of one counterparty or all; in the order of the canonical lines.
SELECT line_id, kind, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       face_value_minor, amount_minor, tax_minor, currency, agreement_id, agreement_version, reference, belongs_to,
       outlet, bill_reference, occurred_at, local_day, period_month
FROM settlement_line
WHERE period_month = $1 AND ($2::text IS NULL OR issuer = $2 OR acceptor = $2)
  AND ($3::text IS NULL OR issuer = $3 OR acceptor = $3)
ORDER BY party_low, party_high, occurred_at, line_id

-- name: exceptions
SELECT line_id, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       units_in_use, face_value_minor, currency, outlet, bill_reference, occurred_at, local_day, reason
FROM settlement_exception
WHERE settled_at IS NULL AND ($1::text IS NULL OR issuer = $1 OR acceptor = $1)
ORDER BY occurred_at, line_id

-- name: status
SELECT (SELECT closed_through FROM settlement_books) AS closed_through,
       (SELECT count(*) FROM settlement_exception WHERE settled_at IS NULL) AS exceptions,
       (SELECT count(*) FROM ledger_watermark AS ledger LEFT JOIN projection_mark AS mark
            ON (mark.projection, mark.bucket) = ('settlement_lines', ledger.bucket)
        WHERE (coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0))
            < (ledger.epoch, ledger.last_ms, ledger.last_seq)) AS buckets_behind,
       (SELECT count(*) FROM settlement_dispute AS d WHERE NOT EXISTS (
            SELECT FROM settlement_resolution AS r WHERE r.dispute_id = d.dispute_id)) AS open_disputes
