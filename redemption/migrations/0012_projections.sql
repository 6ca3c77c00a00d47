-- One reader of the ledger feeds every projection (redemption/projections/, docs/adr/0020).

-- migrate:up

-- Everything that is made of the ledger's rows. A projection is registered by the migration that makes its tables, so
-- that no month is archived that it has not read, whatever version of the projector runs.
CREATE TABLE projection (
    name            text PRIMARY KEY,
    begun_at        timestamptz,  -- NULL: months were archived before it was registered, and nobody has decided yet
    complete_from   date,         -- the first month it knows; NULL: all of the ledger
    stopped_at      timestamptz,
    stopped_because text
);

CREATE FUNCTION projection_register(name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO projection (name, begun_at)
    SELECT name, CASE WHEN NOT EXISTS (SELECT FROM ledger_archive) THEN now() END
$$;
REVOKE ALL ON FUNCTION projection_register(text) FROM PUBLIC;

-- How far a projection has read a bucket of the ledger. Moved in the transaction that writes the projection's rows,
-- under this row's lock.
CREATE TABLE projection_mark (
    projection text NOT NULL REFERENCES projection,
    bucket     smallint NOT NULL,
    epoch      integer NOT NULL DEFAULT 0,
    last_ms    bigint NOT NULL DEFAULT 0,
    last_seq   bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, bucket)
) WITH (fillfactor = 50);

-- Settlement refused the archiving of a month that it had not read, so it has begun whatever is archived.
INSERT INTO projection (name, begun_at) VALUES ('settlement_lines', now());
INSERT INTO projection_mark (projection, bucket, epoch, last_ms, last_seq, updated_at)
SELECT 'settlement_lines', bucket, epoch, last_ms, last_seq, settled_at FROM settlement_mark;
DROP TABLE settlement_mark;

-- migrate:down

CREATE TABLE settlement_mark (
    bucket     smallint PRIMARY KEY,
    epoch      integer NOT NULL DEFAULT 0,
    last_ms    bigint NOT NULL DEFAULT 0,
    last_seq   bigint NOT NULL DEFAULT 0,
    settled_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
INSERT INTO settlement_mark (bucket, epoch, last_ms, last_seq, settled_at)
SELECT bucket, epoch, last_ms, last_seq, updated_at FROM projection_mark WHERE projection = 'settlement_lines';
DROP TABLE projection_mark;
DROP FUNCTION projection_register(text);
DROP TABLE projection;
