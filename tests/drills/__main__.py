"""Runs the drills one after another: `python -m tests.drills [--list] [--only TEXT] [--seed N]`.

One line a drill. Ends with status 1 when one failed; one that could not run here is named and is not counted as passed.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import asyncio
import random
import re
import signal
import sys
import time

from tests.drills.catalogue import DRILLS
from tests.drills.drill import Drill, Result
from tests.drills.mutations import MUTATED, Mutated


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    asked.add_argument("--list", action="store_true", help="names and promises, and no more")
    asked.add_argument("--only", default="", help="drills with this text in their name; several separated by commas")
    asked.add_argument("--mutations", action="store_true", help="mutated builds, each of which has to fail its drill")
    asked.add_argument("--seed", type=int, help="replays a run; a random one otherwise")
    wanted = asked.parse_args()
    words = wanted.only.split(",")
    chosen = [drill for drill in DRILLS if any(word in drill.name for word in words)]
    if wanted.list:
        for drill in chosen:
            print(f"{drill.name:24} {drill.fault}\n    {' '.join((drill.__doc__ or '').split())}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended too
    seed = wanted.seed if wanted.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    if wanted.mutations:
        return run_mutated([mutated for mutated in MUTATED if any(word in mutated.name for word in words)], seed)
    return run(chosen, seed)


def run(chosen: list[type[Drill]], seed: int) -> int:
    """Runs them; 0 when none failed."""
    print(f"{len(chosen)} drills, seed {seed} (--seed {seed} replays)", flush=True)
    began, results = time.monotonic(), list[Result]()
    for drill in chosen:
        result = asyncio.run(drill(seed).run())
        results.append(result)
        print(result.line(), flush=True)
        for sentence in result.wrong[1:]:
            print(f"    {sentence}", flush=True)
    failed = [result.name for result in results if result.wrong]
    not_run = [result.name for result in results if result.not_run]
    passed = len(results) - len(failed) - len(not_run)
    print(f"{passed} passed, {len(failed)} failed, {len(not_run)} not run, in {time.monotonic() - began:.0f} s")
    for what, names in (("failed", failed), ("not run", not_run)):
        if names:
            print(f"{what}: {', '.join(names)}")
    return 1 if failed or not chosen else 0


def run_mutated(chosen: list[Mutated], seed: int) -> int:
    """Runs each mutated build through its drill; 0 when all of them failed it."""
    survived = 0
    for mutated in chosen:
        result = asyncio.run(mutated.build(seed).run())
        # A stack that did not even start has found nothing: the judge has to name an invariant.
        broken = [sentence for sentence in result.wrong if re.match(r"I\d+:", sentence)]
        survived += not broken
        why = broken[0] if broken else f"SURVIVED {result.not_run or result.wrong}"
        print(f"{mutated.name:46} {mutated.drill.name:18} {result.took:4.0f} s  {why[:300]}", flush=True)
    print(
        f"{len(chosen) - survived} of {len(chosen)} mutated builds fail the drill that is meant for them, seed {seed}"
    )
    return 1 if survived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
