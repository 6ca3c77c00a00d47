-- Finds slots for a member's next codes that nothing has used and no revocation covers, so that a fresh code can be made
-- right after a use. Counts the call; changes nothing else.
--
-- flags: no-writes allow-oom
-- keys: member
-- args: subject rate code_prefix first count spacing
--
--   subject, rate      as in count
--   code_prefix        the keys of the member's code slots, without the slot
--   first              the slot of this moment; none further ahead than LIMIT.SLOTS_AHEAD_MAX is given
--   count, spacing     how many slots, and how far each is to be from the one before
--
-- A member whose slots are all used gets slots whose digits are not: a JWT code of them is as good as any, the digits
-- beside it may be refused as used.
--
-- returns: {outcome, seconds until the next window or -1 [, slot, …]}; fewer than `count`, or none, when even those are
--          used up. A blocked member gets none (MEMBER_BLOCKED).

local seconds = now()
local window, reset = rate_window(seconds)
if count_call(subject, window) > tonumber(rate) then return {OUTCOME.RATE_LIMITED, reset} end
local state = call('HMGET', member, 'codes_valid_from', 'status')
if state[2] == 'blocked' then return {OUTCOME.MEMBER_BLOCKED, -1} end

local from, last = tonumber(first), tonumber(first) + LIMIT.SLOTS_AHEAD_MAX
local valid_from = state[1]
if valid_from then
  from = math.max(from, math.ceil(integer(valid_from) / LIMIT.SLOT_SECONDS))
end

local function next_slot(start, usable)
  for slot = start, last do
    if usable(code_prefix .. text(slot)) then return slot end
  end
  return nil
end
local function unused(key) return call('EXISTS', key) == 0 end
local function good_for_jwt(key) return not find(call('GET', key) or '', DIGITS_USED, 1, true) end

local reply, start = {0, -1}, from
for i = 1, math.min(tonumber(count), LIMIT.CODES_PER_REQUEST_MAX) do
  local slot = next_slot(start, unused) or next_slot(math.min(start, last), good_for_jwt)
  if not slot then break end
  reply[#reply + 1] = slot
  start = slot + tonumber(spacing)
end
return reply
