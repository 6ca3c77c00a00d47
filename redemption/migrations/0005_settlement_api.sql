-- Who of the back office sees what: an admin key may be bound to one business. Lists of a till's day that were compared
-- with the ledger (redemption/settlement/reconciliation.py), kept for a while so that their files can be fetched.

-- migrate:up

-- NULL: the whole group. A change is followed as every change of a key is (trigger api_key_changed).
ALTER TABLE api_key
    ADD COLUMN business_id text REFERENCES business,
    ADD CONSTRAINT api_key_business_of_admin CHECK (business_id IS NULL OR kind = 'admin');

-- One comparison of one day. The same list for the same day gives the same row again while nothing changed: list_sha256
-- is over the rows as they were read, ledger_sha256 over what the ledger had.
CREATE TABLE settlement_reconciliation (
    reconciliation_id text PRIMARY KEY CHECK (reconciliation_id ~ '^rec_[0-9a-z]{26}$'),
    business          text NOT NULL,
    outlet            text,
    day               date NOT NULL,
    time_zone         text NOT NULL,
    uploaded_by       text NOT NULL,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    list_sha256       bytea NOT NULL CHECK (octet_length(list_sha256) = 32),
    ledger_sha256     bytea NOT NULL CHECK (octet_length(ledger_sha256) = 32),
    summary           jsonb NOT NULL
);
CREATE INDEX settlement_reconciliation_business
    ON settlement_reconciliation (business, created_at DESC, reconciliation_id);
CREATE INDEX settlement_reconciliation_expiry ON settlement_reconciliation (expires_at);
CREATE UNIQUE INDEX settlement_reconciliation_same
    ON settlement_reconciliation (business, coalesce(outlet, ''), day, list_sha256, ledger_sha256);

-- The answer, a bill an item, in the order of the file: the items 1000 × number to 1000 × number + 999, as JSON lines
-- that zlib compressed. Written once, so a place in it is a place for ever.
CREATE TABLE settlement_reconciliation_part (
    reconciliation_id text NOT NULL REFERENCES settlement_reconciliation ON DELETE CASCADE,
    number            integer NOT NULL CHECK (number >= 0),
    items             bytea NOT NULL,
    PRIMARY KEY (reconciliation_id, number)
);

-- A day of a business is read by time. Entries come nearly in the order of time, so ranges of pages tell where a day is.
CREATE INDEX ledger_transaction_time ON ledger_transaction
    USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);

-- migrate:down

DROP INDEX ledger_transaction_time;
DROP TABLE settlement_reconciliation_part, settlement_reconciliation;
ALTER TABLE api_key DROP CONSTRAINT api_key_business_of_admin, DROP COLUMN business_id;
