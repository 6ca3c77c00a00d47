-- Reverses an accrual: takes back what is left in its lot and records the rest as owed. Its bill may earn again, and the
-- ceilings of the day on which it was earned have that much more room.
--
-- keys: accrual ledger cancelled
-- args: call_id till till_key idempotency fingerprint business lots_prefix member_prefix utc_offset window_seconds context
--
-- returns: {call_id, outcome, replayed, asked, available [, record, taken back, owed, balance]}
--
-- Keeps I1, I2: a balance is never pushed below nothing.

if frozen(ledger) then return {call_id, OUTCOME.UNAVAILABLE, known(idempotency), -1, -1} end
local seconds, millis = now()
local exceeded, _, reset = over_rate(till_named(till), seconds)
if exceeded then return {call_id, OUTCOME.RATE_LIMITED, 0, exceeded, reset} end
if idempotency ~= '' then
  local seen = recorded(idempotency)
  if seen then
    if tombstoned(seen) then return {call_id, OUTCOME.CANCELLED, 1, -1, -1} end
    if seen[1] ~= fingerprint then return {call_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1} end
    if seen[2] ~= '0' then return {call_id, integer(seen[2]), 1, -1, -1} end
    return {call_id, 0, 1, -1, -1, call('HGETALL', accrual), integer(seen[3]), integer(seen[4]),
      integer(seen[5])}
  end
end
if cancelled_before(cancelled, till_key) then return {call_id, OUTCOME.CANCELLED, 1, -1, -1} end
local flat = call('HGETALL', accrual)
local record = {}
for i = 1, #flat, 2 do record[flat[i]] = flat[i + 1] end
if #flat == 0 or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND, 0, -1, -1} end
if record.status ~= 'accrued' then
  return refuse_step(idempotency, call_id, fingerprint, OUTCOME.ALREADY_REFUNDED)
end
if millis - integer(record.at) > tonumber(window_seconds) * 1000 then
  return refuse_step(idempotency, call_id, fingerprint, OUTCOME.WINDOW_CLOSED)
end

local lots, member = lots_prefix .. record.member, member_prefix .. record.member
local points = integer(record.points)
local left = integer(call('HGET', lots, 'points/' .. record.lot) or 0)
local back = math.min(points, left)
local owed = points - back
-- Read before the first write, so that a key that somebody overwrote stops the call here.
local month = month_of(seconds, tonumber(utc_offset))
holdings(lots, month)
for _, number in ipairs({'owed', 'growth'}) do integer(call('HGET', member, number) or 0) end
-- Where it was counted: the days of the member and of the terminal, and its bill. What is no longer there is over.
local counted = split(record.counted or '', ' ', 3)
local of_member, of_terminal = counted[1] and call('GET', counted[1]), counted[2] and call('GET', counted[2])
local member_less, terminal_less = math.min(points, integer(of_member or 0)), math.min(points, integer(of_terminal or 0))
local earned_before, kept = counted[3] and call('GET', counted[3]), {}
for _, entry in ipairs(split(earned_before or '', ';', LIMIT.BILL_EARNINGS_MAX)) do
  if not find(entry, '=' .. record.id, 1, true) then kept[#kept + 1] = entry end
end
local growth = integer(record.growth)
local moves = {}
if back > 0 then moves[1] = move('points', record.lot, 'A', 'I', back) end
append(ledger, 'reverse', record.id, record.member, millis, moves, context)
if back > 0 then add_to_lot(lots, 'points', record.lot, -back) end
if owed > 0 then call('HINCRBY', member, 'owed', text(owed)) end
call('HINCRBY', member, 'growth', text(-growth))
if member_less > 0 then call('INCRBY', counted[1], text(-member_less)) end
if terminal_less > 0 then call('INCRBY', counted[2], text(-terminal_less)) end
if earned_before then call('SET', counted[3], concat(kept, ';'), 'KEEPTTL') end
call('HSET', accrual, 'status', 'reversed', 'taken_back', text(back), 'owed', text(owed))
call('EXPIRE', accrual, SECONDS.REDEMPTION_RETENTION_SECONDS)
local balance = sum_of(holdings(lots, month), 'points')
if idempotency ~= '' then
  remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', text(back), text(owed), text(balance))
end
return {call_id, 0, 0, -1, -1, flat, back, owed, balance}
