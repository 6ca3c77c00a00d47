-- Finds the first of a member's next code slots that nothing has used, so that a fresh code can be made right after a
-- use. Changes nothing.
--
-- flags: no-writes
-- keys: slots...
--
-- returns: the position (from 0) of the first free slot among the keys, or -1

if #KEYS > LIMIT.SLOTS_AHEAD_MAX + 1 then error({err = 'LIMIT more slots than codes may be ahead'}) end
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return i - 1 end
end
return -1
