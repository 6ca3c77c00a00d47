-- migrate:up

-- Cheaper rows (docs/adr/0021): a transaction has its moves, and what of its context no column has, in two columns of
-- its own, as text. Rows from before keep their context whole and their postings as rows of ledger_posting_row; both
-- forms stay readable. `ledger_posting` is a view over both, with the columns that the table had.
--
-- A move takes an amount from one account to another, so it is balanced by its form, which the database checks.

ALTER TABLE ledger_posting RENAME TO ledger_posting_row;
ALTER TABLE ledger_transaction
    ALTER COLUMN context DROP NOT NULL,  -- only rows from before have it
    ADD COLUMN moves   text COLLATE "C", -- "<asset>,<lot>,<from>,<to>,<amount>;…"
    ADD COLUMN details text COLLATE "C"; -- JSON; redemption/domain/contexts.py says which

-- Not valid: rows from before have neither column, so that none of them has to be read.
ALTER TABLE ledger_transaction
    ADD CONSTRAINT ledger_transaction_form CHECK (
        (moves IS NULL) = (details IS NULL) AND (moves IS NULL) <> (context IS NULL)) NOT VALID,
    ADD CONSTRAINT ledger_transaction_moves CHECK (
        moves ~ ('^(?:(?:points,\d{6}|(?:benefit:[0-9A-Za-z_.:-]+|[A-Z]{3}),(?:\d{6}|-))'
                 '\.[0-9A-Za-z_-]+,(?:A,[HIRX]|H,[AIRX]|I,[AHRX]|R,[AHIX]|X,[AHIR]),[1-9]\d{0,15}(?:;|$))*$')
        AND right(moves, 1) <> ';' AND (business IS NOT NULL OR position(',R,' IN moves) = 0)) NOT VALID,
    ADD CONSTRAINT ledger_transaction_details CHECK (jsonb_typeof(details::jsonb) IN ('array', 'object')) NOT VALID;

-- The postings of moves: two for each, the source first.
CREATE FUNCTION ledger_postings_of(moves text, member_id text, business text)
RETURNS TABLE (line smallint, asset text, account text, owner text, issuer text, lot text, expires_month integer,
               amount bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (2 * (move.number - 1) + side.number)::smallint, word[1],
           CASE side.letter WHEN 'A' THEN 'member_available' WHEN 'H' THEN 'member_held' WHEN 'I' THEN 'business_issued'
                            WHEN 'R' THEN 'business_redeemed' ELSE 'expired' END,
           CASE WHEN side.letter IN ('A', 'H') THEN member_id WHEN side.letter = 'R' THEN business
                ELSE split_part(word[2], '.', 2) END,
           split_part(word[2], '.', 2), word[2], nullif(split_part(word[2], '.', 1), '-')::integer,
           side.sign * word[5]::bigint
    FROM unnest(string_to_array(moves, ';')) WITH ORDINALITY AS move (content, number)
    CROSS JOIN LATERAL (SELECT string_to_array(move.content, ',')) AS words (word)
    CROSS JOIN LATERAL (VALUES (0, word[3], -1), (1, word[4], 1)) AS side (number, letter, sign)
$$;

CREATE FUNCTION ledger_account_letter(account text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE account WHEN 'member_available' THEN 'A' WHEN 'member_held' THEN 'H' WHEN 'business_issued' THEN 'I'
                    WHEN 'business_redeemed' THEN 'R' WHEN 'expired' THEN 'X' END;

-- The moves of a transaction of either form.
CREATE FUNCTION ledger_moves(t ledger_transaction) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(t.moves, (
    SELECT string_agg(concat_ws(',', source.asset, source.lot, ledger_account_letter(source.account),
                                ledger_account_letter(target.account), target.amount), ';' ORDER BY source.line)
    FROM ledger_posting_row AS source
    JOIN ledger_posting_row AS target USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
    WHERE (source.bucket, source.epoch, source.entry_ms, source.entry_seq, source.occurred_at)
        = (t.bucket, t.epoch, t.entry_ms, t.entry_seq, t.occurred_at)
      AND source.line % 2 = 0 AND target.line = source.line + 1), '');

-- The legs of a scan of either form.
CREATE FUNCTION ledger_legs(context jsonb, details text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN details IS NULL THEN context -> 'legs'
    WHEN details NOT LIKE '[%' THEN details::jsonb -> 'legs'
    ELSE (SELECT coalesce(jsonb_agg(CASE leg ->> 0
              WHEN 'p' THEN jsonb_build_object('kind', 'points', 'points', leg -> 1, 'value_minor', leg -> 2)
              WHEN 'b' THEN jsonb_build_object('kind', 'benefit', 'benefit_id', leg -> 1, 'uses', leg -> 2,
                                               'value_minor', leg -> 3)
              ELSE jsonb_build_object('kind', 'stored_value', 'amount_minor', leg -> 1, 'value_minor', leg -> 2)
          END ORDER BY number), '[]')
          FROM jsonb_array_elements(details::jsonb -> 1) WITH ORDINALITY AS of_scan (leg, number))
END;

-- The context of a transaction of either form, whole, as the stream's entry had it.
CREATE FUNCTION ledger_context(t ledger_transaction) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN t.details IS NULL THEN t.context
    WHEN t.details NOT LIKE '[%' THEN
        jsonb_strip_nulls(jsonb_build_object(
            'business', t.business, 'outlet', t.outlet, 'terminal', t.terminal, 'key', t.idempotency_key))
        || CASE WHEN t.bill_amount_minor IS NULL THEN '{}' ELSE jsonb_build_object('bill', jsonb_build_object(
            'reference', t.bill_reference, 'amount_minor', t.bill_amount_minor, 'currency', t.currency)) END
        || t.details::jsonb
    ELSE
        jsonb_build_object(
            'business', t.business, 'outlet', t.outlet, 'terminal', t.terminal, 'rules', t.details::jsonb -> 0,
            'key', t.idempotency_key, 'legs', ledger_legs(NULL, t.details),
            'bill', CASE WHEN t.bill_amount_minor IS NOT NULL THEN jsonb_build_object(
                'reference', t.bill_reference, 'amount_minor', t.bill_amount_minor, 'currency', t.currency) END)
        || CASE WHEN jsonb_array_length(t.details::jsonb) = 2 THEN '{}' ELSE jsonb_build_object(
            'restore', jsonb_strip_nulls(jsonb_build_object(
                'fingerprint', t.details::jsonb -> 2,
                'code', jsonb_build_array(t.details::jsonb -> 3, t.details::jsonb -> 4),
                'hold_seconds', nullif(t.details::jsonb -> 5, '0'),
                'outlet_offset', nullif(t.details::jsonb -> 6, '0'),
                'stay', nullif(t.details::jsonb -> 7, '""')))) END
END;

CREATE VIEW ledger_posting WITH (security_invoker = true) AS
SELECT occurred_at, entry_ms, entry_seq, amount, epoch, expires_month, bucket, line, asset, account, owner, issuer, lot
FROM ledger_posting_row
UNION ALL
SELECT t.occurred_at, t.entry_ms, t.entry_seq, p.amount, t.epoch, p.expires_month, t.bucket, p.line, p.asset, p.account,
       p.owner, p.issuer, p.lot
FROM ledger_transaction AS t CROSS JOIN LATERAL ledger_postings_of(t.moves, t.member_id, t.business) AS p;

-- The index that a page of scans reads: smaller, because each scan writes an entry of it.
DROP INDEX ledger_transaction_scans;
CREATE INDEX ledger_transaction_scans ON ledger_transaction (business, occurred_at) WHERE kind IN ('redeem', 'hold');

DROP INDEX ledger_transaction_holds;
DROP FUNCTION ledger_hold_until_ms(timestamptz, jsonb);
CREATE FUNCTION ledger_hold_until_ms(occurred_at timestamptz, context jsonb, details text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM occurred_at AT TIME ZONE 'UTC') * 1000)::bigint
    + 1000 * CASE WHEN details LIKE '[%' THEN details::jsonb ->> 5
                  ELSE coalesce(context, details::jsonb) #>> '{restore,hold_seconds}' END::bigint;
CREATE INDEX ledger_transaction_holds
    ON ledger_transaction (business, ledger_hold_until_ms(occurred_at, context, details), subject_id) WHERE kind = 'hold';

-- As in migration 0002, of the renamed table; a month keeps a partition for postings from before, which may be restored.
CREATE OR REPLACE FUNCTION ledger_ensure_month(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    first  date := date_trunc('month', day::timestamp)::date;
    suffix text := to_char(first, 'YYYY_MM');
    parent text;
    made   text;
BEGIN
    IF first IS NULL OR first < DATE '2020-01-01' OR first >= DATE '2100-01-01' THEN
        RAISE EXCEPTION 'no ledger month for %', day USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF to_regclass('public.ledger_posting_' || suffix) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('tong.ledger_ensure_month', 0));
    -- Made while this caller waited for the lock? Asked of the table, for to_regclass would answer from a cache that
    -- an advisory lock does not refresh.
    IF EXISTS (SELECT FROM pg_class
               WHERE relname = 'ledger_posting_' || suffix AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['ledger_transaction', 'ledger_posting_row'] LOOP
        made := replace(parent, '_row', '') || '_' || suffix;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', made, parent);
        EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, made, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change()', made);
    END LOOP;
    EXECUTE format('CREATE TRIGGER refuse_imbalance AFTER INSERT ON public.%I REFERENCING NEW TABLE AS written '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_imbalance()',
                   'ledger_posting_' || suffix);
END
$$;

-- migrate:down

-- Rows of the new form become rows of the old one. The chain over them was computed from the new form: seals and
-- exported heads do not verify any more.
ALTER TABLE ledger_transaction DISABLE TRIGGER refuse_change;
INSERT INTO ledger_posting_row (occurred_at, entry_ms, entry_seq, amount, epoch, expires_month, bucket, line, asset,
                                account, owner, issuer, lot)
SELECT t.occurred_at, t.entry_ms, t.entry_seq, p.amount, t.epoch, p.expires_month, t.bucket, p.line, p.asset, p.account,
       p.owner, p.issuer, p.lot
FROM ledger_transaction AS t CROSS JOIN LATERAL ledger_postings_of(t.moves, t.member_id, t.business) AS p;
DROP INDEX ledger_transaction_holds;
ALTER TABLE ledger_transaction
    DROP CONSTRAINT ledger_transaction_form,
    DROP CONSTRAINT ledger_transaction_moves,
    DROP CONSTRAINT ledger_transaction_details;
UPDATE ledger_transaction AS t SET context = ledger_context(t), moves = NULL, details = NULL WHERE moves IS NOT NULL;
ALTER TABLE ledger_transaction ENABLE TRIGGER refuse_change;

DROP VIEW ledger_posting;
DROP FUNCTION ledger_hold_until_ms(timestamptz, jsonb, text);
DROP FUNCTION ledger_context(ledger_transaction);
DROP FUNCTION ledger_legs(jsonb, text);
DROP FUNCTION ledger_moves(ledger_transaction);
DROP FUNCTION ledger_account_letter(text);
DROP FUNCTION ledger_postings_of(text, text, text);
ALTER TABLE ledger_transaction DROP COLUMN moves, DROP COLUMN details, ALTER COLUMN context SET NOT NULL;
ALTER TABLE ledger_posting_row RENAME TO ledger_posting;

CREATE FUNCTION ledger_hold_until_ms(occurred_at timestamptz, context jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM occurred_at AT TIME ZONE 'UTC') * 1000)::bigint
    + 1000 * (context #>> '{restore,hold_seconds}')::bigint;
CREATE INDEX ledger_transaction_holds
    ON ledger_transaction (business, ledger_hold_until_ms(occurred_at, context), subject_id) WHERE kind = 'hold';
DROP INDEX ledger_transaction_scans;
CREATE INDEX ledger_transaction_scans ON ledger_transaction (business, occurred_at, subject_id, outlet)
    WHERE kind IN ('redeem', 'hold');

CREATE OR REPLACE FUNCTION ledger_ensure_month(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    first  date := date_trunc('month', day::timestamp)::date;
    suffix text := to_char(first, 'YYYY_MM');
    parent text;
BEGIN
    IF first IS NULL OR first < DATE '2020-01-01' OR first >= DATE '2100-01-01' THEN
        RAISE EXCEPTION 'no ledger month for %', day USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF to_regclass('public.ledger_posting_' || suffix) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('tong.ledger_ensure_month', 0));
    IF EXISTS (SELECT FROM pg_class
               WHERE relname = 'ledger_posting_' || suffix AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['ledger_transaction', 'ledger_posting'] LOOP
        EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       parent || '_' || suffix, parent);
        EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, parent || '_' || suffix,
                       first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change()', parent || '_' || suffix);
    END LOOP;
    EXECUTE format('CREATE TRIGGER refuse_imbalance AFTER INSERT ON public.%I REFERENCING NEW TABLE AS written '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_imbalance()',
                   'ledger_posting_' || suffix);
END
$$;
