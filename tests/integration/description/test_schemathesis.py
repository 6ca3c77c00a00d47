"""What schemathesis makes of /openapi.json: every answer is one that the document has, and none is a fault.

On a stack of its own, for it adds agreements and closes months. The short run; `python -m tests.run_schemathesis` is
the long one. What is left out stands in tests/support/fuzzing/schemathesis.toml, with the reasons.
"""

import random
import re
from collections.abc import AsyncIterator

import pytest

from tests.run_schemathesis import run_schemathesis, runs
from tests.support.servers.stack import Stack, running_stack

EXAMPLES = 2
_CASES = re.compile(r"(\d+) generated")


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Stack]:
    async with running_stack(workers=1) as running:
        yield running


async def nothing_found(stack: Stack, name: str, *arguments: str) -> int:
    """How many cases were tried without a finding."""
    seed = random.randrange(2**31)
    run = next(run for run in runs(stack) if run.name == name)
    status, said = await run_schemathesis(stack, run, EXAMPLES, seed, *arguments)
    assert status == 0, f"{name}, seed {seed}\n{said}"
    found = _CASES.search(said)
    assert found is not None, said
    return int(found[1])


async def test_calls_of_tills_members_and_operations_are_answered_as_the_document_says(own: Stack) -> None:
    assert await nothing_found(own, "tills, members, operations") > 300


async def test_calls_of_settlement_are_answered_as_the_document_says(own: Stack) -> None:
    assert await nothing_found(own, "settlement") > 300


async def test_a_caller_at_calls_that_are_not_its_own_is_answered_as_the_document_says(own: Stack) -> None:
    assert await nothing_found(own, "each call by a stranger", "--phases", "examples") > 30
