-- migrate:up

-- Settlement: who owes whom for what was used at another business. Everything here but the marks and the settled_at of
-- an exception is append-only: an agreement is superseded, a line is corrected by another line, a period's state is
-- the approvals and payments it has. A line is in exactly one period, because the period is a column of it that never
-- changes; `settlement_books` is the gate between writing lines and closing months.

CREATE FUNCTION settlement_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'settlement is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

-- For whom an agreement is: no two agreements have the same scope, so the most specific one is always one.
CREATE TABLE settlement_agreement (
    agreement_id text PRIMARY KEY CHECK (agreement_id ~ '^[a-z][a-z0-9_-]{0,31}$'),
    issuer       text NOT NULL CHECK (issuer ~ '^(\*|[a-z][a-z0-9_-]{0,31})$'),
    acceptor     text NOT NULL CHECK (acceptor ~ '^(\*|[a-z][a-z0-9_-]{0,31})$'),
    instrument   text NOT NULL CHECK (instrument IN ('points', 'benefit', 'stored_value')),
    benefit_id   text,
    category     text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (benefit_id IS NULL OR category IS NULL),
    CHECK (instrument = 'benefit' OR (benefit_id IS NULL AND category IS NULL)),
    UNIQUE NULLS NOT DISTINCT (issuer, acceptor, instrument, benefit_id, category)
);

-- What is agreed from when on. In force on a day: the highest version that has begun, unless it has ended. `serial`
-- says that something is new, so that exceptions are tried again.
CREATE TABLE settlement_agreement_version (
    agreement_id text NOT NULL REFERENCES settlement_agreement,
    version      integer NOT NULL CHECK (version > 0),
    serial       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    definition   jsonb NOT NULL,
    added_by     text NOT NULL,
    added_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agreement_id, version)
);

-- Months up to and including closed_through are closed. Who writes lines holds this row FOR SHARE, who closes a month
-- FOR UPDATE: no line slips into a month while it is being frozen.
CREATE TABLE settlement_books (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    closed_through integer NOT NULL DEFAULT 0
);
INSERT INTO settlement_books DEFAULT VALUES;

-- How far each bucket of the ledger is settled. Moved in the transaction that writes the lines, under this row's lock.
CREATE TABLE settlement_mark (
    bucket     smallint PRIMARY KEY,
    epoch      integer NOT NULL DEFAULT 0,
    last_ms    bigint NOT NULL DEFAULT 0,
    last_seq   bigint NOT NULL DEFAULT 0,
    settled_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- The issuer pays the acceptor amount + tax; negative: it gets it back. A use is positive, what is given back settles
-- as `return` at the rate of its original, a `correction` ends a dispute. Same issuer and acceptor: own use, amount 0.
CREATE TABLE settlement_line (
    entry_ms          bigint NOT NULL,
    entry_seq         bigint NOT NULL,
    units             bigint NOT NULL,
    face_value_minor  bigint NOT NULL,
    amount_minor      bigint NOT NULL,
    tax_minor         bigint NOT NULL,
    occurred_at       timestamptz NOT NULL,
    epoch             integer NOT NULL,
    agreement_version integer,
    local_day         date NOT NULL,
    period_month      integer NOT NULL CHECK (period_month BETWEEN 202001 AND 209912),
    bucket            smallint NOT NULL,
    line_id           text COLLATE "C" PRIMARY KEY,
    kind              text NOT NULL CHECK (kind IN ('use', 'return', 'correction')),
    ledger_kind       text NOT NULL,
    subject_id        text NOT NULL,
    issuer            text COLLATE "C" NOT NULL,
    acceptor          text COLLATE "C" NOT NULL,
    party_low         text COLLATE "C" NOT NULL GENERATED ALWAYS AS (least(issuer, acceptor)) STORED,
    party_high        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (greatest(issuer, acceptor)) STORED,
    asset             text COLLATE "C" NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    agreement_id      text,
    reference         text COLLATE "C",       -- the line that a return or a correction is about
    belongs_to        text COLLATE "C",       -- the closed period of a late entry
    outlet            text,
    bill_reference    text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'use') = (reference IS NULL)),
    CHECK (issuer <> acceptor OR (amount_minor = 0 AND tax_minor = 0)),
    CHECK (issuer = acceptor OR agreement_id IS NOT NULL)
);
CREATE INDEX settlement_line_period
    ON settlement_line (period_month, party_low, party_high, occurred_at, line_id);
CREATE INDEX settlement_line_subject ON settlement_line (subject_id);

-- What has no line yet, whole, with the reason. It is tried again when an agreement is added; settled_at: then it got
-- its line, of the same line_id.
CREATE TABLE settlement_exception (
    line_id          text COLLATE "C" PRIMARY KEY,
    bucket           smallint NOT NULL,
    epoch            integer NOT NULL,
    entry_ms         bigint NOT NULL,
    entry_seq        bigint NOT NULL,
    ledger_kind      text NOT NULL,
    subject_id       text NOT NULL,
    issuer           text NOT NULL,
    acceptor         text NOT NULL,
    asset            text NOT NULL,
    units            bigint NOT NULL,
    units_in_use     bigint NOT NULL,
    face_value_minor bigint,
    currency         text,
    outlet           text,
    bill_reference   text,
    occurred_at      timestamptz NOT NULL,
    local_day        date NOT NULL,
    reason           text NOT NULL,
    tried_serial     bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    settled_at       timestamptz
);
CREATE INDEX settlement_exception_open
    ON settlement_exception (bucket, epoch, entry_ms, entry_seq, line_id) WHERE settled_at IS NULL;

-- A closed period of two businesses (of one: its own use). sha256: over its lines, see the query `canonical`.
CREATE TABLE settlement_period (
    period_id  text COLLATE "C" PRIMARY KEY,  -- yyyymm.<party_low>.<party_high>
    month      integer NOT NULL,
    party_low  text COLLATE "C" NOT NULL,
    party_high text COLLATE "C" NOT NULL,
    number     integer NOT NULL UNIQUE CHECK (number > 0),
    lines      bigint NOT NULL,
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    closed_by  text NOT NULL,
    closed_at  timestamptz NOT NULL,
    UNIQUE (month, party_low, party_high),
    CHECK (party_low <= party_high)
);

CREATE TABLE settlement_period_total (
    period_id        text COLLATE "C" NOT NULL REFERENCES settlement_period,
    issuer           text COLLATE "C" NOT NULL,
    acceptor         text COLLATE "C" NOT NULL,
    asset            text COLLATE "C" NOT NULL,
    currency         text NOT NULL,
    lines            bigint NOT NULL,
    units            bigint NOT NULL,
    face_value_minor bigint NOT NULL,
    amount_minor     bigint NOT NULL,
    tax_minor        bigint NOT NULL,
    PRIMARY KEY (period_id, issuer, acceptor, asset, currency)
);

CREATE TABLE settlement_approval (
    period_id   text COLLATE "C" NOT NULL REFERENCES settlement_period,
    business    text NOT NULL,
    approved_by text NOT NULL,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (period_id, business)
);

CREATE TABLE settlement_payment (
    period_id text COLLATE "C" PRIMARY KEY REFERENCES settlement_period,
    reference text NOT NULL,
    paid_by   text NOT NULL,
    paid_at   timestamptz NOT NULL
);

CREATE TABLE settlement_dispute (
    dispute_id text PRIMARY KEY,
    line_id    text COLLATE "C" NOT NULL REFERENCES settlement_line,
    raised_by  text NOT NULL,
    reason     text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 1000),
    opened_by  text NOT NULL,
    opened_at  timestamptz NOT NULL
);
CREATE INDEX settlement_dispute_line ON settlement_dispute (line_id);

-- The end of a dispute: a correction, or none when the line stands.
CREATE TABLE settlement_resolution (
    dispute_id    text PRIMARY KEY REFERENCES settlement_dispute,
    correction_id text COLLATE "C" REFERENCES settlement_line,
    note          text NOT NULL CHECK (char_length(note) BETWEEN 1 AND 1000),
    resolved_by   text NOT NULL,
    resolved_at   timestamptz NOT NULL
);

CREATE FUNCTION settlement_refuse_other_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(OLD) - ARRAY['reason', 'tried_serial', 'settled_at'])
            IS DISTINCT FROM (to_jsonb(NEW) - ARRAY['reason', 'tried_serial', 'settled_at'])
       OR OLD.settled_at IS NOT NULL THEN
        RAISE EXCEPTION 'settlement is append-only: UPDATE on % is refused', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['settlement_agreement', 'settlement_agreement_version', 'settlement_line',
                                'settlement_period', 'settlement_period_total', 'settlement_approval',
                                'settlement_payment', 'settlement_dispute', 'settlement_resolution'] LOOP
        EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION settlement_refuse_change()', name);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION settlement_refuse_change()', name);
    END LOOP;
END
$$;
CREATE TRIGGER refuse_change BEFORE UPDATE ON settlement_exception
    FOR EACH ROW EXECUTE FUNCTION settlement_refuse_other_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON settlement_exception
    FOR EACH ROW EXECUTE FUNCTION settlement_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON settlement_exception
    FOR EACH STATEMENT EXECUTE FUNCTION settlement_refuse_change();

-- migrate:down

DROP TABLE settlement_resolution, settlement_dispute, settlement_payment, settlement_approval,
    settlement_period_total, settlement_period, settlement_exception, settlement_line, settlement_mark,
    settlement_books, settlement_agreement_version, settlement_agreement;
DROP FUNCTION settlement_refuse_other_change();
DROP FUNCTION settlement_refuse_change();
