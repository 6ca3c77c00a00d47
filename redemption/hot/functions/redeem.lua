-- One scan, one atomic basket: rates, idempotency, code, member, funds, deduction or hold, record and ledger entry, or
-- nothing.
--
-- keys: idempotency member lots code redemption ledger holds recent guess_terminal guess_outlet
-- args: redemption_id fingerprint verdict member_id till marker code_time hold_seconds confirmed digest uses stay place basket
-- args: restore legs
--
--   verdict            what the gateway already found: "0", or "<outcome>,<leg>,<asked>,<available>,<detail>", the detail
--                      one word or "-", kept for a repeat. It takes its place in the order of precedence with what is
--                      found here, so that a caller hears the same reason wherever it was seen.
--   till               what is the same for all calls of a till (till_named in prelude.lua). The currency says whose
--                      stored value the balance tells; utc_offset is of the group's time zone, seconds: months of lots
--                      end there; outlet_offset: caps per day.
--   marker             what the code leaves when it is used: the nonce of a JWT code, or "digits"
--   code_time          when the code was made, seconds
--   hold_seconds       0: capture at once
--   confirmed          1: the till says that this is no duplicate
--   recent             where this outlet's scans of this member leave their marks (leave_scan in prelude.lua)
--   digest             of the basket; empty where there are no legs, of which there is no duplicate
--   uses, stay         prefix of the counters of uses per month and day; the counter of the stay, or empty
--   place, basket, restore   for ledger and record, JSON without the brackets of an array, opaque here
--                      (redemption/domain/contexts.py)
--   legs               "points,2000;benefit,dining-80,1,<per day>,<per month>,<per stay>,<tiers>;stored_value,5000,CNY"
--                      in the order of the request; caps 0 are none, tiers are "gold|diamond" or "*"
--
-- returns: {redemption_id, outcome, replayed, leg, asked, available, rate left, rate reset [, record or detail [, id]]};
--          id is that of the record where it is a repeat; the detail of a possible duplicate is the earlier one's id
--
-- Keeps I2 (nothing negative, uses within limits), I4 (refused: no value changed), I5, I6, I11, I12.

local seconds, millis = now()
local here = till_named(till)
local exceeded, rate_left, rate_reset = over_rate(here, seconds, member_id)
local function answer(outcome, replayed, leg, asked, available, record, id)
  return {redemption_id, outcome, replayed, leg, asked, available, rate_left, rate_reset, record, id}
end

-- All that is one text, read at once.
local prefix = sub(redemption, 1, -#redemption_id - 1)
local texts = call('MGET', sub(ledger, 1, -7) .. 'frozen', idempotency, code, recent, redemption)
-- A frozen bucket says of a key that is known that it was used: whether anything was applied is not known meanwhile.
if texts[1] then return answer(OUTCOME.UNAVAILABLE, texts[2] and 1 or 0, -1, -1, -1) end
if exceeded then return answer(OUTCOME.RATE_LIMITED, 0, -1, exceeded, -1) end

if texts[2] then
  local seen = split(texts[2], ' ', 16)
  local outcome = integer(seen[2])
  if tombstoned(seen) then return answer(OUTCOME.CANCELLED, 1, -1, -1, -1) end
  if seen[1] ~= fingerprint then return answer(OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1, -1) end
  if outcome ~= 0 then
    return answer(outcome, 1, integer(seen[3]), integer(seen[4]), integer(seen[5]), seen[6] or '-')
  end
  -- The same fingerprint means the same code, so the same member and bucket: only the id in the key's name differs.
  local original = read_redemption(prefix .. seen[3])
  if original.cancelled then return answer(OUTCOME.CANCELLED, 1, -1, -1, -1) end
  return answer(0, 1, -1, -1, -1, original.text, seen[3])
end
-- After the key: a repeat is no guess, and is answered alike whether its digits are genuine or not (reject.lua).
if marker == DIGITS_MARKER then
  local wait = guessed_too_often(here, guess_terminal, guess_outlet, false)
  if wait then return answer(OUTCOME.RATE_LIMITED, 0, -1, RATE_SUBJECT.GUESSES, wait) end
end

local state = call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'held')
local tier = state[1]
if not tier then return answer(OUTCOME.MEMBER_MISSING, 0, -1, -1, -1) end

local outcome, leg, asked, available, detail = 0, -1, -1, -1, '-'
if verdict ~= '0' then
  local word = split(verdict, ',', 5)
  outcome, leg, asked, available, detail = integer(word[1]), integer(word[2]), integer(word[3]), integer(word[4]), word[5]
end
local function consider(other, other_leg, other_asked, other_available)
  if outcome == 0 or other < outcome then
    outcome, leg, asked, available, detail = other, other_leg or -1, other_asked or -1, other_available or -1, '-'
  end
end

if code_used(texts[3], marker) then consider(OUTCOME.CODE_USED) end
if state[4] and tonumber(code_time) < integer(state[4]) then consider(OUTCOME.CODE_REVOKED) end
if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end
local earlier = digest ~= '' and confirmed == '0' and same_basket(texts[4], digest, seconds)
if earlier then
  -- One that was undone meanwhile is no reason to ask.
  local twin = read_redemption(prefix .. earlier)
  if twin and (twin.status == 'captured' or twin.status == 'held' or twin.status == 'partially_refunded') then
    consider(OUTCOME.POSSIBLE_DUPLICATE)
    if outcome == OUTCOME.POSSIBLE_DUPLICATE then detail = earlier end
  end
end

local assets, over = holdings(lots, month_of(seconds, here.utc_offset))
local parts, used_here = {}, {}
local month_uses, day_suffix

-- How many more uses a cap allows, given the counter and what this basket has taken before. The counter is read without
-- a cap too: it will be written.
local function within(counter, field, cap, benefit_id)
  local count = integer(call('HGET', counter, field) or 0)
  cap = tonumber(cap)
  return cap == 0 and LIMIT.SAFE_INTEGER_MAX or cap - count - (used_here[benefit_id] or 0)
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
    if not month_uses then
      local date = date_of(seconds, here.outlet_offset)
      month_uses, day_suffix = uses .. text(date[1]), ':' .. text(date[2])
    end
    local id, wanted, asset = word[2], integer(word[3]), 'benefit:' .. word[2]
    local left = math.min(sum_of(assets, asset), within(month_uses, id .. day_suffix, word[4], id),
      within(month_uses, id, word[5], id), stay == '' and LIMIT.SAFE_INTEGER_MAX or within(stay, id, word[6], id))
    -- Both may hold: the contract names what is exhausted before the level.
    if wanted > left then
      consider(OUTCOME.BENEFIT_EXHAUSTED, position, wanted, math.max(0, left))
    elseif word[7] ~= '*' and not find('|' .. word[7] .. '|', '|' .. tier .. '|', 1, true) then
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

if outcome == 0 and (#parts > LIMIT.PARTS_MAX or texts[5]) then
  return answer(OUTCOME.LIMIT_REACHED, 0, -1, -1, -1) -- a fault, not a refusal: nothing is remembered
end
if outcome ~= 0 then
  -- Remembered under its key: the answer to every repeat (ADR 0004).
  remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, text(outcome), text(leg), text(asked), text(available),
    detail)
  return answer(outcome, 0, leg, asked, available, detail)
end

local held, points_held, name = tonumber(hold_seconds) > 0, integer(state[5] or 0), one_line(state[2] or '')
if held then call('ZCARD', holds) end -- no sorted set: stops here
local moves, taken, points_taken = {}, {}, 0
local kept, spent = {lots}, {lots}
local goes = held and ',A,H,' or ',A,R,'
for i, part in ipairs(parts) do
  local asset, lot, amount, rest = part.asset, part.lot, text(part.taken), part.rest
  moves[i] = asset .. ',' .. lot .. goes .. amount
  taken[i] = part.leg .. ',' .. asset .. ',' .. lot .. ',' .. amount
  if asset == 'points' then points_taken = points_taken + part.taken end
  if rest[2] == 0 then
    spent[#spent + 1] = rest[3]
  else
    kept[#kept + 1], kept[#kept + 2] = rest[3], text(rest[2])
  end
end

-- From here on everything is written. The ledger entry first: see prelude.lua.
append(ledger, held and 'hold' or 'redeem', redemption_id, member_id, millis, moves,
  '[' .. place .. ',' .. basket .. ',' .. restore .. ']')
expire_lots(ledger, lots, member_id, over, millis)
if #kept > 1 then call('HSET', unpack(kept)) end
if #spent > 1 then call('HDEL', unpack(spent)) end
local counted = ''
if month_uses then
  for id, count in pairs(used_here) do
    call('HINCRBY', month_uses, id, text(count))
    call('HINCRBY', month_uses, id .. day_suffix, text(count))
    call('EXPIRE', month_uses, SECONDS.USES_SECONDS)
    if stay ~= '' then
      call('HINCRBY', stay, id, text(count))
      call('EXPIRE', stay, SECONDS.USES_SECONDS)
    end
  end
  counted = month_uses .. ' ' .. day_suffix .. ' ' .. stay
end
local until_millis = ''
if held then
  until_millis = text(millis + tonumber(hold_seconds) * 1000)
  call('ZADD', holds, until_millis, redemption_id)
  if points_taken > 0 then points_held = call('HINCRBY', member, 'held', text(points_taken)) end
end
local record = RECORD_VERSION .. '\n' .. (held and 'held' or 'captured') .. '\n' .. text(millis) .. '\n' .. member_id .. '\n' .. tier
  .. '\n' .. name .. '\n' .. here.business .. '\n' .. text(sum_of(assets, 'points')) .. ','
  .. text(points_held) .. ',' .. text(sum_of(assets, here.currency)) .. '\n' .. concat(taken, ';') .. '\n' .. basket
-- What a hold is ended with where no till does it is its own place.
if held then
  record = record .. '\n' .. until_millis .. '\n' .. counted .. '\n' .. place
elseif counted ~= '' then
  record = record .. '\n\n' .. counted
end
-- A hold's record outlives its deadline by as much: without it nobody could give back what it holds. So does its key, or a
-- hold that is captured late could be cancelled by its id and not by its key.
local retention = held and text(LIMIT.REDEMPTION_RETENTION_SECONDS + tonumber(hold_seconds))
  or SECONDS.REDEMPTION_RETENTION_SECONDS
call('SET', redemption, record, 'EX', retention)
use_code(code, texts[3], marker)
leave_scan(recent, texts[4], seconds, digest == '' and '-' or digest, redemption_id)
call('SET', idempotency, fingerprint .. ' 0 ' .. redemption_id, 'EX', retention)
return answer(0, 0, -1, -1, -1, record)
