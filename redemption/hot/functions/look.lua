-- Reads one member: state, what is held, uses so far. Changes nothing and counts nothing.
--
-- flags: no-writes
-- keys: member lots uses
-- args: utc_offset outlet_offset
--
--   uses              prefix of the counters of uses per month and day
--
-- returns: read_member's reply (lifecycle.lua), or {seconds, {}} when there is no such member

local seconds = now()
return read_member(seconds, member, lots, '', uses, '', utc_offset, outlet_offset, '')
