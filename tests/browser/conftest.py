"""One browser for all tests of this folder; the stack is the session's (tests/conftest.py), the pages are built."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from gateway.pages.build import build
from tests.support.pages.browser import WAIT_MS, browsing


@pytest.fixture(scope="session", autouse=True)
def pages() -> None:
    """As `make pages`: nothing when the sources are as they were."""
    build()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=WAIT_MS)  # five seconds are little where other work shares the machine
    async with browsing() as running:
        yield running
