-- Look-ups of redemption/ledger/reader.py.

-- name: redemptions_of_bill
SELECT subject_id
FROM ledger_transaction
WHERE business = $1 AND bill_reference = $2 AND kind IN ('redeem', 'hold')
ORDER BY occurred_at DESC
LIMIT $3
