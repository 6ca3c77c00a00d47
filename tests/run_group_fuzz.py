"""The long run of the group file's fuzz: `python -m tests.run_group_fuzz --pairs 2000 --seed 1`.

Valid files are loaded with `--prune` from valid states on real stores (tests/support/fuzzing/random_groups.py). The run
ends with the number of the pair and the seed where a load came to anything else than what the file says.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import asyncio
import random
import time

from tests.support.fuzzing.random_groups import fuzz_groups
from tests.support.servers.postgres import private_postgres
from tests.support.servers.private_servers import private_valkey


async def run(pairs: int, seed: int) -> None:
    began = time.monotonic()
    with private_postgres() as postgres:
        async with private_valkey() as valkey:
            walked = await fuzz_groups(postgres, valkey, pairs=pairs, seed=seed)
    print(
        f"seed {seed}: {walked.pairs} pairs, {walked.loaded} loaded as the file says, {walked.refused} refused whole,"
        f" {walked.unpruned} states made by loads without --prune, {time.monotonic() - began:.0f} s"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pairs", type=int, default=2_000)
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    wanted = asked.parse_args()
    print(f"seed {wanted.seed}")
    asyncio.run(run(wanted.pairs, wanted.seed))


if __name__ == "__main__":
    main()
