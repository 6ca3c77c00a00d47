-- Members' purchases and visits. Each query opens with its name.

-- name: reversed_accruals
SELECT subject_id, member_id, business, outlet, occurred_at, currency, bill_amount_minor FROM ledger_transaction
WHERE subject_id = ANY ($1::text[]) AND kind = 'accrue' AND bill_amount_minor IS NOT NULL

-- name: add_purchases
INSERT INTO member_purchases (member_id, business, month, currency, purchases, amount_minor, first_at, last_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[],
                     $8::timestamptz[])
ON CONFLICT (member_id, business, month, currency) DO UPDATE SET
    purchases = member_purchases.purchases + excluded.purchases,
    amount_minor = member_purchases.amount_minor + excluded.amount_minor,
    first_at = least(member_purchases.first_at, excluded.first_at),
    last_at = greatest(member_purchases.last_at, excluded.last_at)

-- name: add_visits
INSERT INTO member_visit (member_id, day, outlet, business)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
