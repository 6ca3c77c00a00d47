-- Counts a call that no other function counts: a look-up of a till, a member's or the back office's own call.
--
-- flags: allow-oom
-- keys: first second
-- args: first_rate second_rate
--
--   first, second      whose call it is, and of whom it is one (a terminal and its outlet); the same name twice where
--                      there is only one
--
-- returns: {0, or 1 or 2: whose rate is exceeded; seconds until the next window}

local seconds = now()
local window = floor(seconds / LIMIT.RATE_WINDOW_SECONDS)
local reset = (window + 1) * LIMIT.RATE_WINDOW_SECONDS - seconds
redis.set_repl(redis.REPL_NONE)
local of_first = count_call(first, ':' .. text(window))
local of_second = second ~= first and count_call(second, ':' .. text(window)) or 0
redis.set_repl(redis.REPL_ALL)
return {of_first > tonumber(first_rate) and 1 or of_second > tonumber(second_rate) and 2 or 0, reset}
