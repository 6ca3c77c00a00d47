-- What a statement shows: figures summed here, lines and exceptions streamed. Each query opens with its name.
-- Lines of a statement: $1 and $2 bound their month, $3 is their local day or null, $4 the business, $5 the other
-- business of a pair or null.

-- name: business
SELECT currency FROM business WHERE business_id = $1

-- name: group_zone
SELECT time_zone FROM installation

-- name: closed_through
SELECT closed_through FROM settlement_books

-- name: names
-- A benefit's id is its asset's: a business may have the same.
SELECT business_id AS id, name FROM business UNION ALL SELECT outlet_id, name FROM outlet
UNION ALL SELECT 'benefit:' || benefit_id, definition -> 'name' FROM benefit

-- name: closed_at
SELECT max(closed_at) FROM settlement_period WHERE month = $1

-- name: buckets_behind
SELECT count(*) FROM ledger_watermark AS ledger LEFT JOIN projection_mark AS mark
    ON (mark.projection, mark.bucket) = ('settlement_lines', ledger.bucket)
WHERE (coalesce(mark.epoch, 0), coalesce(mark.last_ms, 0), coalesce(mark.last_seq, 0))
    < (ledger.epoch, ledger.last_ms, ledger.last_seq)

-- name: figures
-- One pass over the lines, whatever their number; a row for each value of each way to look at them.
SELECT CASE grouping(kind, counterparty, outlet, local_day, asset, belongs_to)
           WHEN 31 THEN 'kinds' WHEN 47 THEN 'counterparties' WHEN 55 THEN 'outlets' WHEN 59 THEN 'days'
           WHEN 61 THEN 'instruments' WHEN 62 THEN 'late' ELSE 'totals' END AS part,
       coalesce(kind, counterparty, outlet, local_day::text, asset, belongs_to) AS key,
       CASE WHEN grouping(outlet) = 0 THEN acceptor END AS acceptor, currency,
       count(*) AS lines, count(*) FILTER (WHERE direction = 'own_use') AS own_lines,
       coalesce(sum(units) FILTER (WHERE direction = 'receivable'), 0)::bigint AS receivable_units,
       coalesce(sum(face_value_minor) FILTER (WHERE direction = 'receivable'), 0)::bigint AS receivable_face_minor,
       coalesce(sum(amount_minor) FILTER (WHERE direction = 'receivable'), 0)::bigint AS receivable_amount_minor,
       coalesce(sum(tax_minor) FILTER (WHERE direction = 'receivable'), 0)::bigint AS receivable_tax_minor,
       coalesce(sum(units) FILTER (WHERE direction = 'payable'), 0)::bigint AS payable_units,
       coalesce(sum(face_value_minor) FILTER (WHERE direction = 'payable'), 0)::bigint AS payable_face_minor,
       coalesce(sum(amount_minor) FILTER (WHERE direction = 'payable'), 0)::bigint AS payable_amount_minor,
       coalesce(sum(tax_minor) FILTER (WHERE direction = 'payable'), 0)::bigint AS payable_tax_minor,
       coalesce(sum(units) FILTER (WHERE direction = 'own_use'), 0)::bigint AS own_units,
       coalesce(sum(face_value_minor) FILTER (WHERE direction = 'own_use'), 0)::bigint AS own_face_minor
FROM (SELECT kind, outlet, acceptor, local_day, asset, belongs_to, currency, units, face_value_minor, amount_minor,
             tax_minor, CASE WHEN issuer = $4 THEN acceptor ELSE issuer END AS counterparty,
             CASE WHEN issuer = acceptor THEN 'own_use' WHEN acceptor = $4 THEN 'receivable' ELSE 'payable' END
                 AS direction
      FROM settlement_line
      WHERE period_month BETWEEN $1 AND $2 AND ($3::date IS NULL OR local_day = $3)
        AND (party_low = $4 OR party_high = $4)
        AND ($5::text IS NULL OR (party_low, party_high) = (least($4, $5), greatest($4, $5)))) AS line
GROUP BY GROUPING SETS ((currency), (currency, kind), (currency, counterparty), (currency, acceptor, outlet),
                        (currency, local_day), (currency, asset), (currency, belongs_to))
HAVING grouping(belongs_to) = 1 OR belongs_to IS NOT NULL
ORDER BY part, currency, key, acceptor

-- name: periods
SELECT p.period_id, p.party_low, p.party_high, p.number, p.lines, p.sha256, p.closed_by, p.closed_at,
       (SELECT coalesce(array_agg(business ORDER BY business), '{}') FROM settlement_approval AS a
        WHERE a.period_id = p.period_id) AS approved_by,
       (SELECT reference FROM settlement_payment AS y WHERE y.period_id = p.period_id) AS payment_reference
FROM settlement_period AS p
WHERE p.month = $1 AND (p.party_low = $2 OR p.party_high = $2)
  AND ($3::text IS NULL OR (p.party_low, p.party_high) = (least($2, $3), greatest($2, $3)))
ORDER BY p.number

-- name: disputes
-- On the statement's lines, with what the line says and what its correction adds.
SELECT d.dispute_id, d.line_id, d.raised_by, d.reason, d.opened_at, r.note, r.resolved_at, r.correction_id,
       line.currency, line.amount_minor, line.tax_minor, correction.amount_minor AS correction_amount_minor,
       correction.tax_minor AS correction_tax_minor
FROM settlement_dispute AS d JOIN settlement_line AS line USING (line_id)
LEFT JOIN settlement_resolution AS r USING (dispute_id)
LEFT JOIN settlement_line AS correction ON correction.line_id = r.correction_id
WHERE line.period_month BETWEEN $1 AND $2 AND ($3::date IS NULL OR line.local_day = $3)
  AND (line.party_low = $4 OR line.party_high = $4)
  AND ($5::text IS NULL OR (line.party_low, line.party_high) = (least($4, $5), greatest($4, $5)))
ORDER BY d.opened_at, d.dispute_id LIMIT $6

-- name: lines
-- In the order of the index on them, so that nothing is sorted. Amounts are the ledger's (the issuer owes the acceptor);
-- net is what this business receives.
SELECT line_id, kind, local_day, occurred_at,
       CASE WHEN issuer = acceptor THEN 'own_use' WHEN acceptor = $4 THEN 'receivable' ELSE 'payable' END AS direction,
       CASE WHEN issuer = $4 THEN acceptor ELSE issuer END AS counterparty,
       outlet, asset, units, face_value_minor, amount_minor, tax_minor,
       CASE WHEN issuer = acceptor THEN 0 WHEN acceptor = $4 THEN amount_minor + tax_minor
            ELSE -amount_minor - tax_minor END AS net_minor,
       currency, agreement_id, agreement_version, subject_id, bill_reference, reference, belongs_to,
       (SELECT d.dispute_id FROM settlement_dispute AS d WHERE d.line_id = line.line_id
        ORDER BY d.opened_at DESC, d.dispute_id DESC LIMIT 1) AS dispute_id
FROM settlement_line AS line
WHERE period_month BETWEEN $1 AND $2 AND ($3::date IS NULL OR local_day = $3)
  AND (party_low = $4 OR party_high = $4)
  AND ($5::text IS NULL OR (party_low, party_high) = (least($4, $5), greatest($4, $5)))
ORDER BY period_month, party_low, party_high, occurred_at, line_id

-- name: count_exceptions
-- $1 and $2: first and last local day.
SELECT count(*) FROM settlement_exception
WHERE settled_at IS NULL AND local_day BETWEEN $1 AND $2 AND (issuer = $3 OR acceptor = $3)
  AND ($4::text IS NULL OR (least(issuer, acceptor), greatest(issuer, acceptor)) = (least($3, $4), greatest($3, $4)))

-- name: exceptions
SELECT line_id, reason, local_day, occurred_at,
       CASE WHEN issuer = acceptor THEN 'own_use' WHEN acceptor = $3 THEN 'receivable' ELSE 'payable' END AS direction,
       CASE WHEN issuer = $3 THEN acceptor ELSE issuer END AS counterparty,
       outlet, asset, units, face_value_minor, currency, subject_id, bill_reference
FROM settlement_exception
WHERE settled_at IS NULL AND local_day BETWEEN $1 AND $2 AND (issuer = $3 OR acceptor = $3)
  AND ($4::text IS NULL OR (least(issuer, acceptor), greatest(issuer, acceptor)) = (least($3, $4), greatest($3, $4)))
ORDER BY occurred_at, line_id
