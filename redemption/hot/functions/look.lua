-- Reads one member: state, what is held, uses so far, whether this code was used. Changes nothing.
--
-- flags: no-writes
-- keys: member lots code uses stay
-- args: utc_offset outlet_offset marker
--
--   code, marker      as in redeem; an empty marker asks for no code
--   uses, stay        prefix of the counters of uses per month and day; the counter of the stay
--
-- returns: {seconds, [tier, name, status, codes_valid_from, held, growth, owed], [lot, amount, …], code used,
--           day suffix, [benefit or benefit:day, count, …] of this month, [benefit, count, …] of the stay}

local seconds = now()
local state = call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'held', 'growth', 'owed')
if not state[1] then return {seconds, {}} end
for i = 1, 7 do state[i] = state[i] or '' end
local flat = {}
for asset, held in pairs((holdings(lots, month_of(seconds, tonumber(utc_offset))))) do
  for _, entry in ipairs(held) do
    flat[#flat + 1] = asset .. '/' .. entry[1]
    flat[#flat + 1] = text(entry[2])
  end
end
local used = marker ~= '' and code_used(call('GET', code), marker) and 1 or 0
local date = date_of(seconds, tonumber(outlet_offset))
return {seconds, state, flat, used, ':' .. text(date[2]),
  call('HGETALL', uses .. text(date[1])), stay == '' and {} or call('HGETALL', stay)}
