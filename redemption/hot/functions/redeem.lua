-- One scan, one atomic basket: rates, idempotency, code, member, funds, deduction or hold, record and ledger entry, or
-- nothing.
--
-- keys: idempotency member lots code redemption ledger holds recent rate_terminal rate_outlet rate_member
-- keys: guess_terminal guess_outlet uses stay
-- args: redemption_id fingerprint verdict verdict_leg verdict_asked verdict_available verdict_detail member_id business currency marker
-- args: code_time utc_offset outlet_offset hold_seconds confirmed limit_terminal limit_outlet limit_member context legs
--
--   verdict …          what the gateway already found (0: nothing), its detail one word or "-", kept for a repeat. It
--                      takes its place in the order of precedence with
--                      what is found here, so that a caller hears the same reason wherever it was seen.
--   currency           of the business: whose stored value the balance tells
--   marker             the field of the code hash: the nonce of a JWT code, or "digits"
--   code_time          when the code was made, seconds
--   utc_offset         of the group's time zone, seconds: months of lots end there; outlet_offset: caps per day
--   hold_seconds       0: capture at once
--   confirmed          1: the till says that this is no duplicate
--   recent             where the same basket of the same member at the same outlet leaves a mark for a minute
--   uses, stay         prefix of the counters of uses per month and day; the counter of the stay
--   context            JSON for the ledger and the record; opaque here
--   legs               "points,2000;benefit,dining-80,1,<per day>,<per month>,<per stay>,<tiers>;stored_value,5000,CNY"
--                      in the order of the request; caps 0 are none, tiers are "gold|diamond" or "*"
--
-- returns: {redemption_id, outcome, replayed, leg, asked, available, rate left, rate reset [, record]};
--          record is field, value, …
--
-- Keeps I2 (nothing negative, uses within limits), I4 (refused: no value changed), I5, I6, I11, I12.

local seconds, millis = now()
local exceeded, rate_left, rate_reset = over_rate({rate_terminal, rate_outlet, rate_member},
  {tonumber(limit_terminal), tonumber(limit_outlet), tonumber(limit_member)}, seconds)
local function answer(outcome, replayed, leg, asked, available, record)
  return {redemption_id, outcome, replayed, leg, asked, available, rate_left, rate_reset, record}
end
if frozen(ledger) then return answer(OUTCOME.UNAVAILABLE, 0, -1, -1, -1) end
if exceeded then return answer(OUTCOME.RATE_LIMITED, 0, -1, exceeded, -1) end
if marker == 'digits' and (tonumber(redis.call('GET', guess_terminal) or 0) >= LIMIT.GUESSES_PER_TERMINAL
    or tonumber(redis.call('GET', guess_outlet) or 0) >= LIMIT.GUESSES_PER_OUTLET) then
  return answer(OUTCOME.RATE_LIMITED, 0, -1, 4, math.max(redis.call('TTL', guess_terminal), redis.call('TTL', guess_outlet)))
end

local seen = recorded(idempotency)
if seen then
  local outcome = integer(seen[2])
  if tombstoned(seen) then return answer(OUTCOME.CANCELLED, 1, -1, -1, -1) end
  if seen[1] ~= fingerprint then return answer(OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1, -1) end
  if outcome ~= 0 then
    return answer(outcome, 1, integer(seen[3]), integer(seen[4]), integer(seen[5]), seen[6] or '-')
  end
  -- The same fingerprint means the same code, so the same member and bucket: only the id in the key's name differs.
  local original = redis.call('HGETALL', string.sub(redemption, 1, #redemption - #redemption_id) .. seen[3])
  for i = 1, #original, 2 do
    if original[i] == 'cancelled' then
      return answer(OUTCOME.CANCELLED, 1, -1, -1, -1)
    end
  end
  return answer(0, 1, -1, -1, -1, original)
end

local state = redis.call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'held')
if not state[1] then return answer(OUTCOME.MEMBER_MISSING, 0, -1, -1, -1) end
local tier = state[1]

local outcome, leg, asked, available =
  tonumber(verdict), tonumber(verdict_leg), tonumber(verdict_asked), tonumber(verdict_available)
local function consider(other, other_leg, other_asked, other_available)
  if outcome == 0 or other < outcome then
    outcome, leg, asked, available = other, other_leg or -1, other_asked or -1, other_available or -1
  end
end

-- A JWT code is used up by its own nonce or by the digits shown with it; the digits by any use in their slot.
if marker == 'digits' then
  if redis.call('EXISTS', code) == 1 then consider(OUTCOME.CODE_USED) end
else
  local used = redis.call('HMGET', code, marker, 'digits')
  if used[1] or used[2] then consider(OUTCOME.CODE_USED) end
end
if state[4] and tonumber(code_time) < integer(state[4]) then consider(OUTCOME.CODE_REVOKED) end
if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end
local twin = legs ~= '' and confirmed == '0' and redis.call('GET', recent)
if twin then
  -- One that was undone meanwhile is no reason to ask.
  local status = redis.call('HGET', string.sub(redemption, 1, #redemption - #redemption_id) .. twin, 'status')
  if status == 'captured' or status == 'held' or status == 'partially_refunded' then
    consider(OUTCOME.POSSIBLE_DUPLICATE)
  end
end

local year, month, day = civil(seconds, tonumber(outlet_offset))
local month_uses, day_suffix = uses .. text(year * 100 + month), ':' .. text(year * 10000 + month * 100 + day)
local assets, over = holdings(lots, month_of(seconds, tonumber(utc_offset)))
local parts, used_here = {}, {}

-- How many more uses a cap allows, given the counter and what this basket has taken before.
local function within(counter, field, cap, benefit_id)
  cap = tonumber(cap)
  if cap == 0 then return LIMIT.SAFE_INTEGER_MAX end
  return cap - integer(redis.call('HGET', counter, field) or 0) - (used_here[benefit_id] or 0)
end

for index, words in ipairs(split(legs, ';', LIMIT.LEGS_MAX)) do
  local word = split(words, ',', 8)
  local kind, position = word[1], index - 1
  if kind == 'points' then
    local wanted = integer(word[2])
    if wanted > sum_of(assets, 'points') then
      consider(OUTCOME.POINTS_INSUFFICIENT, position, wanted, sum_of(assets, 'points'))
    else
      take(assets, 'points', wanted, position, parts)
    end
  elseif kind == 'benefit' then
    local id, wanted, asset = word[2], integer(word[3]), 'benefit:' .. word[2]
    local left = math.min(sum_of(assets, asset), within(month_uses, id .. day_suffix, word[4], id),
      within(month_uses, id, word[5], id), stay == '' and LIMIT.SAFE_INTEGER_MAX or within(stay, id, word[6], id))
    -- Both may hold: the contract names what is exhausted before the level.
    if wanted > left then
      consider(OUTCOME.BENEFIT_EXHAUSTED, position, wanted, math.max(0, left))
    elseif word[7] ~= '*' and not string.find('|' .. word[7] .. '|', '|' .. tier .. '|', 1, true) then
      consider(OUTCOME.TIER_TOO_LOW, position)
    else
      take(assets, asset, wanted, position, parts)
      used_here[id] = (used_here[id] or 0) + wanted
    end
  else
    local wanted, currency = integer(word[2]), word[3]
    if wanted > sum_of(assets, currency) then
      consider(OUTCOME.STORED_VALUE_INSUFFICIENT, position, wanted, sum_of(assets, currency))
    else
      take(assets, currency, wanted, position, parts)
    end
  end
end

if outcome == 0 and (#parts > LIMIT.PARTS_MAX or redis.call('EXISTS', redemption) == 1) then
  return answer(OUTCOME.LIMIT_REACHED, 0, -1, -1, -1) -- a fault, not a refusal: nothing is remembered
end
if outcome ~= 0 then
  -- Remembered under its key: the answer to every repeat (ADR 0004).
  local detail = outcome == tonumber(verdict) and verdict_detail or '-'
  remember(idempotency, LIMIT.REFUSAL_MARK_SECONDS, fingerprint, text(outcome), text(leg), text(asked), text(available),
    detail)
  return answer(outcome, 0, leg, asked, available, detail)
end

local held = tonumber(hold_seconds) > 0
local moves, taken, points_taken = {}, {}, 0
for i, part in ipairs(parts) do
  moves[i] = move(part.asset, part.lot, 'A', held and 'H' or 'R', part.taken)
  taken[i] = table.concat({part.leg, part.asset, part.lot, text(part.taken)}, ',')
  if part.asset == 'points' then points_taken = points_taken + part.taken end
end

-- From here on everything is written. The ledger entry first: see prelude.lua.
append(ledger, held and 'hold' or 'redeem', redemption_id, member_id, millis, moves, context)
expire_lots(ledger, lots, member_id, over, millis)
local kept, spent = {}, {}
for _, part in ipairs(parts) do
  local name = part.asset .. '/' .. part.lot
  if part.rest[2] == 0 then
    spent[#spent + 1] = name
  else
    kept[#kept + 1], kept[#kept + 2] = name, text(part.rest[2])
  end
end
write_lots(lots, kept)
if #spent > 0 then redis.call('HDEL', lots, unpack(spent)) end
for id, count in pairs(used_here) do
  redis.call('HINCRBY', month_uses, id, text(count))
  redis.call('HINCRBY', month_uses, id .. day_suffix, text(count))
  redis.call('EXPIRE', month_uses, LIMIT.USES_SECONDS)
  if stay ~= '' then
    redis.call('HINCRBY', stay, id, text(count))
    redis.call('EXPIRE', stay, LIMIT.USES_SECONDS)
  end
end
local points_held = integer(state[5] or 0)
local record = {
  'id', redemption_id, 'status', held and 'held' or 'captured', 'at', text(millis), 'member', member_id,
  'tier', tier, 'name', state[2] or '', 'business', business, 'taken', table.concat(taken, ';'),
  'context', context,
}
if next(used_here) then
  record[#record + 1] = 'uses'
  record[#record + 1] = month_uses .. ' ' .. day_suffix .. ' ' .. stay
end
if held then
  local until_millis = millis + tonumber(hold_seconds) * 1000
  record[#record + 1] = 'hold_until'
  record[#record + 1] = text(until_millis)
  redis.call('ZADD', holds, text(until_millis), redemption_id)
  if points_taken > 0 then points_held = redis.call('HINCRBY', member, 'held', text(points_taken)) end
end
record[#record + 1] = 'balance'
record[#record + 1] = text(sum_of(assets, 'points')) .. ',' .. text(points_held) .. ','
  .. text(sum_of(assets, currency))
redis.call('HSET', redemption, unpack(record))
-- A hold's record outlives its deadline by as much: without it nobody could give back what it holds.
redis.call('EXPIRE', redemption, LIMIT.REDEMPTION_RETENTION_SECONDS + tonumber(hold_seconds))
redis.call('HSET', code, marker, redemption_id)
redis.call('EXPIRE', code, LIMIT.CODE_MARKER_SECONDS)
if legs ~= '' then redis.call('SET', recent, redemption_id, 'EX', LIMIT.DUPLICATE_SECONDS) end
remember(idempotency, LIMIT.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', redemption_id)
return answer(0, 0, -1, -1, -1, record)
