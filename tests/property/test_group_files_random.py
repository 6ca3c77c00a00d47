"""Any valid group file loads from any valid state with `--prune`: it ends in what it says, or is refused whole.

A hundred pairs here; `python -m tests.run_group_fuzz --pairs 2000` is the long run (docs/explanation/testing.md).
"""

import random

import pytest

from tests.support.fuzzing.random_groups import fuzz_groups
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import private_valkey

PAIRS = 100


@pytest.mark.timeout(300)
async def test_a_pruned_load_ends_in_what_the_file_says_or_is_refused_whole(
    postgres: PrivatePostgres, chance: random.Random
) -> None:
    async with private_valkey() as valkey:
        walked = await fuzz_groups(postgres, valkey, pairs=PAIRS, seed=chance.randrange(2**32))
    assert walked.loaded > 0.4 * PAIRS, walked
    assert walked.refused > 0, f"nothing was refused, so refusing was not tried: {walked}"
