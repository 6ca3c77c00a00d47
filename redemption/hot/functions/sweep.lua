-- Expires the holds of one bucket whose time has run out, the oldest first.
--
-- keys: holds ledger
-- args: redemption_prefix lots_prefix member_prefix utc_offset policy
--
-- returns: {number of holds expired, number still open}
--
-- Keeps I9: every hold reaches exactly one end.

if frozen(ledger) then return {0, call('ZCARD', holds)} end
local seconds, millis = now()
local month = month_of(seconds, tonumber(utc_offset))
local due = call('ZRANGEBYSCORE', holds, '-inf', text(millis), 'LIMIT', 0, LIMIT.SWEEP_MAX)
local expired, parts = 0, 0
for _, id in ipairs(due) do
  local key = redemption_prefix .. id
  local record = open_redemption(key)
  if record and record.status == 'held' then
    local lots, member = lots_prefix .. record.member, member_prefix .. record.member
    -- One member's overwritten key holds up no other member's holds: this one waits for the rebuild.
    if pcall(readable, record, holds, lots, member, month) then
      release_hold(record, key, holds, ledger, lots, member, 'expired', month, policy, millis, own_context(record))
      expired, parts = expired + 1, parts + #record.parts
      if parts > LIMIT.PARTS_MAX then break end -- the next call goes on: no call is long
    end
  else
    call('ZREM', holds, id)
  end
end
return {expired, call('ZCARD', holds)}
