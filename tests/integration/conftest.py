"""What the tests of audit and rebuild share: both stores of a stack of their own, which a test may freeze and spoil.

own      a stack with one worker, of the module
environment   tills and members on it; most modules have an environment of their own, on the stack of the session
books    both stores of `own`, as the commands open them
"""

from collections.abc import AsyncIterator

import pytest

from tests.support.api.client import client_of
from tests.support.engine.http import Environment, open_environment
from tests.support.ledger.life import Books, books_of
from tests.support.servers.stack import Stack, running_stack


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Stack]:
    async with running_stack(workers=1) as running:
        yield running


@pytest.fixture(scope="module")
async def environment(own: Stack) -> AsyncIterator[Environment]:
    async with client_of(own) as tong:
        yield await open_environment(own, tong)


@pytest.fixture
async def books(own: Stack) -> AsyncIterator[Books]:
    async with books_of(own) as found:
        yield found
