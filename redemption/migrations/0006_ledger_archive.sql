-- migrate:up

-- Months of the ledger that were written to files and detached. Each is a part; parts are a stack: the last one that
-- was archived is the first that may be put back. redemption/ledger/archive/archiving.py writes them, manifest.py says what a
-- manifest holds. A part stands here in the very transaction that takes its rows out of the ledger.
--
-- What was detached and not dropped yet is a table like ledger_transaction_2026_01_part_7.
--
-- Who archives needs the rights of the tables' owner (partitions are detached). Audit and rebuild need SELECT.

CREATE TABLE ledger_archive (
    part        integer     PRIMARY KEY CHECK (part > 0),
    month       date        NOT NULL CHECK (month = date_trunc('month', month::timestamp)),
    manifest    text        NOT NULL,          -- JSON, byte for byte the file beside the rows
    mac         bytea       NOT NULL CHECK (octet_length(mac) = 32),  -- of the manifest, with the key of the chain
    archived_at timestamptz NOT NULL DEFAULT now()
);

-- What the part's postings come to. subject_id: of what is held, so that a hold that ended in a later month adds up;
-- else empty. The manifest has a hash of each bucket's rows. Written before the part is; only the rows of parts that stand
-- in ledger_archive count.
CREATE TABLE ledger_archive_balance (
    amount     bigint   NOT NULL CHECK (amount <> 0),
    part       integer  NOT NULL,
    bucket     smallint NOT NULL,
    account    text     COLLATE "C" NOT NULL,
    owner      text     COLLATE "C" NOT NULL,
    asset      text     COLLATE "C" NOT NULL,
    lot        text     COLLATE "C" NOT NULL,
    subject_id text     COLLATE "C" NOT NULL,
    PRIMARY KEY (bucket, part, account, owner, asset, lot, subject_id)
);

-- What no posting says of a member after the part: growth, points owed, the last purchase, accruals that a later month
-- takes back. Of members who earned in it; the newest part's row holds for the member.
CREATE TABLE ledger_archive_member (
    part      integer  NOT NULL,
    bucket    smallint NOT NULL,
    member_id text     COLLATE "C" NOT NULL,
    state     jsonb    NOT NULL,
    PRIMARY KEY (bucket, member_id, part)
);

-- Codes made before this moment (seconds) were revoked; what a rebuild of a lost hot store needs. Null: none ever.
ALTER TABLE member ADD COLUMN codes_valid_from bigint;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_archive', 'ledger_archive_balance', 'ledger_archive_member'] LOOP
        EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()', name);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()', name);
    END LOOP;
END
$$;

-- migrate:down

ALTER TABLE member DROP COLUMN codes_valid_from;
DROP TABLE ledger_archive_member, ledger_archive_balance, ledger_archive;
