-- Takes a hold, whole or in part; the rest is released. A hold whose time has run out is expired instead.
--
-- keys: redemption holds ledger cancelled
-- args: call_id till till_key idempotency fingerprint business currency lots_prefix member_prefix utc_offset policy context wants
-- args: bill
--
--   idempotency        the record of the till's key, or empty
--   lots_prefix …      keys of the member, which only the record names
--   bill               JSON of the bill as it has become, or empty: as it was; every later view shows it
--   wants              "points,1500;benefit:breakfast,1;CNY,5000" or empty for all
--
-- returns: {call_id, outcome, replayed, asked, available [, record, state]}
--
-- Keeps I1, I2 (never more than the hold), I9 (one end of a hold).

local reply, record, millis, month, lots, member = open_step(ledger, idempotency, call_id, fingerprint, redemption, business,
  utc_offset, lots_prefix, member_prefix, till, cancelled, till_key)
if reply then return reply end
local ended = hold_ended(record, millis, redemption, holds, ledger, lots, member, month, policy)
if ended then return refuse_step(idempotency, call_id, fingerprint, ended) end

local wanted, order
if wants ~= '' then wanted, order = wanted_assets(wants) end
for _, part in ipairs(record.parts) do
  part.captured = part.taken
  if wanted then
    local left = wanted[part.asset] or 0
    part.captured = math.min(left, part.taken)
    wanted[part.asset] = left - part.captured
  end
end
for _, asset in ipairs(order or {}) do
  local left = wanted[asset]
  if left > 0 then
    local held = 0
    for _, part in ipairs(record.parts) do
      if part.asset == asset then held = held + part.taken end
    end
    return refuse_step(idempotency, call_id, fingerprint, OUTCOME.EXCEEDS_HOLD, held + left, held)
  end
end

local moves, credits = {}, {}
for _, part in ipairs(record.parts) do
  if part.captured > 0 then moves[#moves + 1] = move(part.asset, part.lot, 'H', 'R', part.captured) end
  give_back(moves, credits, 'H', part, part.taken - part.captured, month, policy)
end
local fields = lots_with(lots, credits)
append(ledger, 'capture', record.id, record.member, millis, moves, context)
write_lots(lots, fields)
uncount(record.uses, record.parts, function(part) return part.taken - part.captured end)
local points = points_of(record.parts, 'taken')
if points > 0 then call('HINCRBY', member, 'held', text(-points)) end
call('ZREM', holds, record.id)
record.status, record.captured, record.captured_at = 'captured', progress(record.parts, 'captured'), text(millis)
if bill ~= '' then record.bill = bill end
keep_record(redemption, record)
return step_done(idempotency, call_id, fingerprint, record,
  snapshot(record, 'captured', lots, member, currency, month, millis))
