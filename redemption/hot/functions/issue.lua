-- Value into a member's lots, once per issue id: opening balances, granted benefits, paid-in money, corrections in the
-- member's favour.
--
-- keys: issued lots ledger
-- args: issue_id member_id context lots_text
--
--   issued       marker of this issue id; a repeat changes nothing
--   lots_text    "<asset>/<lot>=<amount>;…"
--
-- returns: {issue_id, outcome, replayed}
--
-- Keeps I1 (issued equals what reached the lots), I3 (one entry an issue).

if frozen(ledger) then return {issue_id, OUTCOME.UNAVAILABLE, 0} end
if call('EXISTS', issued) == 1 then return {issue_id, 0, 1} end
local entries, moves = {}, {}
for i, words in ipairs(split(lots_text, ';', LIMIT.LOTS_MAX)) do
  local asset, lot, amount = string.match(words, '^([%w:_-]+)/([%w%.%-_]+)=(%d+)$')
  if not asset then error({err = 'LIMIT a lot is not well formed'}) end
  entries[i] = {asset, lot, integer(amount)}
  if entries[i][3] == 0 then error({err = 'LIMIT an issue of nothing'}) end
  moves[i] = move(asset, lot, 'I', 'A', entries[i][3])
end
local count = call('HLEN', lots)
for _, entry in ipairs(entries) do
  local present = call('HGET', lots, entry[1] .. '/' .. entry[2])
  if not present then count = count + 1 end
  if integer(present or 0) + entry[3] > LIMIT.POINTS_MAX then return {issue_id, OUTCOME.LIMIT_REACHED, 0} end
end
if #entries == 0 or count > LIMIT.LOTS_MAX then return {issue_id, OUTCOME.LIMIT_REACHED, 0} end
local _, millis = now()
append(ledger, 'issue', issue_id, member_id, millis, moves, context)
for _, entry in ipairs(entries) do add_to_lot(lots, entry[1], entry[2], entry[3]) end
call('SET', issued, '1', 'EX', SECONDS.REDEMPTION_RETENTION_SECONDS)
return {issue_id, 0, 0}
