-- What capture, void, refund, cancel and the sweeper share: reading a redemption with what became of each part, and
-- giving value back.
--
-- A record is one text, its fields as lines in the order of RECORD_FIELDS (redemption/domain/records.py, put in by
-- redemption/hot/library.py), the empty ones at the end left out. Its `taken` never changes: "<leg>,<asset>,<lot>,<amount>;…".
-- `captured` and `refunded` are numbers for the same parts, in the same order; a record without `captured` was captured
-- whole, unless it is a hold.

-- The redemption behind a key, or nil: the fields that are not empty, `id`, and the `text` they are from.
local function read_redemption(key)
  local source = call('GET', key)
  if not source then return nil end
  local record, from = {text = source, id = string.match(key, '[^:]*$')}, find(source, '\n', 1, true)
  if not from or sub(source, 1, from - 1) ~= RECORD_VERSION then
    error({err = 'POISONED a record of another version'})
  end
  for _, field in ipairs(RECORD_FIELDS) do
    local last = find(source, '\n', from + 1, true)
    local value = sub(source, from + 1, last and last - 1 or -1)
    if value ~= '' then record[field] = value end
    from = last
    if not last then break end
  end
  return record
end

-- The same with its parts, for what changes it.
local function open_redemption(key)
  local record = read_redemption(key)
  if not record then return nil end
  local captured = record.captured and split(record.captured, ';', LIMIT.PARTS_MAX)
  local refunded = record.refunded and split(record.refunded, ';', LIMIT.PARTS_MAX)
  local never_captured = record.hold_until and not captured
  record.parts = {}
  for i, words in ipairs(split(record.taken or '', ';', LIMIT.PARTS_MAX)) do
    local word = split(words, ',', 4)
    local taken = integer(word[4])
    record.parts[i] = {
      leg = word[1], asset = word[2], lot = word[3], taken = taken,
      captured = captured and integer(captured[i]) or (never_captured and 0 or taken),
      refunded = refunded and integer(refunded[i]) or 0,
    }
  end
  return record
end

-- Writes a record as its fields are now, to be kept for `how` ('EX', seconds or 'KEEPTTL').
local function write_record(key, record, ...)
  local lines, last = {RECORD_VERSION}, 1
  for i, field in ipairs(RECORD_FIELDS) do
    lines[i + 1] = record[field] or ''
    if record[field] then last = i + 1 end
  end
  record.text = concat(lines, '\n', 1, last)
  call('SET', key, record.text, ...)
end

-- What a step or a repeat answers a record with: its id and its text.
local function told(record)
  return record.id .. '\n' .. record.text
end

local function progress(parts, field)
  local numbers = {}
  for i, part in ipairs(parts) do numbers[i] = text(part[field]) end
  return #numbers > 0 and concat(numbers, ';') or '-'
end

-- How much of each asset is asked for: {asset = amount} of "points,1500;benefit:x,1;CNY,5000"; and the assets in order.
local function wanted_assets(wants)
  local wanted, order = {}, {}
  for i, words in ipairs(split(wants, ';', LIMIT.LEGS_MAX)) do
    local word = split(words, ',', 2)
    wanted[word[1]], order[i] = (wanted[word[1]] or 0) + integer(word[2]), word[1]
  end
  return wanted, order
end

-- Where value of a lot goes back to, given the month that is now: the lot itself, or what the policy says of one whose
-- month is over: "grace" issues it anew to the end of this month, "forfeit" lets it expire. Adds the ledger moves.
local function give_back(moves, credits, from, part, amount, month, policy)
  if amount == 0 then return end
  local ends = tonumber(sub(part.lot, 1, 6))
  if not ends or ends >= month then
    moves[#moves + 1] = move(part.asset, part.lot, from, 'A', amount)
    credits[#credits + 1] = {part.asset, part.lot, amount}
    return
  end
  moves[#moves + 1] = move(part.asset, part.lot, from, 'X', amount)
  if policy == 'grace' then
    local lot = text(month) .. sub(part.lot, 7)
    moves[#moves + 1] = move(part.asset, lot, 'I', 'A', amount)
    credits[#credits + 1] = {part.asset, lot, amount}
  end
end

-- Uses of benefits that are given back count no more towards their caps: of each part what `given_back` says. `uses` is
-- "<month counter> <:day> [<stay>]".
local function uncount(uses, parts, given_back)
  if not uses then return end
  local word, sums = split(uses, ' ', 3), {}
  for _, part in ipairs(parts) do
    if sub(part.asset, 1, 8) == 'benefit:' then
      local id = sub(part.asset, 9)
      sums[id] = (sums[id] or 0) + given_back(part)
    end
  end
  local function less(counter, field, amount)
    local count = tonumber(call('HGET', counter, field) or 0)
    if count > 0 then call('HINCRBY', counter, field, text(-math.min(count, amount))) end
  end
  for id, amount in pairs(sums) do
    if amount > 0 then
      less(word[1], id, amount)
      less(word[1], id .. word[2], amount)
      if word[3] then less(word[3], id, amount) end
    end
  end
end

-- Reads what a step is about to change, so that a key that somebody overwrote stops the call before its first write
-- instead of in the middle. `holds`: where the redemption may be a hold, nil for one that cannot be.
local function readable(record, holds, lots, member, month)
  holdings(lots, month)
  integer(call('HGET', member, 'held') or 0)
  if holds then call('ZCARD', holds) end
  if not record.uses then return end
  local word = split(record.uses, ' ', 3)
  for _, part in ipairs(record.parts) do
    if sub(part.asset, 1, 8) == 'benefit:' then
      local id = sub(part.asset, 9)
      integer(call('HGET', word[1], id) or 0)
      integer(call('HGET', word[1], id .. word[2]) or 0)
      if word[3] then integer(call('HGET', word[3], id) or 0) end
    end
  end
end

-- The state after a step as one text, kept for repeats: "<status> <captured> <refunded> <balance> <at>".
local function snapshot(record, status, lots, member, currency, month, millis)
  local assets = holdings(lots, month)
  return concat({status, progress(record.parts, 'captured'), progress(record.parts, 'refunded'),
    text(sum_of(assets, 'points')) .. ',' .. text(integer(call('HGET', member, 'held') or 0)) .. ','
    .. text(sum_of(assets, currency)), text(millis)}, ' ')
end

local function points_of(parts, field)
  local sum = 0
  for _, part in ipairs(parts) do
    if part.asset == 'points' then sum = sum + part[field] end
  end
  return sum
end

-- After each step the record is kept anew, so that it outlives the key of that step (whose repeat is answered from it)
-- and the window in which what was captured last may be refunded. Its life is never shortened: the key of a hold lives as
-- long as the hold's record was to live.
local function keep_record(key, record)
  if call('TTL', key) > LIMIT.REDEMPTION_RETENTION_SECONDS then
    write_record(key, record, 'KEEPTTL')
  else
    write_record(key, record, 'EX', SECONDS.REDEMPTION_RETENTION_SECONDS)
  end
end

-- The context of what a hold comes to without any till: where it was made, and its basket.
local function own_context(record)
  return '[' .. record.place .. ',' .. record.basket .. ']'
end

-- Ends a hold without capturing anything: to 'voided', 'expired' or 'reversed'.
local function release_hold(record, key, holds, ledger, lots, member, status, month, policy, millis, context)
  local moves, credits = {}, {}
  for _, part in ipairs(record.parts) do give_back(moves, credits, 'H', part, part.taken, month, policy) end
  local fields = lots_with(lots, credits)
  append(ledger, status == 'reversed' and 'reverse' or 'release', record.id, record.member, millis, moves, context)
  write_lots(lots, fields)
  uncount(record.uses, record.parts, function(part) return part.taken end)
  local points = points_of(record.parts, 'taken')
  if points > 0 then call('HINCRBY', member, 'held', text(-points)) end
  call('ZREM', holds, record.id)
  record.status, record.ended = status, text(millis)
  keep_record(key, record)
end

-- Gives captured value back, `refund` of each part, and sets the status.
local function give_back_captured(record, key, ledger, lots, kind, status, month, policy, millis, context)
  local moves, credits = {}, {}
  for _, part in ipairs(record.parts) do give_back(moves, credits, 'R', part, part.refund, month, policy) end
  local fields = lots_with(lots, credits)
  append(ledger, kind, record.id, record.member, millis, moves, context)
  write_lots(lots, fields)
  uncount(record.uses, record.parts, function(part) return part.refund end)
  for _, part in ipairs(record.parts) do part.refunded = part.refunded + part.refund end
  record.status = status
  record.captured, record.refunded = progress(record.parts, 'captured'), progress(record.parts, 'refunded')
  keep_record(key, record)
end

-- Returns one member as reads show it: {seconds, [tier, name, status, codes_valid_from, held, growth, owed],
-- [lot, amount, …], code used, day suffix, [benefit or benefit:day, count, …] of this month, [benefit, count, …] of the
-- stay}. An empty `marker` asks for no code, an empty `stay` for no stay.
local function member_reply(seconds, member, lots, code, uses, stay, utc_offset, outlet_offset, marker)
  local state = call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from', 'held', 'growth', 'owed')
  if not state[1] then return {seconds, {}} end
  for i = 1, 7 do state[i] = state[i] or '' end
  local flat = {}
  for asset, held in pairs((holdings(lots, month_of(seconds, tonumber(utc_offset))))) do
    for _, entry in ipairs(held) do
      flat[#flat + 1] = asset .. '/' .. entry[1]
      flat[#flat + 1] = text(entry[2])
    end
  end
  local used = marker ~= '' and code_used(call('GET', code), marker) and 1 or 0
  local date = date_of(seconds, tonumber(outlet_offset))
  return {seconds, state, flat, used, ':' .. text(date[2]),
    call('HGETALL', uses .. text(date[1])), stay == '' and {} or call('HGETALL', stay)}
end

-- A step's answer under its key, if it was taken before: nil, or the reply to give. `id` is the redemption.
local function repeated(idempotency, call_id, fingerprint, key)
  if idempotency == '' then return nil end
  local seen = recorded(idempotency)
  if not seen then return nil end
  if tombstoned(seen) then return {call_id, OUTCOME.CANCELLED, 1, -1, -1} end
  if seen[1] ~= fingerprint then return {call_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1} end
  if seen[2] ~= '0' then return {call_id, integer(seen[2]), 1, integer(seen[3]), integer(seen[4])} end
  return {call_id, 0, 1, -1, -1, told(read_redemption(key)), concat(seen, ' ', 4)}
end

-- No code that expires is part of a step, so its refusal is remembered as long as an answer: the key must never apply
-- later, as a refund of what was still held would once it is captured (I12).
local function refuse_step(idempotency, call_id, fingerprint, outcome, asked, available)
  if idempotency ~= '' then
    remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, text(outcome), text(asked or -1),
      text(available or -1))
  end
  return {call_id, outcome, 0, asked or -1, available or -1}
end

local function step_done(idempotency, call_id, fingerprint, record, state)
  if idempotency ~= '' then
    remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', record.id, state)
  end
  return {call_id, 0, 0, -1, -1, told(record), state}
end

local STATUS_OUTCOME = {
  captured = OUTCOME.ALREADY_CAPTURED, partially_refunded = OUTCOME.ALREADY_CAPTURED,
  refunded = OUTCOME.ALREADY_REFUNDED, voided = OUTCOME.ALREADY_VOIDED, expired = OUTCOME.HOLD_EXPIRED,
  reversed = OUTCOME.CANCELLED,
}

-- The hold of a call that wants one, expired first when its time has run out: nil, or the outcome that stands instead.
local function hold_ended(record, millis, key, holds, ledger, lots, member, month, policy)
  if record.status ~= 'held' then return STATUS_OUTCOME[record.status] end
  readable(record, holds, lots, member, month)
  if integer(record.hold_until) > millis then return nil end
  release_hold(record, key, holds, ledger, lots, member, 'expired', month, policy, millis,
    own_context(record))
  return OUTCOME.HOLD_EXPIRED
end

-- What capture, void and refund begin with: their call is counted; the reply that stands already, or nil and then the redemption, the time, the
-- month, and the member's keys, which only the record names.
local function open_step(ledger, idempotency, call_id, fingerprint, redemption, business, utc_offset, lots_prefix,
    member_prefix, till, cancelled, till_key)
  if frozen(ledger) then return {call_id, OUTCOME.UNAVAILABLE, known(idempotency), -1, -1} end
  local seconds, millis = now()
  local exceeded, _, reset = over_rate(till_named(till), seconds)
  if exceeded then return {call_id, OUTCOME.RATE_LIMITED, 0, exceeded, reset} end
  local before = repeated(idempotency, call_id, fingerprint, redemption)
  if before then return before end
  if cancelled_before(cancelled, till_key) then return {call_id, OUTCOME.CANCELLED, 1, -1, -1} end
  local record = open_redemption(redemption)
  if not record or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND, 0, -1, -1} end
  local month = month_of(seconds, tonumber(utc_offset))
  return nil, record, millis, month, lots_prefix .. record.member, member_prefix .. record.member
end
