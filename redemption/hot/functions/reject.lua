-- The answer to a key whose code is no genuine one, so that nothing is known of a member: what the key stands for already,
-- or this refusal, remembered (ADR 0004). Counts the call, and a guess of digits, first.
--
-- keys: idempotency guess_terminal guess_outlet rate_terminal rate_outlet
-- args: till fingerprint outcome detail guesses
--
--   detail             one word, kept for the repeat
--   guesses            1 for 18 digits that nobody made, else 0
--
-- returns: {outcome, replayed, seconds to wait or -1, detail, whose rate is exceeded or -1}
--
-- Keeps I6, I12.

local here = till_named(till)
local exceeded, _, reset = over_rate(here, now(), rate_terminal, rate_outlet, '')
if exceeded then return {OUTCOME.RATE_LIMITED, 0, reset, '-', exceeded} end
local wait = guesses == '1' and guessed_too_often(here, guess_terminal, guess_outlet, true)
if wait then return {OUTCOME.RATE_LIMITED, 0, wait, '-', 4} end
local seen = recorded(idempotency)
if seen then
  if integer(seen[2]) == OUTCOME.CANCELLED then return {OUTCOME.CANCELLED, 1, -1, '-', -1} end
  if seen[1] ~= fingerprint then return {OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, '-', -1} end
  return {integer(seen[2]), 1, -1, seen[6] or '-', -1}
end
remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, outcome, '-1', '-1', '-1', detail)
return {integer(outcome), 0, -1, detail, -1}
