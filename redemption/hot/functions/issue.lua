-- Points into a member's lots, once per issue id: opening balances, campaigns, corrections in the member's favour.
--
-- keys: issued lots ledger
-- args: issue_id member_id context lots_text
--
--   issued       marker of this issue id; a repeat changes nothing
--   lots_text    "<yyyymm>.<issuer>=<points>;…"
--
-- returns: {issue_id, outcome, replayed}
--
-- Keeps I1 (issued equals what reached the lots), I3 (one entry an issue).

if redis.call('EXISTS', issued) == 1 then return {issue_id, 0, 1} end
local names, points, moves = {}, {}, {}
for name, amount in string.gmatch(lots_text, '([%w%.%-_]+)=(%d+)') do
  names[#names + 1] = name
  points[#points + 1] = integer(amount)
  moves[#moves + 1] = 'points,' .. name .. ',I,A,' .. amount
end
if #names == 0 or redis.call('HLEN', lots) + #names > LIMIT.LOTS_MAX then
  return {issue_id, OUTCOME.LIMIT_REACHED, 0}
end
for i = 1, #names do
  local present = redis.call('HGET', lots, names[i])
  if integer(present or 0) + points[i] > LIMIT.POINTS_MAX then
    return {issue_id, OUTCOME.LIMIT_REACHED, 0}
  end
end
local _, millis = now()
redis.call('XADD', ledger, '*', 'v', '1', 'kind', 'issue', 'id', issue_id, 'member', member_id,
  'at', text(millis), 'moves', table.concat(moves, ';'), 'context', context)
for i = 1, #names do
  redis.call('HINCRBY', lots, names[i], text(points[i]))
end
redis.call('SET', issued, '1', 'EX', LIMIT.REDEMPTION_RETENTION_SECONDS)
return {issue_id, 0, 0}
