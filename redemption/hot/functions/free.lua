-- Finds the next slot for a member's code that nothing has used and no revocation covers, so that a fresh code can be
-- made right after a use. Changes nothing.
--
-- flags: no-writes
-- keys: member
-- args: code_prefix first tries
--
--   code_prefix        the keys of the member's code slots, without the slot
--   first              the slot of this moment; no more than `tries` are looked at
--
-- returns: {slot}, or {-1} when every slot looked at is used

local from = tonumber(first)
local valid_from = redis.call('HGET', member, 'codes_valid_from')
if valid_from then
  from = math.max(from, math.ceil(integer(valid_from) / LIMIT.SLOT_SECONDS))
end
for slot = from, from + math.min(tonumber(tries), LIMIT.FRESH_SLOTS_MAX) - 1 do
  if redis.call('EXISTS', code_prefix .. text(slot)) == 0 then return {slot} end
end
return {-1}
