-- Counts an 18-digit code that nobody made, per terminal and outlet, so that guessing ends long before it succeeds; or
-- only asks, for a genuine one that another function than redeem will use: who may guess no more learns nothing.
--
-- keys: guess_terminal guess_outlet
-- args: guesses
--
--   guesses            1: this was a guess; 0: only asks
--
-- returns: {1 when the terminal or the outlet has guessed too often, seconds until it may try again}

local most, wait = 0, 0
for i, key in ipairs({guess_terminal, guess_outlet}) do
  local count = tonumber(redis.call('GET', key) or 0)
  if guesses == '1' then
    count = redis.call('INCR', key)
    if count == 1 then redis.call('EXPIRE', key, LIMIT.GUESS_WINDOW_SECONDS) end
    count = count - 1
  end
  if count >= (i == 1 and LIMIT.GUESSES_PER_TERMINAL or LIMIT.GUESSES_PER_OUTLET) then
    most, wait = 1, math.max(wait, redis.call('TTL', key))
  end
end
return {most, wait}
