-- Months, periods, approvals, payments. Each query opens with its name.

-- name: freeze_books
SELECT closed_through FROM settlement_books FOR UPDATE

-- name: books
SELECT closed_through FROM settlement_books

-- name: earliest_open
SELECT min(period_month) FROM settlement_line WHERE period_month > $1

-- name: open_exceptions
SELECT count(*) FROM settlement_exception WHERE settled_at IS NULL AND local_day < $1

-- name: month_totals
-- Set-based: one pass over the month, whatever its size.
SELECT party_low, party_high, issuer, acceptor, asset, currency, count(*) AS lines, sum(units)::bigint AS units,
       sum(face_value_minor)::bigint AS face_value_minor, sum(amount_minor)::bigint AS amount_minor,
       sum(tax_minor)::bigint AS tax_minor
FROM settlement_line WHERE period_month = $1
GROUP BY party_low, party_high, issuer, acceptor, asset, currency
ORDER BY party_low, party_high, issuer, acceptor, asset, currency

-- name: canonical
-- What a period's SHA-256 is over, as COPY writes it: one line of text each, columns apart by a tab, ended by a newline,
-- \N for null. Whoever has the lines can compute it again: psql -c "COPY (…) TO STDOUT" | sha256sum
SELECT line_id, kind, bucket, epoch, entry_ms, entry_seq, ledger_kind, subject_id, issuer, acceptor, asset, units,
       face_value_minor, amount_minor, tax_minor, currency, agreement_id, agreement_version, reference, belongs_to,
       outlet, bill_reference, (extract(epoch FROM occurred_at) * 1000)::bigint,
       to_char(local_day, 'YYYY-MM-DD'), period_month
FROM settlement_line WHERE period_month = $1 AND party_low = $2 AND party_high = $3
ORDER BY occurred_at, line_id

-- name: last_number
SELECT coalesce(max(number), 0) FROM settlement_period

-- name: add_period
INSERT INTO settlement_period (period_id, month, party_low, party_high, number, lines, sha256, closed_by, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: add_total
INSERT INTO settlement_period_total (period_id, issuer, acceptor, asset, currency, lines, units, face_value_minor,
                                     amount_minor, tax_minor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: close_month
UPDATE settlement_books SET closed_through = $1

-- name: closed_periods
-- The state is what a period has: two approvals, a payment.
SELECT p.period_id, p.month, p.party_low, p.party_high, p.number, p.lines, p.sha256, p.closed_by, p.closed_at,
       (SELECT coalesce(array_agg(business ORDER BY business), '{}') FROM settlement_approval AS a
        WHERE a.period_id = p.period_id) AS approved_by,
       (SELECT reference FROM settlement_payment AS y WHERE y.period_id = p.period_id) AS payment_reference,
       (SELECT count(*) FROM settlement_dispute AS d JOIN settlement_line AS l USING (line_id)
        WHERE l.period_month = p.month AND l.party_low = p.party_low AND l.party_high = p.party_high
          AND NOT EXISTS (SELECT FROM settlement_resolution AS r WHERE r.dispute_id = d.dispute_id)) AS open_disputes
FROM settlement_period AS p
WHERE ($1::int IS NULL OR p.month = $1) AND ($2::text IS NULL OR p.period_id = $2) ORDER BY p.number

-- name: closed_totals
SELECT t.period_id, t.issuer, t.acceptor, t.asset, t.currency, t.lines, t.units, t.face_value_minor, t.amount_minor,
       t.tax_minor
FROM settlement_period_total AS t JOIN settlement_period AS p USING (period_id)
WHERE ($1::int IS NULL OR p.month = $1) AND ($2::text IS NULL OR p.period_id = $2)
ORDER BY p.number, t.issuer, t.acceptor, t.asset, t.currency

-- name: lock_period
SELECT party_low, party_high FROM settlement_period WHERE period_id = $1 FOR UPDATE

-- name: add_approval
INSERT INTO settlement_approval (period_id, business, approved_by, approved_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (period_id, business) DO NOTHING

-- name: add_payment
INSERT INTO settlement_payment (period_id, reference, paid_by, paid_at) VALUES ($1, $2, $3, $4)

-- name: open_months
SELECT DISTINCT period_month AS month FROM settlement_line WHERE period_month > $1 ORDER BY 1 LIMIT 120
