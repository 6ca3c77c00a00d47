-- Reads the member of a code for a till that is about to use it: state, what is held, uses so far, whether the code was
-- used. Counts the call, and leaves the mark that this outlet scanned the member. Changes nothing of value.
--
-- flags: allow-oom
-- keys: member lots code uses stay recent
-- args: member_id till utc_offset outlet_offset marker code_time good
--
--   code, marker, recent   as in redeem
--   uses, stay        prefix of the counters of uses per month and day; the counter of the stay
--   good              1: the code is neither expired nor of a revoked device; only then the mark is left
--
-- returns: {outcome, whose rate or -1, seconds until the next window or -1 [, member_reply's table (lifecycle.lua)]}

local seconds = now()
local here = till_named(till)
local exceeded, _, reset = over_rate(here, seconds, member_id)
if exceeded then return {OUTCOME.RATE_LIMITED, exceeded, reset} end
local found = member_reply(seconds, member, lots, code, uses, stay, utc_offset, outlet_offset, marker)
local state, used = found[2], found[4]
if state[1] and good == '1' and used == 0 and state[3] ~= 'blocked'
    and tonumber(code_time) >= integer(state[4] ~= '' and state[4] or 0) then
  leave_scan(recent, call('GET', recent), seconds, '-', '-')
end
return {0, -1, -1, found}
