-- What members bought and where they were, made of the ledger (redemption/projections/purchases.py).

-- migrate:up

-- By business and month of the outlet's day. A purchase is a bill that earned; one that was reversed is taken out of the
-- month it was in. first_at and last_at are of all of them, also of those that were reversed.
CREATE TABLE member_purchases (
    member_id    text NOT NULL,
    business     text NOT NULL,
    month        integer NOT NULL CHECK (month BETWEEN 202001 AND 209912),
    currency     text NOT NULL,
    purchases    bigint NOT NULL,
    amount_minor bigint NOT NULL,
    first_at     timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    PRIMARY KEY (member_id, business, month, currency)
) WITH (fillfactor = 80);

-- A visit is an outlet and its day with a purchase or a redemption; giving something back does not undo it.
CREATE TABLE member_visit (
    member_id text NOT NULL,
    day       date NOT NULL,
    outlet    text NOT NULL,
    business  text NOT NULL,
    PRIMARY KEY (member_id, day, outlet)
);

SELECT projection_register('member_purchases');

-- migrate:down

DROP TABLE member_visit, member_purchases;
DELETE FROM projection_mark WHERE projection = 'member_purchases';
DELETE FROM projection WHERE name = 'member_purchases';
