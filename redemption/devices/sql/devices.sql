-- Devices of members (redemption/devices/store.py, redemption/devices/revocations.py).

-- name: lock_member
-- One enrolment of a member at a time, so that none is counted past the limit.
SELECT pg_advisory_xact_lock(hashtextextended('tong.member_device', $1::bigint))

-- name: count_active
SELECT count(*) FROM member_device WHERE member_number = $1 AND revoked_at IS NULL

-- name: add
INSERT INTO member_device (member_number, kid, name) VALUES ($1, $2, $3)
RETURNING device_number, kid, name, created_at, revoked_at

-- name: of_member
SELECT device_number, kid, name, created_at, revoked_at
FROM member_device
WHERE member_number = $1
ORDER BY device_number DESC
LIMIT $2

-- name: revoke
UPDATE member_device SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE member_number = $1 AND device_number = $2
RETURNING device_number, kid, name, created_at, revoked_at

-- name: revoke_all
UPDATE member_device SET revoked_at = clock_timestamp()
WHERE member_number = $1 AND revoked_at IS NULL

-- name: revoked_since
-- With an overlap: a revocation that was being committed while the last look was taken must not be missed.
SELECT device_number, revoked_at FROM member_device WHERE revoked_at >= $1
