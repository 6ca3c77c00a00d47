-- Counts a call that no other function counts: a look-up of a till, a member's or the back office's own call.
--
-- flags: no-writes allow-oom
-- args: till subject rate
--
--   till               as in redeem: the call is one of its terminal and outlet; empty where `subject` calls
--   subject, rate      who calls, and how often it may in a window
--
-- returns: {0, or the RATE_SUBJECT whose rate is exceeded (of a subject, TERMINAL); seconds until the next window}

local seconds = now()
if till ~= '' then
  local exceeded, _, reset = over_rate(till_named(till), seconds)
  return {exceeded or 0, reset}
end
local window, reset = rate_window(seconds)
return {count_call(subject, window) > tonumber(rate) and RATE_SUBJECT.TERMINAL or 0, reset}
