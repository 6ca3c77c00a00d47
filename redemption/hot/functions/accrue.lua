-- A purchase earns points: into a lot of the business that sells, as much as the member's tier and way deserve.
--
-- keys: idempotency member lots code accrual ledger
-- args: accrual_id fingerprint member_id business marker code_time code_refusal utc_offset validity_months
-- args: crossing_days growth by_tier context
--
--   marker             of the code, or empty where the member was named by id
--   code_refusal       what the gateway found wrong with the code (its time, its device) as an outcome's number, or 0
--   by_tier            "gold,<points>,<points with the crossing bonus>;…": what this bill earns, computed by the gateway
--   crossing_days      the bonus counts when the last purchase was at another business within so many days; 0: never
--
-- returns: {accrual_id, outcome, replayed, asked, available [, record]}; record is field, value, …
--
-- Keeps I1. What a reversed accrual left owing is taken from the points earned here.

if frozen(ledger) then return {accrual_id, OUTCOME.UNAVAILABLE, known(idempotency), -1, -1} end
local seen = recorded(idempotency)
if seen then
  if tombstoned(seen) then return {accrual_id, OUTCOME.CANCELLED, 1, -1, -1} end
  if seen[1] ~= fingerprint then return {accrual_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1} end
  if seen[2] ~= '0' then return {accrual_id, integer(seen[2]), 1, -1, -1} end
  return {accrual_id, 0, 1, -1, -1, call('HGETALL', sub(accrual, 1, #accrual - #accrual_id) .. seen[3])}
end
local state = call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'owed', 'last_business',
  'last_purchase', 'growth')
if not state[1] then return {accrual_id, marker == '' and OUTCOME.NOT_FOUND or OUTCOME.MEMBER_MISSING, 0, -1, -1} end

local outcome, uses_of_code = 0, nil
local function consider(other)
  if outcome == 0 or other < outcome then outcome = other end
end
if marker ~= '' then
  if code_refusal ~= '0' then consider(integer(code_refusal)) end
  uses_of_code = call('GET', code)
  if code_used(uses_of_code, marker) then consider(OUTCOME.CODE_USED) end
  if state[4] and tonumber(code_time) < integer(state[4]) then consider(OUTCOME.CODE_REVOKED) end
end
if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end
if outcome ~= 0 then
  -- Without a code that expires the key itself must stay refused (I12).
  remember(idempotency, marker == '' and SECONDS.REDEMPTION_RETENTION_SECONDS or SECONDS.REFUSAL_MARK_SECONDS, fingerprint,
    text(outcome))
  return {accrual_id, outcome, 0, -1, -1}
end

local seconds, millis = now()
local crossing = tonumber(crossing_days) > 0 and state[6] and state[6] ~= business
  and seconds - integer(state[7]) <= tonumber(crossing_days) * 86400
local points = 0
for _, words in ipairs(split(by_tier, ';', LIMIT.TIERS_MAX)) do
  local word = split(words, ',', 3)
  if word[1] == state[1] then points = integer(crossing and word[3] or word[2]) end
end
local year, month = civil(seconds, tonumber(utc_offset))
local ends = year * 12 + month - 1 + tonumber(validity_months)
local lot = text(floor(ends / 12) * 100 + ends % 12 + 1) .. '.' .. business
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
call('HSET', member, 'last_business', business, 'last_purchase', text(seconds), 'owed', text(owed - settled))
if marker ~= '' then use_code(code, uses_of_code, marker) end
local record = {
  'id', accrual_id, 'status', 'accrued', 'at', text(millis), 'member', member_id, 'tier', state[1],
  'name', state[2] or '', 'business', business, 'points', text(points), 'settled', text(settled), 'lot', lot,
  'growth', growth, 'growth_after', text(growth_after), 'crossing', crossing and '1' or '0',
  'balance', text(sum_of(assets, 'points') + points - settled), 'context', context,
}
call('HSET', accrual, unpack(record))
call('EXPIRE', accrual, SECONDS.REDEMPTION_RETENTION_SECONDS)
remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', accrual_id)
return {accrual_id, 0, 0, -1, -1, record}
