-- Counts an 18-digit code that nobody made, per terminal and outlet, so that guessing ends long before it succeeds.
--
-- keys: guess_terminal guess_outlet
--
-- returns: {1 when the terminal or the outlet has guessed too often, seconds until it may try again}

local most, wait = 0, 0
for i, key in ipairs({guess_terminal, guess_outlet}) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('EXPIRE', key, LIMIT.GUESS_WINDOW_SECONDS) end
  if count > (i == 1 and LIMIT.GUESSES_PER_TERMINAL or LIMIT.GUESSES_PER_OUTLET) then
    most, wait = 1, math.max(wait, redis.call('TTL', key))
  end
end
return {most, wait}
