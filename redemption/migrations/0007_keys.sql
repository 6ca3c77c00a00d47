-- API keys that end, that may do some things only, that must sign their requests, and when each was last used.

-- migrate:up

-- expires_at: from then on the key is refused. A rotation sets it on the old key; the new one says in `replaces` whose
-- place it takes. signature_key: of ed25519 the public key, of hmac-sha256 the shared secret itself, for it is what a
-- signature is computed with: choose ed25519 where reading this table must not be enough to sign.
ALTER TABLE api_key
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN replaces text REFERENCES api_key,
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{redeem,hold,refund,accrue}',
    ADD COLUMN signature_algorithm text,
    ADD COLUMN signature_key bytea,
    ADD CONSTRAINT api_key_scopes CHECK (scopes <@ '{redeem,hold,refund,accrue}'::text[]),
    ADD CONSTRAINT api_key_signature CHECK (
        (signature_algorithm IS NULL) = (signature_key IS NULL)
        AND (signature_algorithm IS NULL
             OR (signature_algorithm IN ('ed25519', 'hmac-sha256') AND octet_length(signature_key) = 32
                 AND kind = 'terminal')));

-- Apart from the key itself, whose every change is a new version of the configuration for all workers.
CREATE TABLE api_key_use (
    key_id       text PRIMARY KEY REFERENCES api_key ON DELETE CASCADE,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- migrate:down

DROP TABLE api_key_use;
ALTER TABLE api_key
    DROP CONSTRAINT api_key_scopes,
    DROP CONSTRAINT api_key_signature,
    DROP COLUMN expires_at,
    DROP COLUMN replaces,
    DROP COLUMN scopes,
    DROP COLUMN signature_algorithm,
    DROP COLUMN signature_key;
