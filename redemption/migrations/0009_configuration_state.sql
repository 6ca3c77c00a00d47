-- migrate:up

-- The configuration becomes a state that a group file describes. What a file no longer names and `tong load --prune`
-- retires stays as a row, because holdings, records and statements name it; retired_at says since when it is out of
-- force. Loading a file that names it again sets retired_at to null.
ALTER TABLE tier     ADD COLUMN retired_at timestamptz;
ALTER TABLE business ADD COLUMN retired_at timestamptz;
ALTER TABLE outlet   ADD COLUMN retired_at timestamptz;
ALTER TABLE terminal ADD COLUMN retired_at timestamptz;
ALTER TABLE benefit  ADD COLUMN retired_at timestamptz;

-- Ranks differ among the levels in force, when the transaction ends: two may swap theirs within it.
ALTER TABLE tier DROP CONSTRAINT tier_rank_key;
ALTER TABLE tier ADD CONSTRAINT tier_rank_in_force
    EXCLUDE USING btree (rank WITH =) WHERE (retired_at IS NULL) DEFERRABLE INITIALLY DEFERRED;

-- A decision is explained by what was in force; the currency belongs to it.
CREATE OR REPLACE FUNCTION keep_configuration_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO configuration_history (version, definition)
    SELECT v.version, jsonb_build_object(
        'policy', (SELECT policy FROM installation),
        'time_zone', (SELECT time_zone FROM installation),
        'tiers', (SELECT jsonb_object_agg(tier_id, jsonb_build_object('rank', rank, 'rules', rules))
                  FROM tier WHERE retired_at IS NULL),
        'businesses', (SELECT jsonb_object_agg(business_id, rules) FROM business WHERE retired_at IS NULL),
        'currencies', (SELECT jsonb_object_agg(business_id, currency) FROM business WHERE retired_at IS NULL),
        'benefits', (SELECT jsonb_object_agg(benefit_id, definition) FROM benefit WHERE retired_at IS NULL))
    FROM configuration_version v
    ON CONFLICT (version) DO UPDATE SET definition = excluded.definition;
    RETURN NULL;
END $$;

-- migrate:down

CREATE OR REPLACE FUNCTION keep_configuration_history() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- Fails where a level in force has the rank of a retired one: give that one another rank first.
ALTER TABLE tier DROP CONSTRAINT tier_rank_in_force;
ALTER TABLE tier ADD CONSTRAINT tier_rank_key UNIQUE (rank);
ALTER TABLE tier     DROP COLUMN retired_at;
ALTER TABLE business DROP COLUMN retired_at;
ALTER TABLE outlet   DROP COLUMN retired_at;
ALTER TABLE terminal DROP COLUMN retired_at;
ALTER TABLE benefit  DROP COLUMN retired_at;
