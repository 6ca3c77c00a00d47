-- A till's day against the ledger. Each query opens with its name.

-- name: day_subjects
-- What took value, or gave it back, at a business in a span of time. A day is found by the index over time.
SELECT subject_id, occurred_at, outlet FROM ledger_transaction
WHERE occurred_at >= $2 AND occurred_at < $3 AND business = $1 AND ($4::text IS NULL OR outlet = $4)
  AND kind IN ('redeem', 'capture', 'refund', 'reverse') LIMIT $5

-- name: histories
-- All that became of these redemptions, in order; units: of each asset, what was taken for good (given back: negative).
-- LATERAL with OFFSET, so that postings are always looked up by their key.
SELECT t.subject_id, t.kind, t.occurred_at, t.outlet, t.bill_reference, t.bill_amount_minor,
       CASE WHEN t.kind IN ('redeem', 'hold') THEN ledger_legs(t.context, t.details) END AS legs, moved.units
FROM ledger_transaction AS t
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(asset, units) AS units FROM (
        SELECT asset, sum(amount)::bigint AS units FROM ledger_posting AS p
        WHERE p.bucket = t.bucket AND p.epoch = t.epoch AND p.entry_ms = t.entry_ms AND p.entry_seq = t.entry_seq
          AND p.occurred_at = t.occurred_at AND p.account = 'business_redeemed' GROUP BY asset) AS of_asset OFFSET 0
) AS moved
WHERE t.subject_id = ANY ($1::text[]) AND t.occurred_at >= $2 AND t.occurred_at < $3
ORDER BY t.subject_id, t.epoch, t.entry_ms, t.entry_seq

-- name: elsewhere
-- Redemptions of these bills on other days nearby.
SELECT DISTINCT ON (bill_reference) bill_reference, subject_id, occurred_at, outlet FROM ledger_transaction
WHERE business = $1 AND bill_reference = ANY ($2::text[]) AND kind IN ('redeem', 'hold')
  AND occurred_at >= $3 AND occurred_at < $4
ORDER BY bill_reference, occurred_at

-- name: remove_old
-- What its time is over for, and of a business what is beyond the newest so many.
DELETE FROM settlement_reconciliation WHERE reconciliation_id IN (
    SELECT reconciliation_id FROM settlement_reconciliation WHERE expires_at <= $2
    UNION (SELECT reconciliation_id FROM settlement_reconciliation WHERE business = $1
           ORDER BY created_at DESC, reconciliation_id OFFSET $3)
    LIMIT 100)

-- name: add
-- The same list against the same ledger is the one that is there; it is kept anew.
INSERT INTO settlement_reconciliation (reconciliation_id, business, outlet, day, time_zone, uploaded_by, created_at,
                                       expires_at, list_sha256, ledger_sha256, summary)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (business, coalesce(outlet, ''), day, list_sha256, ledger_sha256) DO UPDATE SET expires_at = excluded.expires_at
RETURNING reconciliation_id, xmax = 0 AS is_fresh

-- name: add_part
INSERT INTO settlement_reconciliation_part (reconciliation_id, number, items) VALUES ($1, $2, $3)

-- name: one
SELECT reconciliation_id, business, outlet, day, time_zone, uploaded_by, created_at, expires_at, summary
FROM settlement_reconciliation WHERE reconciliation_id = $1 AND expires_at > $2

-- name: listed
-- Newest first, after a place.
SELECT reconciliation_id, business, outlet, day, time_zone, uploaded_by, created_at, expires_at, summary
FROM settlement_reconciliation
WHERE ($1::text IS NULL OR business = $1) AND ($2::date IS NULL OR day = $2) AND expires_at > $3
  AND ($4::timestamptz IS NULL OR (created_at, reconciliation_id) < ($4, $5::text))
ORDER BY created_at DESC, reconciliation_id DESC LIMIT $6

-- name: parts
SELECT items FROM settlement_reconciliation_part WHERE reconciliation_id = $1 AND number BETWEEN $2 AND $3
ORDER BY number

-- name: outlets
SELECT outlet_id FROM outlet WHERE business_id = $1 ORDER BY outlet_id
