-- Who takes part: tiers, businesses, outlets, terminals, keys, members. What a scan needs of it is kept in the memory of
-- every gateway worker and followed by configuration_version, which every change raises.

-- migrate:up
CREATE TABLE configuration_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);
INSERT INTO configuration_version (version) VALUES (1);

CREATE TABLE installation (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    buckets   smallint NOT NULL CHECK (buckets BETWEEN 1 AND 1024),
    time_zone text NOT NULL,
    policy    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tier (
    tier_id text PRIMARY KEY CHECK (tier_id ~ '^[a-z][a-z0-9_-]{0,31}$'),
    rank    smallint NOT NULL UNIQUE CHECK (rank >= 0),
    name    jsonb NOT NULL,
    rules   jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE business (
    business_id text PRIMARY KEY CHECK (business_id ~ '^[a-z][a-z0-9_-]{0,31}$'),
    name        jsonb NOT NULL,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rules       jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE outlet (
    outlet_id   text PRIMARY KEY CHECK (outlet_id ~ '^out_[a-z0-9_-]{1,40}$'),
    business_id text NOT NULL REFERENCES business,
    name        jsonb NOT NULL,
    time_zone   text
);

CREATE TABLE benefit (
    benefit_id text PRIMARY KEY CHECK (benefit_id ~ '^[a-z][a-z0-9_-]{0,31}$'),
    definition jsonb NOT NULL
);

-- Every configuration that was ever in force, so that a decision can be explained by the version it names.
CREATE TABLE configuration_history (
    version    bigint PRIMARY KEY,
    since      timestamptz NOT NULL DEFAULT now(),
    definition jsonb NOT NULL
);

CREATE TABLE terminal (
    terminal_id text PRIMARY KEY CHECK (terminal_id ~ '^trm_[a-z0-9_-]{1,40}$'),
    outlet_id   text NOT NULL REFERENCES outlet,
    name        text NOT NULL
);

-- Only the SHA-256 of a key is here; the key itself is shown once, when it is made.
CREATE TABLE api_key (
    key_id      text PRIMARY KEY CHECK (key_id ~ '^[0-9A-Za-z]{12}$'),
    kind        text NOT NULL CHECK (kind IN ('terminal', 'admin')),
    terminal_id text REFERENCES terminal,
    roles       text[] NOT NULL DEFAULT '{}',
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    CHECK ((kind = 'terminal') = (terminal_id IS NOT NULL))
);

-- The name is already masked: a till shows it, nothing else of a person is needed for a scan. opened_at: when the
-- opening balance of the group file reached the stream; it is never issued twice.
CREATE TABLE member (
    member_number integer PRIMARY KEY CHECK (member_number BETWEEN 0 AND 99999999),
    member_id     text NOT NULL UNIQUE CHECK (member_id ~ '^mem_[0-9a-hjkmnp-tv-z]{7}$'),
    tier_id       text NOT NULL REFERENCES tier,
    display_name  text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 32),
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'blocked')),
    opened_at     timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION raise_configuration_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE configuration_version SET version = version + 1;
    RETURN NULL;
END $$;

-- Deferred to the commit, so that a load of many statements leaves one row: the rules as they are from then on.
CREATE FUNCTION keep_configuration_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO configuration_history (version, definition)
    SELECT v.version, jsonb_build_object(
        'policy', (SELECT policy FROM installation),
        'tiers', (SELECT jsonb_object_agg(tier_id, jsonb_build_object('rank', rank, 'rules', rules)) FROM tier),
        'businesses', (SELECT jsonb_object_agg(business_id, rules) FROM business),
        'benefits', (SELECT jsonb_object_agg(benefit_id, definition) FROM benefit))
    FROM configuration_version v
    ON CONFLICT (version) DO UPDATE SET definition = excluded.definition;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER configuration_kept AFTER UPDATE ON configuration_version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_configuration_history();

CREATE TRIGGER installation_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();
CREATE TRIGGER benefit_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON benefit
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();

CREATE TRIGGER tier_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tier
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();
CREATE TRIGGER business_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON business
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();
CREATE TRIGGER outlet_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON outlet
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();
CREATE TRIGGER terminal_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON terminal
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();
CREATE TRIGGER api_key_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_key
    FOR EACH STATEMENT EXECUTE FUNCTION raise_configuration_version();

-- migrate:down
DROP TABLE api_key, terminal, outlet, business, member, tier, benefit, installation, configuration_version,
    configuration_history;
DROP FUNCTION raise_configuration_version();
DROP FUNCTION keep_configuration_history();
