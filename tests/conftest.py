"""What every test may ask for: one real stack for the whole session, and a client of it.

stack           `tong up` with two gateway workers, started once; tests make members of their own in it. At the end of
                the session the invariants must hold over all that the tests did, no key may be kept for ever that
                the key space does not allow, and no function may have lacked a right of the user who called it.
tong            a client of that stack
private_stack   makes a stack that a test may break: `async with private_stack(workers=1) as own`
postgres        a PostgreSQL without a stack, started once; it makes a fresh database for each test. What stops it, or
                changes its settings, starts one of its own
pool            connections to such a database, with the businesses of tests/support/settlement/settlement.py
chance          a source of random numbers whose seed is printed
"""

import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from loadtest.auditor import find_violations
from redemption.database import Pool
from tests.support.api.client import TongClient, client_of
from tests.support.ledger.oracle import until_drained
from tests.support.servers.key_space import lasting_keys_not_allowed
from tests.support.servers.postgres import PrivatePostgres, private_postgres
from tests.support.servers.stack import Stack, running_stack
from tests.support.servers.store_users import refused_inside_functions
from tests.support.settlement.settlement import group_pool
from tests.support.suite.file_order import put_longest_files_first
from tests.support.suite.tiers import MARKERS, tier_of


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(tier_of(item.path, Path(__file__).parent))
    put_longest_files_first(items)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack(workers=2) as running:
        yield running
        async with running.hot() as hot, running.ledger() as ledger:
            await until_drained(hot, ledger)
            assert await find_violations(hot, ledger) == []
            assert await lasting_keys_not_allowed(hot) == []
            assert await refused_inside_functions(hot) == []


@pytest.fixture(scope="session")
async def tong(stack: Stack) -> AsyncIterator[TongClient]:
    async with client_of(stack) as client:
        yield client


@pytest.fixture
def private_stack() -> Callable[..., AbstractAsyncContextManager[Stack]]:
    return running_stack


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture
async def pool(postgres: PrivatePostgres) -> AsyncIterator[Pool]:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as opened:
        yield opened


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"{request.node.name}: seed {seed}\n")
    return random.Random(seed)
