-- Blocks or unblocks a member, and revokes codes. Changes no value, so the ledger has no entry of it.
--
-- keys: member
-- args: status codes_valid_from
--
--   status             'active' or 'blocked'
--   codes_valid_from   seconds: every code of a slot before it is refused; empty leaves that as it is
--
-- returns: {1, or 0 when there is no such member}

if call('EXISTS', member) == 0 then return {0} end
call('HSET', member, 'status', status)
if codes_valid_from ~= '' then call('HSET', member, 'codes_valid_from', text(integer(codes_valid_from))) end
return {1}
