-- Shared by every function of the library. Constants (OUTCOME, LIMIT) are written in front of this file from
-- redemption/domain/outcomes.py and limits.py when the library is assembled.
--
-- Invariants every function keeps:
--   * Lua has no rollback: everything is checked before the first write. The first write is the XADD to the ledger
--     stream, so that a poisoned stream key stops the call before anything else has changed.
--   * Integers stay below 2^53 and leave as decimal strings, never as floats.
--   * Every loop is bounded by a LIMIT.
--   * Text of a caller never reaches an error reply.

-- Server time: whole seconds and milliseconds since the epoch.
local function now()
  local t = redis.call('TIME')
  local seconds = tonumber(t[1])
  return seconds, seconds * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- A whole number as decimal text. string.format('%d') would do on 64 bits; '%.0f' does everywhere.
local function text(number)
  return string.format('%.0f', number)
end

-- A stored integer, or an error before any write when somebody put something else there.
local function integer(value)
  local number = tonumber(value)
  if not number or number ~= math.floor(number) or number > LIMIT.SAFE_INTEGER_MAX
      or number < -LIMIT.SAFE_INTEGER_MAX then
    error({err = 'POISONED a stored number is not an integer'})
  end
  return number
end

-- yyyymm of a moment in the group's time zone. Civil-from-days after Howard Hinnant,
-- "chrono-Compatible Low-Level Date Algorithms".
local function month_of(seconds, utc_offset)
  local days = math.floor((seconds + utc_offset) / 86400) + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted_month = math.floor((5 * day_of_year + 2) / 153)
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  local year = year_of_era + era * 400
  if month <= 2 then year = year + 1 end
  return year * 100 + month
end

-- The lots of a member that may be spent, first to expire first: array of {name, points}, and their sum.
-- A lot's name starts with its month of expiry, so the order of names is the order of expiry.
local function spendable_lots(lots_key, month)
  local flat = redis.call('HGETALL', lots_key)
  if #flat > 2 * LIMIT.LOTS_MAX then
    error({err = 'LIMIT more lots than a member may have'})
  end
  local lots, sum = {}, 0
  for i = 1, #flat, 2 do
    local expiry = tonumber(string.sub(flat[i], 1, 6))
    if expiry and expiry >= month then
      local points = integer(flat[i + 1])
      if points > 0 then
        lots[#lots + 1] = {flat[i], points}
        sum = sum + points
      end
    end
  end
  table.sort(lots, function(a, b) return a[1] < b[1] end)
  return lots, sum
end

-- A refusal remembered under its key (ADR 0004): the answer to every repeat, until no body it refused can be taken.
local function refuse(idempotency, redemption_id, fingerprint, outcome, leg, asked, available)
  redis.call('SET', idempotency,
    table.concat({fingerprint, text(outcome), text(leg), text(asked), text(available)}, ' '),
    'EX', LIMIT.REFUSAL_MARK_SECONDS)
  return {redemption_id, outcome, 0, leg, asked, available}
end

-- The answer to a repeated key, or nil when the key is new. `seen` is the idempotency record:
-- "<fingerprint> 0 <redemption id>" or "<fingerprint> <outcome> <leg> <asked> <available>".
local function replay(idempotency, redemption, redemption_id, fingerprint)
  local seen = redis.call('GET', idempotency)
  if not seen then return nil end
  local words = {}
  for word in string.gmatch(seen, '%S+') do words[#words + 1] = word end
  local outcome = integer(words[2])
  if outcome == OUTCOME.CANCELLED then
    return {redemption_id, outcome, 1, -1, -1, -1}
  end
  if words[1] ~= fingerprint then
    return {redemption_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1, -1}
  end
  if outcome ~= 0 then
    return {redemption_id, outcome, 1, integer(words[3]), integer(words[4]), integer(words[5])}
  end
  -- The same fingerprint means the same code, so the same member and bucket: only the id in the key's name differs.
  local original = string.sub(redemption, 1, #redemption - #redemption_id) .. words[3]
  return {redemption_id, 0, 1, -1, -1, -1, redis.call('HGETALL', original)}
end
