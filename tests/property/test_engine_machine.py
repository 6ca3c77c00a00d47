"""A short run of the state machine of tests/support/engine/machine.py, and that it notices when a guard is gone.

The long run and all mutations: docs/explanation/testing.md.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.mutations import MUTATIONS, Mutation
from tests.run_mutations import killed_by
from tests.support.engine.bounds import check_bound_of_lots
from tests.support.engine.driver import Engine, running_engine
from tests.support.engine.machine import EngineMachine

EXAMPLES = 50
STEPS = 40


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine(Engine) as made:
        yield made


def test_a_member_has_a_bound_of_lots_and_what_comes_back_always_fits(engine: Engine) -> None:
    check_bound_of_lots(engine)


@pytest.mark.parametrize("mutation", [each for each in MUTATIONS if each.core], ids=lambda each: each.guard)
def test_without_this_guard_the_state_machine_fails(engine: Engine, mutation: Mutation) -> None:
    assert killed_by(mutation, engine.connection.address.port, seeds=10) is not None


def test_every_interleaving_of_all_calls_answers_and_leaves_what_the_model_says(engine: Engine) -> None:
    class Machine(EngineMachine):
        pass

    Machine.engine = engine
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
