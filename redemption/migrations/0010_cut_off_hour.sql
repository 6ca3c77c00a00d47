-- migrate:up

-- The hour of local time at which an outlet's business day ends and the next begins; 0: at midnight. Settlement and
-- reconciliation count by it (redemption/settlement/business_days.py). Lines that are written keep the day they have.
ALTER TABLE outlet
    ADD COLUMN cut_off_hour smallint NOT NULL DEFAULT 0,
    ADD CONSTRAINT outlet_cut_off_hour CHECK (cut_off_hour BETWEEN 0 AND 12);

-- migrate:down

ALTER TABLE outlet DROP CONSTRAINT outlet_cut_off_hour, DROP COLUMN cut_off_hour;
