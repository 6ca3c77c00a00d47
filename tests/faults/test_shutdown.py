"""A worker ends within its bound after a signal and closes each of its parts, whatever holds on to it."""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.server.worker_processes import STOP_SECONDS
from loadtest.processes import children, standing_still
from tests.support.api.client import client_of
from tests.support.api.event_streams import listening
from tests.support.servers.stack import Stack, running_stack
from tests.support.suite.waiting import wait_until

STREAMS = 3


LEFT_BEHIND = ("left behind", "did not close", "graceful shutdown exceeded", "Traceback")


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Stack]:
    async with running_stack(workers=1) as running:
        yield running


@pytest.fixture
async def stack(own: Stack) -> Stack:
    """The stack with a worker that serves: each test here ends one."""

    ready = own.home / "ready" / "gateway.0"

    def serves() -> bool:
        pid = own.pid("gateway")
        return Path(f"/proc/{pid}").exists() and ready.exists() and ready.read_text() == str(pid)

    await wait_until("a worker serves", serves, seconds=60)
    return own


async def stopped(stack: Stack) -> float:
    """Tells the worker to stop; how long it took to be gone, with exit status 0."""
    pid, began = stack.pid("gateway"), time.monotonic()
    os.kill(pid, signal.SIGTERM)
    await wait_until("the worker is gone", lambda: f"(pid {pid}) died" in stack.said, seconds=STOP_SECONDS + 30)
    assert f"(pid {pid}) died, exit status 0" in stack.said
    return time.monotonic() - began


@contextmanager
def frozen(*servers: int) -> Iterator[None]:
    """These processes and their children stand still."""
    with standing_still([pid for server in servers for pid in (server, *(each.pid for each in children(server)))]):
        yield


async def test_a_worker_with_open_pages_closes_every_part_in_time(stack: Stack) -> None:
    async with AsyncExitStack() as pages:
        member = await stack.member(("hotel", 100, 2))
        tong = await pages.enter_async_context(client_of(stack))
        streams = [
            await pages.enter_async_context(listening(tong.http, path, token))
            for path, token in (
                ("/v1/me/events", member.access_token),
                ("/v1/ops/events", str(stack.demo["admin_api_key"])),
            )
            for _ in range(STREAMS)
        ]
        before = len(stack.said)
        assert await stopped(stack) < STOP_SECONDS
        for page in streams:
            await page.until("it is told that its worker stops", lambda it: it.named("end") and it.over)
        assert [word for word in LEFT_BEHIND if word in stack.said[before:]] == []


async def test_a_worker_whose_stores_hang_ends_in_time_and_names_what_it_leaves_behind(stack: Stack) -> None:
    before = len(stack.said)
    with frozen(stack.pid("valkey"), stack.pid("postgres")):
        assert await stopped(stack) < STOP_SECONDS
    assert "the pool did not close within" in stack.said[before:]
