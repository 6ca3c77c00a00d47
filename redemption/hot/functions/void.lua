-- Releases a hold: everything goes back to its lots.
--
-- keys: redemption holds ledger
-- args: call_id idempotency fingerprint business currency lots_prefix member_prefix utc_offset policy context
--
-- returns: {call_id, outcome, replayed, asked, available [, record, state]}
--
-- Keeps I1, I9 (one end of a hold).

if frozen(ledger) then return {call_id, OUTCOME.UNAVAILABLE, 0, -1, -1} end
local before = repeated(idempotency, call_id, fingerprint, redemption)
if before then return before end
local record = read_redemption(redemption)
if not record or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND, 0, -1, -1} end

local seconds, millis = now()
local month = month_of(seconds, tonumber(utc_offset))
local lots, member = lots_prefix .. record.member, member_prefix .. record.member
local ended = hold_ended(record, millis, redemption, holds, ledger, lots, member, month, policy)
if ended then return refuse_step(idempotency, call_id, fingerprint, ended) end
release_hold(record, redemption, holds, ledger, lots, member, 'voided', month, policy, millis, context)
return step_done(idempotency, call_id, fingerprint, record,
  snapshot(record, 'voided', lots, member, currency, month, millis))
