-- Look-ups of redemption/ledger/reader.py. Each names a business and a span of time, so that only the partitions of that
-- time are read; each has an index of its own (migrations 0002, 0011 and 0014).

-- name: newest
SELECT subject_id, occurred_at, outlet
FROM ledger_transaction
WHERE business = $1 AND kind IN ('redeem', 'hold') AND occurred_at >= $2 AND occurred_at < $3
    AND (occurred_at, subject_id) < ($4, $5) AND ($6::text IS NULL OR outlet = $6)
ORDER BY occurred_at DESC, subject_id DESC
LIMIT $7

-- name: of_bill
SELECT subject_id, occurred_at, outlet
FROM ledger_transaction
WHERE business = $1 AND kind IN ('redeem', 'hold') AND occurred_at >= $2 AND occurred_at < $3
    AND (occurred_at, subject_id) < ($4, $5) AND ($6::text IS NULL OR outlet = $6)
    AND bill_reference = $8
ORDER BY occurred_at DESC, subject_id DESC
LIMIT $7

-- name: of_member
SELECT subject_id, occurred_at, outlet
FROM ledger_transaction
WHERE business = $1 AND kind IN ('redeem', 'hold') AND occurred_at >= $2 AND occurred_at < $3
    AND (occurred_at, subject_id) < ($4, $5) AND ($6::text IS NULL OR outlet = $6)
    AND member_id = $8
ORDER BY occurred_at DESC, subject_id DESC
LIMIT $7

-- name: undone
SELECT subject_id, occurred_at, outlet
FROM ledger_transaction
WHERE business = $1 AND kind IN ('redeem', 'hold') AND occurred_at >= $2 AND occurred_at < $3
    AND (occurred_at, subject_id) < ($4, $5) AND ($6::text IS NULL OR outlet = $6)
    AND subject_id IN (
        SELECT step.subject_id
        FROM ledger_transaction step
        WHERE step.business = $1 AND step.kind IN ('release', 'refund', 'reverse') AND step.kind = $8
            AND step.occurred_at >= $2
    )
ORDER BY occurred_at DESC, subject_id DESC
LIMIT $7

-- name: open_holds
SELECT subject_id, occurred_at, outlet, bill_reference,
    ledger_hold_until_ms(occurred_at, context, details) AS hold_until_ms
FROM ledger_transaction hold
-- One look per hold into the index by subject: as NOT EXISTS the planner may read the whole ledger for it.
LEFT JOIN LATERAL (
    SELECT true AS is_ended
    FROM ledger_transaction step
    WHERE step.subject_id = hold.subject_id AND step.kind IN ('capture', 'release', 'reverse')
    LIMIT 1
) ended ON true
WHERE business = $1 AND kind = 'hold' AND occurred_at >= $2 AND occurred_at < $3
    AND (ledger_hold_until_ms(occurred_at, context, details), subject_id) > ($4, $5) AND ($6::text IS NULL OR outlet = $6)
    AND ($8::text IS NULL OR bill_reference = $8)
    AND is_ended IS NULL
ORDER BY ledger_hold_until_ms(occurred_at, context, details), subject_id
LIMIT $7

-- name: watermarks
SELECT bucket, last_ms, last_seq FROM ledger_watermark
