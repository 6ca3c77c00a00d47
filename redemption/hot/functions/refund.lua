-- Gives back what was captured, whole or in part, to the lots it came from, the last to expire first.
--
-- keys: redemption ledger cancelled
-- args: call_id till till_key idempotency fingerprint business currency lots_prefix member_prefix utc_offset policy window_seconds
-- args: context wants
--
-- returns: {call_id, outcome, replayed, asked, available [, record, state]}
--
-- Keeps I1, I2: never more than was captured, over all refunds.

local reply, record, millis, month, lots, member = open_step(ledger, idempotency, call_id, fingerprint, redemption, business,
  utc_offset, lots_prefix, member_prefix, till, cancelled, till_key)
if reply then return reply end
if record.status == 'held' then
  -- The same answer before the sweeper came by and after.
  if integer(record.hold_until) <= millis then
    return refuse_step(idempotency, call_id, fingerprint, OUTCOME.HOLD_EXPIRED)
  end
  return refuse_step(idempotency, call_id, fingerprint, OUTCOME.EXCEEDS_REDEMPTION, -1, 0)
end
if record.status ~= 'captured' and record.status ~= 'partially_refunded' then
  return refuse_step(idempotency, call_id, fingerprint, STATUS_OUTCOME[record.status])
end

local wanted, order
if wants ~= '' then wanted, order = wanted_assets(wants) end
local whole = true
for i = #record.parts, 1, -1 do
  local part = record.parts[i]
  part.refund = part.captured - part.refunded
  if wanted then
    local left = wanted[part.asset] or 0
    local refund = math.min(left, part.refund)
    wanted[part.asset] = left - refund
    whole = whole and refund == part.refund
    part.refund = refund
  end
end
for _, asset in ipairs(order or {}) do
  local left = wanted[asset]
  if left > 0 then
    local refundable = 0
    for _, part in ipairs(record.parts) do
      if part.asset == asset then refundable = refundable + part.captured - part.refunded end
    end
    return refuse_step(idempotency, call_id, fingerprint, OUTCOME.EXCEEDS_REDEMPTION, refundable + left, refundable)
  end
end
if millis - integer(record.captured_at or record.at) > tonumber(window_seconds) * 1000 then
  return refuse_step(idempotency, call_id, fingerprint, OUTCOME.WINDOW_CLOSED)
end

readable(record, nil, lots, member, month)
local status = whole and 'refunded' or 'partially_refunded'
give_back_captured(record, redemption, ledger, lots, 'refund', status, month, policy, millis, context)
return step_done(idempotency, call_id, fingerprint, record,
  snapshot(record, status, lots, member, currency, month, millis))
