-- Shared by every function of the library. Constants (OUTCOME, LIMIT) are written in front of this file from
-- redemption/domain/outcomes.py and limits.py when the library is assembled.
--
-- Invariants every function keeps:
--   * Lua has no rollback: everything is checked before the first write. The first write is the XADD to the ledger
--     stream, so that a poisoned stream key stops the call before any value has moved.
--   * Integers stay below 2^53 and leave as decimal strings, never as floats.
--   * Every loop is bounded by a LIMIT.
--   * Text of a caller never reaches an error reply.
--
-- Words: a *lot* is a field of a member's lots hash, "<asset>/<yyyymm or ->.<business>"; a *part* is what one redemption
-- took of one lot; a *move* is one line of a ledger entry, "<asset>,<lot>,<from>,<to>,<amount>".

-- Server time: whole seconds and milliseconds since the epoch.
local function now()
  local t = redis.call('TIME')
  local seconds = tonumber(t[1])
  return seconds, seconds * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- A whole number as decimal text. string.format('%d') would do on 64 bits; '%.0f' does everywhere. Plus zero, because
-- Lua's -0 would be written "-0", which HINCRBY refuses: in the middle of the writes.
local function text(number)
  return string.format('%.0f', number + 0)
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

-- Year, month and day of a moment at an offset from UTC. Civil-from-days after Howard Hinnant,
-- "chrono-Compatible Low-Level Date Algorithms".
local function civil(seconds, utc_offset)
  local days = math.floor((seconds + utc_offset) / 86400) + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted_month = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted_month + 2) / 5) + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  local year = year_of_era + era * 400
  if month <= 2 then year = year + 1 end
  return year, month, day
end

-- yyyymm in the group's time zone: lots end with its months.
local function month_of(seconds, utc_offset)
  local year, month = civil(seconds, utc_offset)
  return year * 100 + month
end

-- The words of a text, at most `limit` of them.
local function split(source, separator, limit)
  local words = {}
  for word in string.gmatch(source, '[^' .. separator .. ']+') do
    if #words >= limit then error({err = 'LIMIT a list is longer than it may be'}) end
    words[#words + 1] = word
  end
  return words
end

-- What a member holds, by asset: arrays of {lot, amount} with their `sum`; and the lots whose month is over.
local function holdings(lots, month)
  local flat = redis.call('HGETALL', lots)
  if #flat > 2 * LIMIT.LOTS_READ_MAX then
    error({err = 'LIMIT more lots than a member may have'})
  end
  local assets, over = {}, {}
  for i = 1, #flat, 2 do
    local slash = string.find(flat[i], '/', 1, true)
    if not slash then error({err = 'POISONED a lot has no asset'}) end
    local asset, lot, amount = string.sub(flat[i], 1, slash - 1), string.sub(flat[i], slash + 1), integer(flat[i + 1])
    local ends = tonumber(string.sub(lot, 1, 6)) -- nil for "-.…", which never ends
    if ends and ends < month then
      over[#over + 1] = {asset, lot, amount}
    elseif amount > 0 then
      local held = assets[asset]
      if not held then
        held = {sum = 0}
        assets[asset] = held
      end
      held[#held + 1] = {lot, amount}
      held.sum = held.sum + amount
    end
  end
  return assets, over
end

local function sum_of(assets, asset)
  return assets[asset] and assets[asset].sum or 0
end

-- Puts lots in the order they are spent: first to expire first (a lot's name starts with its month), and last what never
-- expires ("-.<business>", which by its name comes first).
local function in_order_of_expiry(held)
  table.sort(held, function(a, b) return a[1] < b[1] end)
  local never = 0
  while held[never + 1] and string.byte(held[never + 1][1]) == 45 do never = never + 1 end
  if never == 0 or never == #held then return held end
  local ordered = {sum = held.sum}
  for i = 1, #held do ordered[i] = held[(i + never - 1) % #held + 1] end
  return ordered
end

-- Takes `amount` of an asset, first to expire first, into `parts`. The caller has checked that there is enough. Changes
-- the tables only; `rest` of a part is its lot with what stays there once the whole basket is taken.
local function take(assets, asset, amount, leg, parts)
  local held = assets[asset]
  if not held.sorted then
    held = in_order_of_expiry(held)
    assets[asset] = held
    held.sorted, held.first = true, 1
  end
  held.sum = held.sum - amount
  while amount > 0 do
    local lot = held[held.first]
    local part = math.min(amount, lot[2])
    if part > 0 then parts[#parts + 1] = {leg = leg, asset = asset, lot = lot[1], taken = part, rest = lot} end
    amount, lot[2] = amount - part, lot[2] - part
    if lot[2] == 0 then held.first = held.first + 1 end
  end
end

local function move(asset, lot, from, to, amount)
  return asset .. ',' .. lot .. ',' .. from .. ',' .. to .. ',' .. text(amount)
end

local function add_to_lot(lots, asset, lot, amount)
  if redis.call('HINCRBY', lots, asset .. '/' .. lot, text(amount)) == 0 then
    redis.call('HDEL', lots, asset .. '/' .. lot)
  end
end

-- Whether the bucket of this ledger stream is frozen: its ledger and its hot store disagree, so nothing of value may move
-- until a rebuild (docs/ledger.md). Every function that appends to the ledger asks first; the key lies beside the stream.
local function frozen(ledger)
  return redis.call('EXISTS', string.sub(ledger, 1, -7) .. 'frozen') == 1
end

-- What lots become when `credits`, arrays of {asset, lot, amount}, are added to them: fields and values for one HSET. Reads
-- only, so that a poisoned lot stops the call before its first write. One read and one write however many lots there
-- are: 200 of them took 4 ms one by one.
local function lots_with(lots, credits)
  local names, sums, fields = {}, {}, {}
  for _, credit in ipairs(credits) do
    local name = credit[1] .. '/' .. credit[2]
    if not sums[name] then names[#names + 1], sums[name] = name, 0 end
    sums[name] = sums[name] + credit[3]
  end
  if #names == 0 then return fields end
  for i, present in ipairs(redis.call('HMGET', lots, unpack(names))) do
    fields[2 * i - 1], fields[2 * i] = names[i], text(integer(present or 0) + sums[names[i]])
  end
  return fields
end

local function write_lots(lots, fields)
  if #fields > 0 then redis.call('HSET', lots, unpack(fields)) end
end

-- One ledger entry. `moves` is an array of move texts.
local function append(ledger, kind, id, member_id, millis, moves, context)
  redis.call('XADD', ledger, '*', 'v', '1', 'kind', kind, 'id', id, 'member', member_id,
    'at', text(millis), 'moves', table.concat(moves, ';'), 'context', context)
end

-- Lots whose month is over leave with an entry of their own, at the next call that changes the member anyway.
local function expire_lots(ledger, lots, member_id, over, millis)
  if #over == 0 then return end
  local moves = {}
  for _, entry in ipairs(over) do
    if entry[3] > 0 then moves[#moves + 1] = move(entry[1], entry[2], 'A', 'X', entry[3]) end
  end
  append(ledger, 'expire', 'exp_' .. member_id .. '_' .. text(millis), member_id, millis, moves, '{}')
  for _, entry in ipairs(over) do redis.call('HDEL', lots, entry[1] .. '/' .. entry[2]) end
end

-- A fixed window of LIMIT.RATE_WINDOW_SECONDS for each subject. Counts the call; returns the position (from 1) of the
-- first subject over its limit or nil, what is left for the first subject, and the seconds to the next window.
local function over_rate(subjects, limits, seconds)
  local window = math.floor(seconds / LIMIT.RATE_WINDOW_SECONDS)
  local exceeded, left = nil, -1
  for i = 1, #subjects do
    local key = subjects[i] .. ':' .. text(window)
    local count = redis.call('INCR', key)
    if count == 1 then redis.call('EXPIRE', key, 2 * LIMIT.RATE_WINDOW_SECONDS) end
    if i == 1 then left = math.max(0, limits[1] - count) end
    if count > limits[i] and not exceeded then exceeded = i end
  end
  return exceeded, left, (window + 1) * LIMIT.RATE_WINDOW_SECONDS - seconds
end

-- The idempotency record of a key: nil, or its words: "<fingerprint> <outcome> …".
local function recorded(idempotency)
  local seen = redis.call('GET', idempotency)
  return seen and split(seen, '%s', 16) or nil
end

-- A cancel that found nothing under a key left "-" where a fingerprint would be: nothing ever applies under it.
local function tombstoned(seen)
  return seen[1] == '-'
end

local function remember(idempotency, seconds, ...)
  redis.call('SET', idempotency, table.concat({...}, ' '), 'EX', seconds)
end
