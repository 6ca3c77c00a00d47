-- Agreements and what of the configuration settlement needs. Each query opens with its name.

-- name: all_versions
SELECT agreement_id, version, serial, definition FROM settlement_agreement_version ORDER BY agreement_id, version DESC

-- name: latest_serial
SELECT coalesce(max(serial), 0) FROM settlement_agreement_version

-- name: listed
SELECT agreement_id, version, definition, added_by, added_at,
       lead(definition) OVER (PARTITION BY agreement_id ORDER BY version) IS NOT NULL AS superseded
FROM settlement_agreement_version ORDER BY agreement_id, version

-- name: lock
-- One addition at a time, so that version and serial grow in the order of the commits.
SELECT pg_advisory_xact_lock(hashtextextended('tong.settlement_agreement', 0))

-- name: same_scope
SELECT agreement_id FROM settlement_agreement
WHERE (issuer, acceptor, instrument) = ($1, $2, $3)
  AND benefit_id IS NOT DISTINCT FROM $4 AND category IS NOT DISTINCT FROM $5

-- name: known
SELECT EXISTS (SELECT FROM settlement_agreement WHERE agreement_id = $1)

-- name: latest
SELECT version, definition FROM settlement_agreement_version WHERE agreement_id = $1 ORDER BY version DESC LIMIT 1

-- name: count_versions
SELECT count(*) FROM settlement_agreement_version

-- name: add_agreement
INSERT INTO settlement_agreement (agreement_id, issuer, acceptor, instrument, benefit_id, category)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: add_version
INSERT INTO settlement_agreement_version (agreement_id, version, definition, added_by) VALUES ($1, $2, $3, $4)

-- name: businesses
SELECT business_id, currency FROM business ORDER BY business_id

-- name: zones
SELECT outlet_id, time_zone, cut_off_hour FROM outlet WHERE time_zone IS NOT NULL OR cut_off_hour > 0

-- name: group_zone
SELECT time_zone FROM installation

-- name: categories
SELECT benefit_id, definition -> 'categories' AS categories FROM benefit
WHERE jsonb_typeof(definition -> 'categories') = 'array'
