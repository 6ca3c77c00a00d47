"""Guessing digits, simulated: an outlet whose every till was taken over guesses without a break for a day.

The chance of success that docs/explanation/security.md states is computed here from what the attack really got through:

    guesses that were answered in a day       <= 60 * (86 400 / 600 + 1)  = 8 700
    a guess is a code of some member number   1 / 1 562 500 for each key of the ring (tests/property proves the rate)
    that number is a member                   members / 100 000 000
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from redemption.domain.limits import (
    GUESS_WINDOW_SECONDS,
    GUESSES_IN_GROUP,
    GUESSES_PER_OUTLET,
    GUESSES_PER_OUTLET_THEN,
    GUESSES_PER_TERMINAL,
    MEMBER_NUMBERS,
)
from tests.support.engine import world
from tests.support.engine.driver import Engine, running_engine
from tokens.claims import Refused
from tokens.digits import TAGS, check_digit, derive_digits_key, read_digits

pytestmark = pytest.mark.alone

DAY = 86_400
STEP_SECONDS = 300
STOLEN_TILLS = 5
OUTLETS = 30
MEMBERS = 1_000_000
"""Of a large group, for the stated chance."""
ANSWERED_MAX = GUESSES_PER_OUTLET * (DAY // GUESS_WINDOW_SECONDS + 1)
START_MS = 1_795_881_600_000


@pytest.fixture
def engine() -> Iterator[Engine]:
    with running_engine(Engine) as made:
        yield made


def guess(random: Random) -> str:
    """The best a guesser without keys can do: right length, prefix and check digit, the rest by chance."""
    body = f"9{random.randrange(10**16):016d}"
    return f"{body}{check_digit(body)}"


def test_a_day_of_guessing_at_an_outlet_gets_few_answers_and_the_chance_of_one_code_is_as_stated(
    engine: Engine,
) -> None:
    engine.reset(world.configuration(world.POLICIES["grace"]), START_MS)
    tills = [replace(world.TERMINALS[0], terminal_id=f"trm_hotel_{number}") for number in range(STOLEN_TILLS)]
    keys = [derive_digits_key(bytes(range(32)), "test-1")]
    random = Random(20261122)  # the same guesses each time: what is drawn is not what is tested
    answered = hits = 0
    for second in range(0, DAY, STEP_SECONDS):
        slot = (START_MS // 1000 + second) // 2
        for till in tills:
            while engine.run(engine.redemptions.count_guesses(till)) is None:
                answered += 1
                hits += not isinstance(read_digits(guess(random), keys, slot), Refused)
        engine.advance(STEP_SECONDS)
    assert GUESSES_PER_TERMINAL * STOLEN_TILLS > GUESSES_PER_OUTLET, "else the outlet's bound is not what held"
    assert ANSWERED_MAX // 2 < answered <= ANSWERED_MAX, "the attack went on all day, and the bound held"
    assert hits == 0
    any_number = ANSWERED_MAX / TAGS
    some_member = any_number * MEMBERS / MEMBER_NUMBERS
    assert any_number < 0.006, "one code of any number in 170 days of guessing, on average"
    assert some_member < 0.000_06, "one code of a member in 45 years"


def test_many_outlets_together_get_little_more_than_the_groups_bound_and_an_honest_till_goes_on(
    engine: Engine,
) -> None:
    engine.reset(world.configuration(world.POLICIES["grace"]), START_MS)
    tills = [
        replace(world.TERMINALS[0], terminal_id=f"trm_{number}_{till}", outlet_id=f"out_{number}")
        for number in range(OUTLETS)
        for till in range(2)
    ]
    answered = 0
    for till in tills:  # one outlet after the other, as much as it can
        while engine.run(engine.redemptions.count_guesses(till)) is None:
            answered += 1
    assert answered > GUESSES_IN_GROUP, "the bound of the group was met"
    assert answered <= GUESSES_IN_GROUP + OUTLETS * GUESSES_PER_OUTLET_THEN
    assert engine.run(engine.redemptions.count_guesses(world.TERMINALS[2], guesses=0)) is None, "it never guessed"
    engine.advance(GUESS_WINDOW_SECONDS)
    assert engine.run(engine.redemptions.count_guesses(tills[0])) is None, "the next window begins anew"


def test_without_the_bound_the_same_day_would_be_long_enough() -> None:
    """The control: a till that asks a hundred times a second would hit a number within hours."""
    unbounded = 100 * DAY
    assert 1 - (1 - 1 / TAGS) ** unbounded > 0.99
