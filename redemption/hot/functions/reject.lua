-- The answer to a key whose code is no genuine one, so that nothing is known of a member: what the key stands for already,
-- or this refusal, remembered (ADR 0004). Counts a guess of digits first.
--
-- keys: idempotency guess_terminal guess_outlet
-- args: fingerprint outcome detail guesses
--
--   detail             one word, kept for the repeat
--   guesses            1 for 18 digits that nobody made, else 0
--
-- returns: {outcome, replayed, seconds to wait or -1, detail}
--
-- Keeps I6, I12.

local wait = guesses == '1' and guessed_too_often(guess_terminal, guess_outlet, true)
if wait then return {OUTCOME.RATE_LIMITED, 0, wait, '-'} end
local seen = recorded(idempotency)
if seen then
  if integer(seen[2]) == OUTCOME.CANCELLED then return {OUTCOME.CANCELLED, 1, -1, '-'} end
  if seen[1] ~= fingerprint then return {OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, '-'} end
  return {integer(seen[2]), 1, -1, seen[6] or '-'}
end
remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, outcome, '-1', '-1', '-1', detail)
return {integer(outcome), 0, -1, detail}
