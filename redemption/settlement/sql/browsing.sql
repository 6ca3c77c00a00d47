-- Pages of what there is in settlement, each after a place. Each query opens with its name.

-- name: closed_ids
-- Newest month first, then by name. The state is what a period has: two approvals, a payment.
SELECT period_id FROM (
    SELECT p.period_id, p.month, p.party_low, p.party_high,
           CASE WHEN EXISTS (SELECT FROM settlement_payment AS y WHERE y.period_id = p.period_id) THEN 'paid'
                WHEN (SELECT count(*) FROM settlement_approval AS a WHERE a.period_id = p.period_id) = 2 THEN 'approved'
                ELSE 'closed' END AS status
    FROM settlement_period AS p
    WHERE ($1::int IS NULL OR p.month = $1) AND ($2::text IS NULL OR $2 IN (p.party_low, p.party_high))
      AND ($3::text IS NULL OR $3 IN (p.party_low, p.party_high))
) AS state
WHERE ($4::text IS NULL OR status = $4)
  AND ($5::int IS NULL OR month < $5 OR (month = $5 AND (party_low, party_high) > ($6::text, $7::text)))
ORDER BY month DESC, party_low, party_high LIMIT $8

-- name: closed_periods
SELECT p.period_id, p.month, p.party_low, p.party_high, p.number, p.lines, p.sha256, p.closed_by, p.closed_at,
       (SELECT coalesce(array_agg(business ORDER BY business), '{}') FROM settlement_approval AS a
        WHERE a.period_id = p.period_id) AS approved_by,
       (SELECT reference FROM settlement_payment AS y WHERE y.period_id = p.period_id) AS payment_reference,
       (SELECT count(*) FROM settlement_dispute AS d JOIN settlement_line AS l USING (line_id)
        WHERE l.period_month = p.month AND l.party_low = p.party_low AND l.party_high = p.party_high
          AND NOT EXISTS (SELECT FROM settlement_resolution AS r WHERE r.dispute_id = d.dispute_id)) AS open_disputes
FROM settlement_period AS p WHERE p.period_id = ANY ($1::text[]) ORDER BY p.month DESC, p.party_low, p.party_high

-- name: closed_totals
SELECT period_id, issuer, acceptor, asset, currency, lines, units, face_value_minor, amount_minor, tax_minor
FROM settlement_period_total WHERE period_id = ANY ($1::text[])
ORDER BY period_id, issuer, acceptor, asset, currency

-- name: named
-- A closed period by its number or by its hash.
SELECT period_id FROM settlement_period WHERE number = $1::int OR sha256 = $2::bytea

-- name: lines
SELECT line_id, kind, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       face_value_minor, amount_minor, tax_minor, currency, agreement_id, agreement_version, reference, belongs_to,
       outlet, bill_reference, occurred_at, local_day, period_month
FROM settlement_line
WHERE period_month = $1 AND party_low = $2 AND party_high = $3
  AND ($4::timestamptz IS NULL OR (occurred_at, line_id) > ($4, $5::text))
ORDER BY occurred_at, line_id LIMIT $6

-- name: exceptions
SELECT line_id, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       units_in_use, face_value_minor, currency, outlet, bill_reference, occurred_at, local_day, reason
FROM settlement_exception
WHERE settled_at IS NULL AND ($1::text IS NULL OR issuer = $1 OR acceptor = $1)
  AND ($2::timestamptz IS NULL OR (occurred_at, line_id) > ($2, $3::text))
ORDER BY occurred_at, line_id LIMIT $4

-- name: disputes
-- With the two businesses of the line.
SELECT d.dispute_id, d.line_id, d.raised_by, d.reason, d.opened_by, d.opened_at, r.correction_id, r.note, r.resolved_by,
       r.resolved_at, l.issuer, l.acceptor
FROM settlement_dispute AS d JOIN settlement_line AS l USING (line_id) LEFT JOIN settlement_resolution AS r
    USING (dispute_id)
WHERE ($1::text IS NULL OR l.issuer = $1 OR l.acceptor = $1)
  AND ($2::boolean IS NULL OR (r.resolved_at IS NOT NULL) = $2)
  AND ($3::timestamptz IS NULL OR (d.opened_at, d.dispute_id) > ($3, $4::text))
ORDER BY d.opened_at, d.dispute_id LIMIT $5

-- name: dispute
SELECT d.dispute_id, d.line_id, d.raised_by, d.reason, d.opened_by, d.opened_at, r.correction_id, r.note, r.resolved_by,
       r.resolved_at, l.issuer, l.acceptor
FROM settlement_dispute AS d JOIN settlement_line AS l USING (line_id) LEFT JOIN settlement_resolution AS r
    USING (dispute_id)
WHERE d.dispute_id = $1

-- name: sides
SELECT issuer, acceptor FROM settlement_line WHERE line_id = $1

-- name: agreements
SELECT v.agreement_id, v.version, v.definition, v.added_by, v.added_at,
       v.version < (SELECT max(version) FROM settlement_agreement_version AS w
                    WHERE w.agreement_id = v.agreement_id) AS superseded
FROM settlement_agreement_version AS v JOIN settlement_agreement AS a USING (agreement_id)
WHERE ($1::text IS NULL OR a.issuer IN ($1, '*') OR a.acceptor IN ($1, '*'))
  AND ($2::text IS NULL OR v.agreement_id = $2)
  AND ($3::text IS NULL OR (v.agreement_id, v.version) > ($3, $4::int))
ORDER BY v.agreement_id, v.version LIMIT $5

-- name: positions
SELECT bucket, epoch, last_ms, last_seq FROM ledger_watermark

-- name: behind
-- Whether a bucket's settlement has not come to these places of the ledger yet, or an exception was not tried with the
-- newest agreement.
SELECT EXISTS (
    SELECT FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::bigint[]) AS l (bucket, epoch, last_ms, last_seq)
    LEFT JOIN projection_mark AS mark
        ON (mark.projection, mark.bucket) = ('settlement_lines', l.bucket)
    WHERE (coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0))
        < (l.epoch, l.last_ms, l.last_seq)
) OR EXISTS (
    SELECT FROM settlement_exception WHERE settled_at IS NULL
    AND tried_serial < (SELECT coalesce(max(serial), 0) FROM settlement_agreement_version))
