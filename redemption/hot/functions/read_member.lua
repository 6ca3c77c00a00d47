-- Reads one member: state, what is held, uses so far. Changes nothing and counts nothing.
--
-- flags: no-writes
-- keys: member lots uses
-- args: utc_offset outlet_offset
--
--   uses              prefix of the counters of uses per month and day
--
-- returns: member_reply's table (lifecycle.lua), or {seconds, {}} when there is no such member

local seconds = now()
return member_reply(seconds, member, lots, '', uses, '', utc_offset, outlet_offset, '')
