-- Reads one member: state, points by lot. Changes nothing.
--
-- flags: no-writes
-- keys: member lots
-- args: utc_offset
--
-- returns: {seconds, [tier, name, status], [lot, points, …] of the lots that may be spent, first to expire first}

local seconds = now()
local state = redis.call('HMGET', member, 'tier', 'name', 'status')
if not state[1] then return {seconds, {}, {}} end
local flat = {}
for _, entry in ipairs((spendable_lots(lots, month_of(seconds, tonumber(utc_offset))))) do
  flat[#flat + 1] = entry[1]
  flat[#flat + 1] = text(entry[2])
end
return {seconds, {state[1], state[2] or '', state[3] or ''}, flat}
