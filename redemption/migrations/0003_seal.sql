-- migrate:up

-- What makes tampering with the ledger show. Per bucket, a keyed hash (HMAC-SHA-256, the key is in no database) runs over
-- every row in stream order; each seal is the head of that chain at some position. Written by the sealer, which trails
-- the ledger writer; verified by `tong audit`. redemption/ledger/chain.py says which bytes are hashed.
--
-- The primary key is the fence: seal n + 1 of a bucket can be written once, so two sealers, or one that was paused and
-- wakes up, cannot fork a chain.
--
-- A sealer without DDL rights needs: SELECT on the ledger's tables; SELECT, INSERT on ledger_seal.
-- A rebuild: what the writer needs, and INSERT on ledger_epoch.

CREATE TABLE ledger_seal (
    bucket        smallint    NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    number        bigint      NOT NULL CHECK (number > 0),  -- 1, 2, 3 … in each bucket
    epoch         integer     NOT NULL CHECK (epoch > 0),
    last_ms       bigint      NOT NULL,
    last_seq      bigint      NOT NULL,
    rows_sealed   bigint      NOT NULL CHECK (rows_sealed > 0),   -- since the first row of the bucket
    rows_in_epoch bigint      NOT NULL CHECK (rows_in_epoch > 0),
    key_id        text        NOT NULL,
    mac           bytea       NOT NULL CHECK (octet_length(mac) = 32),
    sealed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, number),
    UNIQUE (bucket, rows_sealed)
);

-- Epochs that are over: a rebuild closes one and begins the next. With it the rows of an old epoch can still be counted.
CREATE TABLE ledger_epoch (
    bucket        smallint    NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    epoch         integer     NOT NULL CHECK (epoch > 0),
    last_ms       bigint      NOT NULL,
    last_seq      bigint      NOT NULL,
    rows_in_epoch bigint      NOT NULL,
    closed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, epoch)
);

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_seal
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_seal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_epoch
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_epoch
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- migrate:down

DROP TABLE ledger_seal, ledger_epoch;
