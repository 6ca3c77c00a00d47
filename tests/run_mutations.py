"""Takes the guards out of the functions one by one and expects tests to fail: `python -m tests.run_mutations`.

Prints a table, guard and what killed it. Ends with status 1 when one survives, or when a guard's text is not found.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import signal
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import run_state_machine_as_test

from redemption.hot.connection import HotStoreFault
from tests.mutations import MUTATIONS, Mutation
from tests.support.engine.bounds import check_bound_of_lots
from tests.support.engine.driver import Engine, frozen_library
from tests.support.engine.machine import EngineMachine
from tests.support.servers.private_servers import ValkeyServer

SEEDS = 20
EXAMPLES = 40
STEPS = 50


def killed_by(mutation: Mutation, port: int, *, seeds: int = SEEDS) -> str | None:
    """What failed without the guard; None when it survived."""
    engine = Engine(port, frozen_library(mutation.changes))
    try:
        if mutation.bounds:
            check_bound_of_lots(engine)
        for number in range(1, 1 if mutation.bounds else seeds + 1):
            run_machine(engine, number)
    except (AssertionError, HotStoreFault, ValueError, ExceptionGroup, HypothesisException) as failure:
        return f"{type(failure).__name__}: {failure}".splitlines()[0]
    finally:
        engine.close()
    return None


def run_machine(engine: Engine, number: int) -> None:
    """Some examples of the state machine from a seed, without shrinking."""

    class Machine(EngineMachine):
        pass

    Machine.engine = engine
    run_state_machine_as_test(
        seed(number)(Machine),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--only", default="", help="guards with this text in their name")
    wanted = asked.parse_args()
    chosen = [mutation for mutation in MUTATIONS if wanted.only in mutation.guard]
    survived = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is ended too
    server = ValkeyServer("--appendonly", "no")
    try:
        server.start()
        for mutation in chosen:
            started = time.monotonic()
            killer = killed_by(mutation, server.port)
            survived += killer is None
            took = time.monotonic() - started
            print(f"{mutation.guard:55} {took:6.1f} s  {killer[:110] if killer else 'SURVIVED'}", flush=True)
    finally:
        server.remove()
    print(f"{len(chosen) - survived} of {len(chosen)} guards are missed when they are gone")
    return 1 if survived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
