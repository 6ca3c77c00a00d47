-- For a till that does not know what happened: undoes what a key or an id stands for, or makes sure that a key never
-- applies. Repeating it is safe.
--
-- keys: idempotency holds ledger tombstones_terminal tombstones_outlet cancelled
-- args: call_id till till_key lasts redemption_id business currency redemption_prefix lots_prefix member_prefix utc_offset policy
-- args: window_seconds context counts
--
--   idempotency        the record of the till's key; its own name for a cancel by id, which leaves it alone
--   redemption_id      for a cancel by id; empty for one by key
--
--   till_key           the till's key; empty for a cancel by id
--   lasts              how long a tombstone is kept, seconds: until no code could come with the key any more
--   cancelled          the terminal's cancelled keys: for what has no code that becomes too old
--   counts             0 where this function counted the same request already, in another bucket or business; else 1
--
-- returns: {call_id, outcome, effect [, record, state]}; effect is "reversed" or "tombstoned"; of RATE_LIMITED
--          {call_id, outcome, "", whose rate, seconds to wait}. For a key that stands for a scan of another bucket or
--          business: {call_id, NOT_FOUND, id of the redemption}, and nothing was done
--
-- Keeps I9, I12 (a tombstoned key never applies).

if frozen(ledger) then return {call_id, OUTCOME.UNAVAILABLE, ''} end
local seconds, millis = now()
if counts == '1' then
  local exceeded, _, reset = over_rate(till_named(till), seconds)
  if exceeded then return {call_id, OUTCOME.RATE_LIMITED, '', exceeded, reset} end
end
local id = redemption_id
if id == '' then
  local seen = recorded(idempotency)
  if not seen or seen[2] ~= '0' then
    -- Nothing was applied under this key: nothing ever will be.
    if not (seen and tombstoned(seen)) then
      local wait = tombstoned_too_often(tombstones_terminal, tombstones_outlet)
      if wait then return {call_id, OUTCOME.RATE_LIMITED, '', RATE_SUBJECT.TOMBSTONES, wait} end
    end
    leave_tombstone(idempotency, seen, cancelled, till_key, tonumber(lasts), seconds)
    return {call_id, 0, 'tombstoned'}
  end
  -- What is undone is a scan. A key of a capture, a refund or an accrual stands for something else: undoing the whole
  -- redemption because of it would give back more than the till means.
  if #seen ~= 3 or sub(seen[3], 1, 4) ~= 'rdm_' then return {call_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, ''} end
  id = seen[3]
end
local redemption = redemption_prefix .. id
local record = open_redemption(redemption)
if not record or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND, redemption_id == '' and id or ''} end

local month = month_of(seconds, tonumber(utc_offset))
local lots, member = lots_prefix .. record.member, member_prefix .. record.member
local status = record.status
readable(record, holds, lots, member, month)
if status == 'held' and integer(record.hold_until) <= millis then
  -- A hold past its deadline has one end, whoever comes by first.
  release_hold(record, redemption, holds, ledger, lots, member, 'expired', month, policy, millis,
    own_context(record))
  status = 'expired'
end
if status == 'held' or status == 'captured' or status == 'partially_refunded' then
  if millis - integer(record.captured_at or record.at) > tonumber(window_seconds) * 1000 then
    return {call_id, OUTCOME.WINDOW_CLOSED, ''}
  end
  if status == 'held' then
    release_hold(record, redemption, holds, ledger, lots, member, 'reversed', month, policy, millis, context)
  else
    for _, part in ipairs(record.parts) do part.refund = part.captured - part.refunded end
    give_back_captured(record, redemption, ledger, lots, 'reverse', 'reversed', month, policy, millis, context)
  end
  status = 'reversed'
end
-- A late repeat of the scan's key hears of this, whatever end the redemption had come to before.
if not record.cancelled then
  record.cancelled = text(millis)
  write_record(redemption, record, 'KEEPTTL')
end
-- Voided, expired, refunded and reversed ones have nothing left to undo, which is what the till wants to hear.
return {call_id, 0, 'reversed', told(record), snapshot(record, status, lots, member, currency, month, millis)}
