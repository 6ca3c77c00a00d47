-- Counts an 18-digit code that nobody made, per terminal, outlet and group, so that guessing ends long before it succeeds; or
-- only asks, for a genuine one that another function than redeem will use: who may guess no more learns nothing.
--
-- keys: guess_terminal guess_outlet
-- args: till guesses
--
--   guesses            1: this was a guess; 0: only asks
--
-- returns: {1 when the terminal or the outlet has guessed too often, seconds until it may try again}

local wait = guessed_too_often(till_named(till), guess_terminal, guess_outlet, guesses == '1')
return {wait and 1 or 0, wait or 0}
