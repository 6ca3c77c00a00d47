-- migrate:up

-- The ledger: what the hot store's streams said, for ever. Double entry per asset, append-only, partitioned by the
-- month (UTC) of occurred_at. A transaction is one stream entry: (bucket, epoch, entry_ms, entry_seq).
--
-- What the database itself refuses, whoever asks (a superuser who switches triggers off excepted):
--   * UPDATE, DELETE and TRUNCATE of transactions and postings, also on a single partition;
--   * postings of one transaction, written by one statement, that do not sum to zero for each asset;
--   * the same entry twice (primary keys; a partitioned key must contain occurred_at, which an entry fixes).
-- There is no foreign key from postings to transactions: it would cost a look-up per row; the audit query stands in.
--
-- A writer without DDL rights needs: SELECT, INSERT on ledger_transaction, ledger_posting, ledger_dead_letter; SELECT,
-- INSERT, UPDATE on ledger_watermark; EXECUTE on ledger_ensure_month(date).

CREATE TABLE ledger_transaction (
    occurred_at       timestamptz NOT NULL,
    entry_ms          bigint      NOT NULL,
    entry_seq         bigint      NOT NULL,  -- bigint: it goes on counting while the server's clock stands back
    epoch             integer     NOT NULL CHECK (epoch > 0),
    bucket            smallint    NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    kind              text        NOT NULL CHECK (kind IN ('issue', 'redeem', 'hold', 'capture', 'release', 'refund',
                                                           'accrue', 'expire', 'reverse', 'adjust')),
    subject_id        text        NOT NULL,
    member_id         text        NOT NULL,
    business          text,
    outlet            text,
    terminal          text,
    idempotency_key   text,
    bill_reference    text,
    bill_amount_minor bigint,
    currency          text,
    context           jsonb       NOT NULL,
    PRIMARY KEY (bucket, epoch, entry_ms, entry_seq, occurred_at)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX ledger_transaction_subject ON ledger_transaction (subject_id);
CREATE INDEX ledger_transaction_member ON ledger_transaction (member_id, occurred_at);
CREATE INDEX ledger_transaction_bill ON ledger_transaction (business, bill_reference) WHERE bill_reference IS NOT NULL;

CREATE TABLE ledger_posting (
    occurred_at   timestamptz NOT NULL,
    entry_ms      bigint      NOT NULL,
    entry_seq     bigint      NOT NULL,
    amount        bigint      NOT NULL CHECK (amount <> 0),
    epoch         integer     NOT NULL,
    expires_month integer,                   -- yyyymm, null when the lot does not expire
    bucket        smallint    NOT NULL,
    line          smallint    NOT NULL CHECK (line >= 0),
    asset         text        NOT NULL,
    account       text        NOT NULL CHECK (account IN ('member_available', 'member_held', 'business_issued',
                                                          'business_redeemed', 'expired')),
    owner         text        NOT NULL,      -- a member for member_*, a business for the others
    issuer        text        NOT NULL,      -- the business that issued the lot: what settlement needs
    lot           text        NOT NULL,
    PRIMARY KEY (bucket, epoch, entry_ms, entry_seq, line, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- How far each bucket's stream is in the ledger. The writer locks these rows, compares, writes and commits: the fence.
-- rows_in_epoch counts transactions and dead letters of the epoch, so that I7 can be checked against entries-added.
CREATE TABLE ledger_watermark (
    bucket        smallint    PRIMARY KEY CHECK (bucket BETWEEN 0 AND 1023),
    epoch         integer     NOT NULL CHECK (epoch > 0),
    last_ms       bigint      NOT NULL DEFAULT 0,
    last_seq      bigint      NOT NULL DEFAULT 0,
    rows_in_epoch bigint      NOT NULL DEFAULT 0,
    updated_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Entries the ledger could not take in as transactions, whole, with the reason. Each is a defect to be looked at.
CREATE TABLE ledger_dead_letter (
    bucket     smallint    NOT NULL,
    epoch      integer     NOT NULL,
    entry_ms   bigint      NOT NULL,
    entry_seq  bigint      NOT NULL,
    fields     jsonb       NOT NULL,
    reason     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, epoch, entry_ms, entry_seq)
);

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION ledger_refuse_imbalance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM written GROUP BY bucket, epoch, entry_ms, entry_seq, asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'postings of a transaction do not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

-- Row triggers are cloned to every partition; statement triggers are not, so ledger_ensure_month makes those.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_transaction
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_posting
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_posting
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_imbalance AFTER INSERT ON ledger_posting REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_imbalance();

-- Makes the partitions of the month (UTC) that holds `day`; does nothing when they are there. SECURITY DEFINER, so that
-- the writer needs no DDL rights; an advisory lock lets two callers in one after the other. ATTACH rather than CREATE
-- ... PARTITION OF, because it does not lock readers and writers of the parent out.
CREATE FUNCTION ledger_ensure_month(day date) RETURNS void
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
    -- Made while this caller waited for the lock? Asked of the table, for to_regclass would answer from a cache that
    -- an advisory lock does not refresh.
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

REVOKE ALL ON FUNCTION ledger_ensure_month(date) FROM PUBLIC;

-- migrate:down

DROP FUNCTION ledger_ensure_month(date);
DROP TABLE ledger_dead_letter, ledger_watermark, ledger_posting, ledger_transaction;
DROP FUNCTION ledger_refuse_imbalance();
DROP FUNCTION ledger_refuse_change();
