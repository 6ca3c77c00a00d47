"""The long run of the engine's state machine: `python -m tests.run_engine_machine --steps 200000 --seed 1`.

One seed after another, EXAMPLES examples each, until so many calls were made; docs/explanation/testing.md says what the
last run found. A failure prints the seed and Hypothesis's shrunk example and ends the run.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import signal
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.engine.checks import Checked
from tests.support.engine.driver import Engine, running_engine
from tests.support.engine.machine import EngineMachine

EXAMPLES = 100
STEPS = 50


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--steps", type=int, default=200_000)
    asked.add_argument("--seconds", type=float, default=3_600.0)
    asked.add_argument("--seed", type=int, default=1, help="the first one")
    asked.add_argument("--no-shrink", action="store_true")
    wanted = asked.parse_args()
    phases = (Phase.generate,) if wanted.no_shrink else (Phase.generate, Phase.shrink)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is ended too
    started, number = time.monotonic(), wanted.seed
    try:
        with running_engine(Engine) as engine:
            EngineMachine.engine = engine
            while Checked.steps < wanted.steps and time.monotonic() - started < wanted.seconds:
                run_seed(number, phases)
                print(f"seed {number}: {Checked.steps} calls in {time.monotonic() - started:.0f} s", flush=True)
                number += 1
    finally:
        print(f"seeds {wanted.seed} to {number - 1} passed, {Checked.steps} calls")
        for name, times in sorted(Counter(Checked.applied).items()):
            print(f"  {times:8d}  {name}")


def run_seed(number: int, phases: tuple[Phase, ...]) -> None:
    """EXAMPLES examples of one seed."""

    class Machine(EngineMachine):
        pass

    run_state_machine_as_test(
        seed(number)(Machine),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


if __name__ == "__main__":
    main()
