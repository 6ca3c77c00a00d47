-- Counts a call that no other function counts: a look-up of a till, a member's or the back office's own call.
--
-- flags: allow-oom
-- keys: first second
-- args: first_rate second_rate
--
--   first, second      whose call it is, and of whom it is one (a terminal and its outlet); the same name twice where
--                      there is only one
--
-- returns: {0, or RATE_SUBJECT.TERMINAL or .OUTLET: the first or the second exceeds its rate; seconds until the next window}

local seconds = now()
local window = floor(seconds / LIMIT.RATE_WINDOW_SECONDS)
local reset = (window + 1) * LIMIT.RATE_WINDOW_SECONDS - seconds
redis.set_repl(redis.REPL_NONE)
local of_first = count_call(first, ':' .. text(window))
local of_second = second ~= first and count_call(second, ':' .. text(window)) or 0
redis.set_repl(redis.REPL_ALL)
local exceeded = of_first > tonumber(first_rate) and RATE_SUBJECT.TERMINAL
  or of_second > tonumber(second_rate) and RATE_SUBJECT.OUTLET or 0
return {exceeded, reset}
