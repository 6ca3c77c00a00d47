-- Writes a member's state where scans read it: of a new member, or of one whose state changed. Changes no value, so the
-- ledger has no entry of it.
--
-- keys: member
-- args: tier name status
--
-- returns: {1 when the member is new, 0 when the state was replaced}

local fresh = 1 - call('EXISTS', member)
call('HSET', member, 'tier', tier, 'name', name, 'status', status)
return {fresh}
