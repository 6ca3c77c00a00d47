-- One scan, one atomic basket: idempotency, code, member, funds, deduction, record and ledger entry, or nothing.
--
-- keys: idempotency member lots code redemption ledger
-- args: redemption_id fingerprint verdict verdict_leg verdict_asked verdict_available member_id marker code_time
-- args: utc_offset context legs
--
--   verdict …          what the gateway already found (0: nothing). It takes its place in the order of precedence with
--                      what is found here, so that a caller hears the same reason wherever it was seen.
--   marker             the field of the code hash: the nonce of a JWT code, or "digits"
--   code_time          when the code was made, seconds
--   utc_offset         of the group's time zone, seconds: months of expiry end there
--   context            JSON for the ledger and the record; opaque here
--   legs               "points,2000;…" in the order of the request
--
-- returns: {redemption_id, outcome, replayed, leg, asked, available [, record]}; record is field, value, …
--
-- Keeps I2 (nothing negative), I4 (refused: no change but the mark of the key), I5, I6, I11, I12.

local answered = replay(idempotency, redemption, redemption_id, fingerprint)
if answered then return answered end

local seconds, millis = now()
local state = redis.call('HMGET', member, 'tier', 'name', 'status', 'codes_valid_from')
if not state[1] then
  return {redemption_id, OUTCOME.MEMBER_MISSING, 0, -1, -1, -1}
end

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
  local uses = redis.call('HMGET', code, marker, 'digits')
  if uses[1] or uses[2] then consider(OUTCOME.CODE_USED) end
end
if state[4] and tonumber(code_time) < integer(state[4]) then consider(OUTCOME.CODE_REVOKED) end
if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end

local spendable, points = spendable_lots(lots, month_of(seconds, tonumber(utc_offset)))
local lot, left = 1, spendable[1] and spendable[1][2] or 0
local taken, moves = {}, {}
local deductions, order = {}, {}
local leg_index = 0
for kind, amount in string.gmatch(legs, '(%a+),(%d+)') do
  if leg_index >= LIMIT.LEGS_MAX then error({err = 'LIMIT more legs than a basket may have'}) end
  local wanted = integer(amount)
  if kind == 'points' then
    if wanted > points then
      consider(OUTCOME.POINTS_INSUFFICIENT, leg_index, wanted, points)
      break
    end
    points = points - wanted
    while wanted > 0 do
      local name = spendable[lot][1]
      local part = math.min(wanted, left)
      if not deductions[name] then
        deductions[name] = 0
        order[#order + 1] = name
      end
      deductions[name] = deductions[name] + part
      taken[#taken + 1] = leg_index .. ',' .. name .. ',' .. text(part)
      moves[#moves + 1] = 'points,' .. name .. ',A,R,' .. text(part)
      wanted, left = wanted - part, left - part
      if left == 0 and spendable[lot + 1] then
        lot = lot + 1
        left = spendable[lot][2]
      end
    end
  end
  leg_index = leg_index + 1
end

if outcome ~= 0 then
  return refuse(idempotency, redemption_id, fingerprint, outcome, leg, asked, available)
end
if redis.call('EXISTS', redemption) == 1 then
  return {redemption_id, OUTCOME.LIMIT_REACHED, 0, -1, -1, -1}
end

-- From here on everything is written. The ledger entry first: see prelude.lua.
redis.call('XADD', ledger, '*', 'v', '1', 'kind', 'redeem', 'id', redemption_id, 'member', member_id,
  'at', text(millis), 'moves', table.concat(moves, ';'), 'context', context)
for _, name in ipairs(order) do
  if redis.call('HINCRBY', lots, name, '-' .. text(deductions[name])) == 0 then
    redis.call('HDEL', lots, name)
  end
end
redis.call('HSET', code, marker, redemption_id)
redis.call('EXPIRE', code, LIMIT.CODE_MARKER_SECONDS)
local record = {
  'id', redemption_id, 'status', 'captured', 'at', text(millis), 'member', member_id, 'tier', state[1], 'name', state[2] or '',
  'taken', table.concat(taken, ';'), 'balance', text(points) .. ',0,0', 'context', context,
}
redis.call('HSET', redemption, unpack(record))
redis.call('EXPIRE', redemption, LIMIT.REDEMPTION_RETENTION_SECONDS)
redis.call('SET', idempotency, fingerprint .. ' 0 ' .. redemption_id, 'EX', LIMIT.REDEMPTION_RETENTION_SECONDS)
return {redemption_id, 0, 0, -1, -1, -1, record}
