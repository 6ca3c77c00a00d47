-- Redemptions of a business as a till lists them: newest first, open holds by deadline, by what became of them
-- (redemption/ledger/sql/reader.sql, docs/adr/0014).

-- migrate:up

-- When a hold ends by itself, Unix milliseconds; NULL for an entry without a term. PostgreSQL cannot index an expression
-- over timestamptz that depends on the session's time zone, this one names UTC.
CREATE FUNCTION ledger_hold_until_ms(occurred_at timestamptz, context jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM occurred_at AT TIME ZONE 'UTC') * 1000)::bigint
    + 1000 * (context #>> '{restore,hold_seconds}')::bigint;

-- The columns are the order of a page and its filter by outlet, so that a page reads this index alone.
CREATE INDEX ledger_transaction_scans ON ledger_transaction (business, occurred_at, subject_id, outlet)
    WHERE kind IN ('redeem', 'hold');
CREATE INDEX ledger_transaction_holds
    ON ledger_transaction (business, ledger_hold_until_ms(occurred_at, context), subject_id) WHERE kind = 'hold';
CREATE INDEX ledger_transaction_undone ON ledger_transaction (business, kind, occurred_at, subject_id)
    WHERE kind IN ('release', 'refund', 'reverse');

-- migrate:down

DROP INDEX ledger_transaction_undone;
DROP INDEX ledger_transaction_holds;
DROP INDEX ledger_transaction_scans;
DROP FUNCTION ledger_hold_until_ms(timestamptz, jsonb);
