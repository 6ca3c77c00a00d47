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
--
-- What is written so that it costs little: locals instead of fields of globals; what is parsed out of texts that come
-- again and again (names of lots, dates, what a till's calls have in common) is remembered in the interpreter. Such a
-- memory is a pure function of its text, is bounded, and is lost without harm.

local call, find, sub, format, floor, concat
local SECONDS = {} -- the limits as text: a number handed to a command is turned into text by the slow way of a float

-- None of these is there while the library is loaded: the first function that is called binds them.
local function bind()
  call, find, sub, format = redis.call, string.find, string.sub, string.format
  floor, concat = math.floor, table.concat
  for name, limit in pairs(LIMIT) do
    if find(name, '_SECONDS$') then SECONDS[name] = format('%d', limit) end
  end
end

-- Server time: whole seconds and milliseconds since the epoch.
local function now()
  local t = call('TIME')
  local seconds = tonumber(t[1])
  return seconds, seconds * 1000 + floor(tonumber(t[2]) / 1000)
end

-- A whole number as decimal text, exact to 2^53 on the 64 bits that a server of this kind has. '%d' and not '%.0f': a third
-- of the time, and Lua's -0 is no "-0", which HINCRBY would refuse in the middle of the writes.
local function text(number)
  return format('%d', number)
end

-- A stored integer, or an error before any write when somebody put something else there.
local function integer(value)
  local number = tonumber(value)
  if not number or number ~= floor(number) or number > LIMIT.SAFE_INTEGER_MAX
      or number < -LIMIT.SAFE_INTEGER_MAX then
    error({err = 'POISONED a stored number is not an integer'})
  end
  return number
end

-- Year, month and day of a moment at an offset from UTC. Civil-from-days after Howard Hinnant,
-- "chrono-Compatible Low-Level Date Algorithms".
local function civil(seconds, utc_offset)
  local days = floor((seconds + utc_offset) / 86400) + 719468
  local era = floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = floor((day_of_era - floor(day_of_era / 1460) + floor(day_of_era / 36524)
    - floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local shifted_month = floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - floor((153 * shifted_month + 2) / 5) + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  local year = year_of_era + era * 400
  if month <= 2 then year = year + 1 end
  return year, month, day
end

-- A memory of at most LIMIT.MEMO_MAX results of a pure function of one text or number.
local function remembered(make)
  local known, count = {}, 0
  return function(source)
    local found = known[source]
    if found == nil then
      if count >= LIMIT.MEMO_MAX then known, count = {}, 0 end
      found = make(source)
      known[source], count = found, count + 1
    end
    return found
  end
end

-- {yyyymm, yyyymmdd} of a day counted from the epoch.
local date_of_day = remembered(function(days)
  local year, month, day = civil(days * 86400, 0)
  return {year * 100 + month, year * 10000 + month * 100 + day}
end)

local function date_of(seconds, utc_offset)
  return date_of_day(floor((seconds + utc_offset) / 86400))
end

-- yyyymm in the group's time zone: lots end with its months.
local function month_of(seconds, utc_offset)
  return date_of(seconds, utc_offset)[1]
end

-- The words of a text, at most `limit` of them. The separator is one character; nothing between two of them is no word.
local function split(source, separator, limit)
  local words, count, from = {}, 0, 1
  repeat
    local at = find(source, separator, from, true)
    local word = sub(source, from, at and at - 1 or -1)
    if word ~= '' then
      if count >= limit then error({err = 'LIMIT a list is longer than it may be'}) end
      count = count + 1
      words[count] = word
    end
    from = at and at + 1
  until not from
  return words
end

-- A text without line breaks, which would end it in a record.
local function one_line(source)
  return find(source, '\n', 1, true) and string.gsub(source, '\n', ' ') or source
end

-- The name of a lot, taken apart: {asset, lot, month it ends or nil for "-.…", which never ends; in spending order}. First
-- to expire is spent first (a lot starts with its month), and last what never expires: "~" stands behind every digit.
local lot_named = remembered(function(name)
  local slash = find(name, '/', 1, true)
  if not slash then error({err = 'POISONED a lot has no asset'}) end
  local lot = sub(name, slash + 1)
  local ends = tonumber(sub(lot, 1, 6))
  return {sub(name, 1, slash - 1), lot, ends or false, string.byte(lot) == 45 and '~' .. lot or lot}
end)

-- What a member holds, by asset: arrays of {lot, amount, name, rank} with their `sum`; and the lots whose month is over.
-- `rank` gives the order in which they are spent.
local function holdings(lots, month)
  local flat = call('HGETALL', lots)
  if #flat > 2 * LIMIT.LOTS_READ_MAX then
    error({err = 'LIMIT more lots than a member may have'})
  end
  local assets, over = {}, {}
  for i = 1, #flat, 2 do
    local name, amount = flat[i], integer(flat[i + 1])
    local parsed = lot_named(name)
    local ends = parsed[3]
    if ends and ends < month then
      over[#over + 1] = {parsed[1], parsed[2], amount}
    elseif amount > 0 then
      local held = assets[parsed[1]]
      if held then
        held.sum = held.sum + amount
        held[#held + 1] = {parsed[2], amount, name, parsed[4]}
      else
        assets[parsed[1]] = {sum = amount, {parsed[2], amount, name, parsed[4]}}
      end
    end
  end
  return assets, over
end

local function sum_of(assets, asset)
  return assets[asset] and assets[asset].sum or 0
end

local function by_rank(a, b) return a[4] < b[4] end

-- Puts lots in the order they are spent. Most are: fields of a small hash stay in the order in which they came.
local function in_order_of_expiry(held)
  for i = 2, #held do
    if held[i][4] < held[i - 1][4] then
      table.sort(held, by_rank)
      break
    end
  end
  held.first = 1
end

-- Takes `amount` of an asset, first to expire first, into `parts`. The caller has checked that there is enough. Changes
-- the tables only; `rest` of a part is its lot with what stays there once the whole basket is taken.
local function take(assets, asset, amount, leg, parts)
  local held = assets[asset]
  if not held.first then in_order_of_expiry(held) end
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
  if call('HINCRBY', lots, asset .. '/' .. lot, text(amount)) == 0 then
    call('HDEL', lots, asset .. '/' .. lot)
  end
end

-- Whether the bucket of this ledger stream is frozen: its ledger and its hot store disagree, so nothing of value may move
-- until a rebuild (docs/reference/ledger.md). Every function that appends to the ledger asks first; the key lies beside the stream.
local function frozen(ledger)
  return call('EXISTS', sub(ledger, 1, -7) .. 'frozen') == 1
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
  for i, present in ipairs(call('HMGET', lots, unpack(names))) do
    fields[2 * i - 1], fields[2 * i] = names[i], text(integer(present or 0) + sums[names[i]])
  end
  return fields
end

local function write_lots(lots, fields)
  if #fields > 0 then call('HSET', lots, unpack(fields)) end
end

-- One ledger entry, in version 2: one field, its parts as lines (redemption/ledger/entries.py). `moves` is an array of
-- move texts, `context` JSON without a line break.
local function append(ledger, kind, id, member_id, millis, moves, context)
  call('XADD', ledger, '*', '2', kind .. '\n' .. id .. '\n' .. member_id .. '\n' .. text(millis) .. '\n'
    .. concat(moves, ';') .. '\n' .. context)
end

-- Lots whose month is over leave with an entry of their own, at the next call that changes the member anyway.
local function expire_lots(ledger, lots, member_id, over, millis)
  if #over == 0 then return end
  local moves = {}
  for _, entry in ipairs(over) do
    if entry[3] > 0 then moves[#moves + 1] = move(entry[1], entry[2], 'A', 'X', entry[3]) end
  end
  append(ledger, 'expire', 'exp_' .. member_id .. '_' .. text(millis), member_id, millis, moves, '{}')
  for _, entry in ipairs(over) do call('HDEL', lots, entry[1] .. '/' .. entry[2]) end
end

-- What is the same for all calls of a till: "<business>,<currency>,<rates of terminal, outlet, member>,<offsets of group
-- and outlet>,<terminal>,<outlet>,<counter of the group's guesses, or ->".
local till_named = remembered(function(till)
  local word = split(till, ',', 10)
  return {
    business = word[1], currency = word[2], rate_terminal = integer(word[3]), rate_outlet = integer(word[4]),
    rate_member = integer(word[5]), utc_offset = integer(word[6]), outlet_offset = integer(word[7]),
    terminal = 'terminal:' .. word[8], outlet = 'outlet:' .. word[9], guess_group = word[10],
  }
end)

-- How often each subject called in the window at hand. The interpreter keeps it and no key does: rates last for seconds,
-- belong into neither log nor replica, and a server that starts anew begins to count anew.
local calls, window_at_hand, subjects = {}, nil, 0

-- Counts a call of a subject and returns how many of it there were in this window.
local function count_call(subject, window)
  if window ~= window_at_hand or subjects >= LIMIT.RATE_SUBJECTS_MAX then
    calls, window_at_hand, subjects = {}, window, 0
  end
  local count = calls[subject]
  if not count then count, subjects = 0, subjects + 1 end
  calls[subject] = count + 1
  return count + 1
end

-- The window of a moment, and the seconds until the next.
local function rate_window(seconds)
  local window = floor(seconds / LIMIT.RATE_WINDOW_SECONDS)
  return window, (window + 1) * LIMIT.RATE_WINDOW_SECONDS - seconds
end

-- Counts one call of a terminal, its outlet and, where one is named, a member. Every function that a till calls begins with
-- it, so that all calls share one count. Returns the RATE_SUBJECT whose rate is exceeded (or nil), what the
-- terminal has left in this window, and the seconds until the next.
local function over_rate(here, seconds, member_id)
  local window, reset = rate_window(seconds)
  local of_terminal, of_outlet = count_call(here.terminal, window), count_call(here.outlet, window)
  local of_member = member_id and count_call(member_id, window) or 0
  local exceeded = of_terminal > here.rate_terminal and RATE_SUBJECT.TERMINAL
    or of_outlet > here.rate_outlet and RATE_SUBJECT.OUTLET or of_member > here.rate_member and RATE_SUBJECT.MEMBER or nil
  return exceeded, math.max(0, here.rate_terminal - of_terminal), reset
end

-- Counts in a window of guesses; returns how many there were before.
local function count_guess(key)
  local before = call('INCR', key) - 1
  if before == 0 then call('EXPIRE', key, SECONDS.GUESS_WINDOW_SECONDS) end
  return before
end

-- Whether a terminal or outlet has guessed too often, codes of 18 digits or ids of members: nil, or the seconds until it
-- may try again. `counts`: this was one more guess. Where the whole group has seen too many, those that guessed at all
-- are held to far fewer; the others go on.
local function guessed_too_often(here, guess_terminal, guess_outlet, counts)
  local group = here.guess_group
  if group == '-' then group = sub(guess_terminal, 1, find(guess_terminal, ':', 1, true)) .. 'guess:group' end
  local many = tonumber(call('GET', group) or 0) >= LIMIT.GUESSES_IN_GROUP
  local most_of_terminal = many and LIMIT.GUESSES_PER_TERMINAL_THEN or LIMIT.GUESSES_PER_TERMINAL
  local most_of_outlet = many and LIMIT.GUESSES_PER_OUTLET_THEN or LIMIT.GUESSES_PER_OUTLET
  local of_terminal = counts and count_guess(guess_terminal) or tonumber(call('GET', guess_terminal) or 0)
  local of_outlet = counts and count_guess(guess_outlet) or tonumber(call('GET', guess_outlet) or 0)
  local wait = nil
  if of_terminal >= most_of_terminal then wait = call('TTL', guess_terminal) end
  if of_outlet >= most_of_outlet then wait = math.max(wait or 0, call('TTL', guess_outlet)) end
  -- A guess that is refused tells nothing and counts for its till only: one till cannot use up the group's.
  if counts and not wait then count_guess(group) end
  return wait
end

-- Writes down that an outlet scanned a member: "<seconds>,<basket>,<redemption id>;…", the newest scan first. A scan without
-- legs has "-" for its basket. The key lasts SEEN_SECONDS from the newest scan, so its presence says that the outlet saw the
-- member lately. Earlier scans are kept while they may be the same basket; the text is cut where they are too many.
local function leave_scan(recent, before, seconds, basket, id)
  local newest = before and tonumber(string.match(before, '^(%d+),'))
  local kept = newest and seconds - newest <= LIMIT.DUPLICATE_SECONDS and sub(before, 1, LIMIT.RECENT_KEPT_CHARACTERS) or ''
  call('SET', recent, text(seconds) .. ',' .. basket .. ',' .. id .. ';' .. kept, 'EX', SECONDS.SEEN_SECONDS)
end

-- The redemption of the same basket a short while ago, by its id, or nil.
local function same_basket(before, basket, seconds)
  if not before or not find(before, basket, 1, true) then return nil end
  for at, other, id in string.gmatch(before, '(%d+),([^,;]+),([^,;]+);') do
    if other == basket and seconds - tonumber(at) < LIMIT.DUPLICATE_SECONDS then return id end
  end
  return nil
end

-- What used codes of a slot leave: their markers with commas around each, ",Kq3_x-9A,digits,". A JWT code is used up by
-- its own nonce or by the digits shown with it; the digits by any use in their slot.
local function code_used(uses, marker)
  if not uses then return false end
  return marker == DIGITS_MARKER or find(uses, ',' .. marker .. ',', 1, true) or find(uses, DIGITS_USED, 1, true)
end

-- `uses` as read before.
local function use_code(code, uses, marker)
  call('SET', code, (uses or ',') .. marker .. ',', 'EX', SECONDS.CODE_MARKER_SECONDS)
end

-- The idempotency record of a key: nil, or its words: "<fingerprint> <outcome> …".
local function recorded(idempotency)
  local seen = call('GET', idempotency)
  return seen and split(seen, ' ', 16) or nil
end

-- 1 where a key stands for something, else 0: a frozen bucket says so, for it cannot say for what. Empty is no key.
local function known(idempotency)
  return idempotency ~= '' and call('EXISTS', idempotency) or 0
end

-- A cancel that found nothing under a key left "-" where a fingerprint would be: nothing ever applies under it.
local function tombstoned(seen)
  return seen[1] == '-'
end

local function remember(idempotency, seconds, ...)
  call('SET', idempotency, concat({...}, ' '), 'EX', seconds)
end

-- Counts a cancel that finds nothing under its key, because what it leaves takes memory: nil, or the seconds until the
-- terminal or outlet may leave another.
local function tombstoned_too_often(tombstones_terminal, tombstones_outlet)
  if tonumber(call('GET', tombstones_terminal) or 0) >= LIMIT.TOMBSTONES_PER_TERMINAL then
    return call('TTL', tombstones_terminal)
  end
  if tonumber(call('GET', tombstones_outlet) or 0) >= LIMIT.TOMBSTONES_PER_OUTLET then
    return call('TTL', tombstones_outlet)
  end
  count_guess(tombstones_terminal)
  count_guess(tombstones_outlet)
  return nil
end

-- Whether a key was cancelled before anything arrived under it: for calls whose body never becomes too old.
local function cancelled_before(cancelled, till_key)
  return till_key ~= '' and call('ZSCORE', cancelled, till_key)
end

-- Makes sure that a key never applies. Its record lasts as long as a code that could come with it, or as a refusal that
-- stands in its place already; the terminal's list refuses what has no code (steps, accruals by member_id) for 30 days.
local function leave_tombstone(idempotency, seen, cancelled, key, lasts, seconds)
  if seen then lasts = math.max(lasts, call('TTL', idempotency)) end
  remember(idempotency, text(lasts), '-', text(OUTCOME.CANCELLED))
  call('ZADD', cancelled, text(seconds), key)
  call('ZREMRANGEBYRANK', cancelled, '0', text(-LIMIT.CANCELLED_KEYS_MAX - 1))
  call('EXPIRE', cancelled, SECONDS.REDEMPTION_RETENTION_SECONDS)
end
