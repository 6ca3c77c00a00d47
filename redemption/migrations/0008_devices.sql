-- migrate:up

-- Devices of members that may make codes by themselves (tokens/offline.py). A device's key is derived from the ring key `kid`
-- and the numbers in this row; it is kept nowhere. Rows are never deleted while their ring key is in use: a code of a device
-- without a row could not be told from one of a device that is not revoked.
CREATE TABLE member_device (
    device_number bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 1 MAXVALUE 34359738367) PRIMARY KEY,
    member_number integer     NOT NULL CHECK (member_number BETWEEN 0 AND 99999999),
    kid           text        NOT NULL CHECK (kid ~ '^[a-z0-9]{1,6}-[0-9]{1,4}$'),
    name          text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 40),
    created_at    timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz
);

CREATE INDEX member_device_member ON member_device (member_number, device_number DESC);
-- What every gateway worker holds in memory and follows.
CREATE INDEX member_device_revoked ON member_device (revoked_at) WHERE revoked_at IS NOT NULL;

-- migrate:down

DROP TABLE member_device;
