-- The plain design's one step: once per key and per code, deduct from lots, keep a record, append to a stream.
--
-- KEYS: key record, lots, code, redemption, stream   ARGV: redemption id, points, member, amount
-- returns: {0, redemption id, points left} or {reason}. A member not seen before starts with three lots.

local seen = redis.call('GET', KEYS[1])
if seen then return {0, seen, 0} end
if redis.call('EXISTS', KEYS[3]) == 1 then return {1} end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[2], '202612.a', 1000000000, '202701.b', 1000000000, '202702.c', 1000000000)
end
local lots, sum, wanted = redis.call('HGETALL', KEYS[2]), 0, tonumber(ARGV[2])
local names, amounts = {}, {}
for i = 1, #lots, 2 do
  names[#names + 1] = lots[i]
  amounts[lots[i]] = tonumber(lots[i + 1])
  sum = sum + amounts[lots[i]]
end
if sum < wanted then return {2} end
table.sort(names)
local left, taken = wanted, {}
for _, name in ipairs(names) do
  local share = math.min(left, amounts[name])
  if share > 0 then
    redis.call('HINCRBY', KEYS[2], name, string.format('%d', -share))
    taken[#taken + 1] = name .. ',' .. string.format('%d', share)
    left = left - share
  end
  if left == 0 then break end
end
redis.call('HSET', KEYS[4], 'member', ARGV[3], 'taken', table.concat(taken, ';'), 'amount', ARGV[4])
redis.call('EXPIRE', KEYS[4], 7776000)
redis.call('SET', KEYS[3], ARGV[1], 'EX', 3600)
redis.call('SET', KEYS[1], ARGV[1], 'EX', 7776000)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', '100000', '*', 'id', ARGV[1], 'member', ARGV[3], 'taken', table.concat(taken, ';'))
return {0, ARGV[1], sum - wanted}
