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
local state = redis.call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'held', 'growth', 'owed')
if not state[1] then return {seconds, {}} end
for i = 1, 7 do state[i] = state[i] or '' end
local flat = {}
for asset, held in pairs((holdings(lots, month_of(seconds, tonumber(utc_offset))))) do
  for _, entry in ipairs(held) do
    flat[#flat + 1] = asset .. '/' .. entry[1]
    flat[#flat + 1] = text(entry[2])
  end
end
local used = 0
if marker == 'digits' then
  used = redis.call('EXISTS', code)
elseif marker ~= '' then
  local uses_of_code = redis.call('HMGET', code, marker, 'digits')
  if uses_of_code[1] or uses_of_code[2] then used = 1 end
end
local year, month, day = civil(seconds, tonumber(outlet_offset))
return {seconds, state, flat, used, ':' .. text(year * 10000 + month * 100 + day),
  redis.call('HGETALL', uses .. text(year * 100 + month)), stay == '' and {} or redis.call('HGETALL', stay)}
