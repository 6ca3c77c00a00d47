-- A purchase earns points: into a lot of the business that sells, as much as the member's tier and way deserve; once for
-- a bill, within the ceilings, and for a member named by id only where this outlet scanned that member a short while ago.
--
-- keys: idempotency member lots code accrual ledger recent guess_terminal guess_outlet bill cancelled earned_member earned_terminal
-- args: accrual_id till till_key fingerprint member_id marker code_time code_refusal confirmed amount ceilings utc_offset
-- args: validity_months crossing_days growth by_tier context
--
--   till, recent       as in redeem
--   marker             of the code, or empty where the member was named by id
--   code_refusal       what the gateway found wrong with the code (its time, its device) as an outcome's number, or 0
--   bill               what this outlet's bill of that reference earned: "<amount>=<accrual id>;…"
--   cancelled          the terminal's cancelled keys; asked where no code is there to become too old
--   earned_…           prefixes of the counters of points by day, which ends at midnight in the group's time zone
--   confirmed, amount  1: the till says that this is no duplicate; of the bill, minor units
--   ceilings           "<amount of a bill>,<points of a bill>,<of a member and day>,<of a terminal and day>"
--   by_tier            "gold,<points>,<points with the crossing bonus>;…": what this bill earns, computed by the gateway
--   crossing_days      the bonus counts when the last purchase was at another business within so many days; 0: never
--
-- returns: {accrual_id, outcome, replayed, asked, available [, record or which ceiling]}; record is field, value, …
--
-- Keeps I1, I12. What a reversed accrual left owing is taken from the points earned here.

if frozen(ledger) then return {accrual_id, OUTCOME.UNAVAILABLE, known(idempotency), -1, -1} end
local seconds, millis = now()
local here = till_named(till)
local by_id = marker == ''
local exceeded, _, reset = over_rate(here, seconds, not by_id and member_id or nil)
if exceeded then return {accrual_id, OUTCOME.RATE_LIMITED, 0, exceeded, reset} end
local seen = recorded(idempotency)
if seen then
  if tombstoned(seen) then return {accrual_id, OUTCOME.CANCELLED, 1, -1, -1} end
  if seen[1] ~= fingerprint then return {accrual_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1} end
  if seen[2] ~= '0' then
    return {accrual_id, integer(seen[2]), 1, integer(seen[3] or -1), integer(seen[4] or -1), integer(seen[5] or 0)}
  end
  return {accrual_id, 0, 1, -1, -1, call('HGETALL', sub(accrual, 1, #accrual - #accrual_id) .. seen[3])}
end
if by_id then
  if cancelled_before(cancelled, till_key) then return {accrual_id, OUTCOME.CANCELLED, 1, -1, -1} end
  local wait = guessed_too_often(here, guess_terminal, guess_outlet, false)
  if wait then return {accrual_id, OUTCOME.RATE_LIMITED, 0, RATE_SUBJECT.GUESSES, wait} end
end
local state = call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'owed', 'last_business',
  'last_purchase', 'growth')
-- Without a code that expires the key itself must stay refused (I12).
local remembered_for = by_id and SECONDS.REDEMPTION_RETENTION_SECONDS or SECONDS.REFUSAL_MARK_SECONDS
local scans = call('GET', recent)
if by_id and not (state[1] and scans) then
  -- Nobody, or somebody whom this outlet did not scan: one answer, reached by one way.
  guessed_too_often(here, guess_terminal, guess_outlet, true)
  remember(idempotency, remembered_for, fingerprint, text(OUTCOME.NOT_FOUND))
  return {accrual_id, OUTCOME.NOT_FOUND, 0, -1, -1}
end
if not state[1] then return {accrual_id, OUTCOME.MEMBER_MISSING, 0, -1, -1} end
if by_id then
  -- Only now, or whoever names members by guesses would use up their rates.
  local window, left = rate_window(seconds)
  if count_call(member_id, window) > here.rate_member then
    return {accrual_id, OUTCOME.RATE_LIMITED, 0, RATE_SUBJECT.MEMBER, left}
  end
end

local crossing = tonumber(crossing_days) > 0 and state[6] and state[6] ~= here.business
  and seconds - integer(state[7]) <= tonumber(crossing_days) * 86400
local points = nil
for _, words in ipairs(split(by_tier, ';', LIMIT.TIERS_MAX)) do
  local word = split(words, ',', 3)
  if word[1] == state[1] then points = integer(crossing and word[3] or word[2]) end
end
-- The caller does not know the member's tier yet (a load was a moment ago): nothing is better than earning nothing.
if not points then return {accrual_id, OUTCOME.UNAVAILABLE, 0, -1, -1} end

local outcome, asked, available, which, uses_of_code = 0, -1, -1, 0, nil
local function consider(other, other_asked, other_available, other_which)
  if outcome == 0 or other < outcome then
    outcome, asked, available, which = other, other_asked or -1, other_available or -1, other_which or 0
  end
end
if not by_id then
  if code_refusal ~= '0' then consider(integer(code_refusal)) end
  uses_of_code = call('GET', code)
  if code_used(uses_of_code, marker) then consider(OUTCOME.CODE_USED) end
  if state[4] and tonumber(code_time) < integer(state[4]) then consider(OUTCOME.CODE_REVOKED) end
end
if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end

local earned_before = call('GET', bill) or ''
local entries = split(earned_before, ';', LIMIT.BILL_EARNINGS_MAX)
if #entries > 0 and (confirmed == '0' or #entries >= LIMIT.BILL_EARNINGS_MAX
    or find(';' .. earned_before, ';' .. amount .. '=', 1, true)) then
  consider(OUTCOME.POSSIBLE_DUPLICATE)
end

local day = text(date_of(seconds, tonumber(utc_offset))[2])
local of_member, of_terminal = earned_member .. day, earned_terminal .. day
local most = split(ceilings, ',', 4)
local function within(asked_here, ceiling, before, which_ceiling)
  local room = integer(ceiling) - before
  if asked_here > room then consider(OUTCOME.EARNING_LIMIT_REACHED, asked_here, math.max(0, room), which_ceiling) end
end
-- Growth counts for a bill too: where a level earns nothing it is still given.
within(integer(amount), most[1], 0, EARN_CEILING.BILL_MINOR)
within(math.max(points, integer(growth)), most[2], 0, EARN_CEILING.BILL_POINTS)
local member_before, terminal_before = integer(call('GET', of_member) or 0), integer(call('GET', of_terminal) or 0)
if points > 0 then
  within(points, most[3], member_before, EARN_CEILING.MEMBER_DAY_POINTS)
  within(points, most[4], terminal_before, EARN_CEILING.TERMINAL_DAY_POINTS)
end
if outcome ~= 0 then
  remember(idempotency, remembered_for, fingerprint, text(outcome), text(asked), text(available), text(which))
  return {accrual_id, outcome, 0, asked, available, which}
end

local year, month = civil(seconds, tonumber(utc_offset))
local ends = year * 12 + month - 1 + tonumber(validity_months)
local lot = text(floor(ends / 12) * 100 + ends % 12 + 1) .. '.' .. here.business
local owed = integer(state[5] or 0)
integer(state[8] or 0) -- it grows below
local settled = math.min(owed, points)
local present = call('HGET', lots, 'points/' .. lot)
local assets, over = holdings(lots, month_of(seconds, tonumber(utc_offset)))
if integer(present or 0) + points > LIMIT.POINTS_MAX
    or (not present and call('HLEN', lots) - #over >= LIMIT.LOTS_MAX) then
  return {accrual_id, OUTCOME.LIMIT_REACHED, 0, -1, -1}
end

local moves = {}
if points > 0 then moves[1] = move('points', lot, 'I', 'A', points) end
if settled > 0 then moves[2] = move('points', lot, 'A', 'I', settled) end
append(ledger, 'accrue', accrual_id, member_id, millis, moves, context)
expire_lots(ledger, lots, member_id, over, millis)
if points - settled > 0 then add_to_lot(lots, 'points', lot, points - settled) end
local growth_after = call('HINCRBY', member, 'growth', growth)
call('HSET', member, 'last_business', here.business, 'last_purchase', text(seconds), 'owed', text(owed - settled))
if points > 0 then
  call('INCRBY', of_member, text(points))
  call('EXPIRE', of_member, SECONDS.EARNED_SECONDS)
  call('INCRBY', of_terminal, text(points))
  call('EXPIRE', of_terminal, SECONDS.EARNED_SECONDS)
end
call('SET', bill, (earned_before == '' and '' or earned_before .. ';') .. amount .. '=' .. accrual_id, 'EX',
  SECONDS.BILL_SECONDS)
if not by_id then
  use_code(code, uses_of_code, marker)
  leave_scan(recent, scans, seconds, '-', accrual_id)
end
local record = {
  'id', accrual_id, 'status', 'accrued', 'at', text(millis), 'member', member_id, 'tier', state[1],
  'name', state[2] or '', 'business', here.business, 'points', text(points), 'settled', text(settled), 'lot', lot,
  'growth', growth, 'growth_after', text(growth_after), 'crossing', crossing and '1' or '0',
  'balance', text(sum_of(assets, 'points') + points - settled), 'context', context,
  'counted', of_member .. ' ' .. of_terminal .. ' ' .. bill,
}
call('HSET', accrual, unpack(record))
call('EXPIRE', accrual, SECONDS.REDEMPTION_RETENTION_SECONDS)
remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', accrual_id)
return {accrual_id, 0, 0, -1, -1, record}
