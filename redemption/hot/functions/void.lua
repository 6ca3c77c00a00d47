-- Releases a hold: everything goes back to its lots.
--
-- keys: redemption holds ledger cancelled
-- args: call_id till till_key idempotency fingerprint business currency lots_prefix member_prefix utc_offset policy context
--
-- returns: {call_id, outcome, replayed, asked, available [, record, state]}
--
-- Keeps I1, I9 (one end of a hold).

local reply, record, millis, month, lots, member = open_step(ledger, idempotency, call_id, fingerprint, redemption, business,
  utc_offset, lots_prefix, member_prefix, till, cancelled, till_key)
if reply then return reply end
local ended = hold_ended(record, millis, redemption, holds, ledger, lots, member, month, policy)
if ended then return refuse_step(idempotency, call_id, fingerprint, ended) end
release_hold(record, redemption, holds, ledger, lots, member, 'voided', month, policy, millis, context)
return step_done(idempotency, call_id, fingerprint, record,
  snapshot(record, 'voided', lots, member, currency, month, millis))
