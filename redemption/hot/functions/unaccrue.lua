-- Reverses an accrual: takes back what is left in its lot and records the rest as owed.
--
-- keys: accrual ledger
-- args: call_id idempotency fingerprint business lots_prefix member_prefix utc_offset window_seconds context
--
-- returns: {call_id, outcome, replayed, asked, available [, record, taken back, owed, balance]}
--
-- Keeps I1, I2: a balance is never pushed below nothing.

if frozen(ledger) then return {call_id, OUTCOME.UNAVAILABLE, known(idempotency), -1, -1} end
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
local flat = call('HGETALL', accrual)
local record = {}
for i = 1, #flat, 2 do record[flat[i]] = flat[i + 1] end
if #flat == 0 or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND, 0, -1, -1} end
local seconds, millis = now()
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
local growth = integer(record.growth)
local moves = {}
if back > 0 then moves[1] = move('points', record.lot, 'A', 'I', back) end
append(ledger, 'reverse', record.id, record.member, millis, moves, context)
if back > 0 then add_to_lot(lots, 'points', record.lot, -back) end
if owed > 0 then call('HINCRBY', member, 'owed', text(owed)) end
call('HINCRBY', member, 'growth', text(-growth))
call('HSET', accrual, 'status', 'reversed', 'taken_back', text(back), 'owed', text(owed))
call('EXPIRE', accrual, SECONDS.REDEMPTION_RETENTION_SECONDS)
local balance = sum_of(holdings(lots, month), 'points')
if idempotency ~= '' then
  remember(idempotency, SECONDS.REDEMPTION_RETENTION_SECONDS, fingerprint, '0', text(back), text(owed), text(balance))
end
return {call_id, 0, 0, -1, -1, flat, back, owed, balance}
