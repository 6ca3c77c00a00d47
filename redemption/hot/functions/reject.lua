-- The answer to a key whose code cannot be read, so that neither the member nor the bucket is known: what the key stands for
-- already, or a refusal, remembered (ADR 0004, ADR 0010). Counts the call first, but for a cancel whose key is known: that
-- goes on to cancel.lua, which counts it.
--
-- keys: idempotency guess_terminal guess_outlet
-- args: till fingerprint outcome detail guesses frozen_names
--
--   fingerprint        of the request; "-" for a cancel, which leaves a tombstone beside its refusal
--   detail             one word, kept for the repeat
--   guesses            1 for 18 digits that nobody made, else 0
--   frozen_names       the keys of whose buckets any may have held this key's record, by blanks; empty where no code of this
--                      text was ever taken
--
-- returns: {outcome, seconds to wait or -1, record, RATE_SUBJECT whose rate is exceeded or -1}; the record is what the key
--          stands for, and the outcome 0; or it is empty
--
-- Keeps I6, I12. The key comes first: a repeat is never a guess.

local here = till_named(till)
local seconds = now()
local seen = call('GET', idempotency)
if not seen or fingerprint ~= '-' then
  local exceeded, _, reset = over_rate(here, seconds)
  if exceeded then return {OUTCOME.RATE_LIMITED, reset, '', exceeded} end
end
if seen then return {0, -1, seen, -1} end
-- A rebuild takes the records of a frozen bucket's keys away before it writes them anew.
for _, name in ipairs(split(frozen_names, ' ', LIMIT.BUCKETS_MAX)) do
  if call('EXISTS', name) == 1 then return {OUTCOME.UNAVAILABLE, -1, '', -1} end
end
local wait = guesses == '1' and guessed_too_often(here, guess_terminal, guess_outlet, true)
if wait then return {OUTCOME.RATE_LIMITED, wait, '', RATE_SUBJECT.GUESSES} end
if fingerprint == '-' then
  remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, '-', text(OUTCOME.CANCELLED))
else
  remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, outcome, '-1', '-1', '-1', detail)
end
return {integer(outcome), -1, '', -1}
