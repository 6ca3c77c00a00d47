"""Holds outlive every process of the stack and end by their deadline."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.support.api.client import client_of
from tests.support.engine.http import (
    benefit,
    open_environment,
    points,
    stored,
    unbalanced,
)
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until


async def restarted(stack: Stack) -> None:
    """End every process of the stack in order and start `tong up` on the same home."""
    await stack.end()
    assert not (stack.home / "demo.json").exists(), "a stack that has ended describes itself"
    stack.start()
    await stack.until_ready()


async def test_holds_survive_a_restart_of_every_process_and_end_by_their_deadline(
    private_stack: Callable[..., AbstractAsyncContextManager[Stack]],
) -> None:
    async with private_stack(workers=1) as stack:
        async with client_of(stack) as tong:
            environment = await open_environment(stack, tong, businesses=("eng-shop",))
            members = await environment.members(3)
            before = await environment.holdings(members[0])
            long, short, voided = [
                await environment.held(member, points(2_100), benefit("eng-day", 2), stored(900), hold_seconds=seconds)
                for member, seconds in zip(members, (600, 2, 600), strict=True)
            ]
        await restarted(stack)
        async with client_of(stack) as tong:
            environment.tong = tong
            assert (await environment.shown(long))["status"] == "held"

            async def expired() -> bool:
                return bool((await environment.shown(short))["status"] == "expired")

            await wait_until("the hold that ran out meanwhile is ended", expired, seconds=8)
            assert (await environment.step(long, "capture")).json()["status"] == "captured"
            assert (await environment.step(voided, "void")).json()["status"] == "voided"
            assert sum((await environment.holdings(members[0])).values()) == sum(before.values()) - 2_100 - 2 - 900
            for member in members[1:]:
                assert sum((await environment.holdings(member)).values()) == sum(before.values())
            assert await unbalanced(environment, *members) == []
