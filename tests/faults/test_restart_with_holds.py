"""Holds outlive every process of the stack and end by their deadline."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.support.api.client import client_of
from tests.support.engine.http import (
    benefit,
    open_ground,
    points,
    stored,
    unbalanced,
    until_true,
)
from tests.support.servers.stack import START_SECONDS, STOP_SECONDS, TONG, Stack
from tests.support.suite.waiting import wait_until


async def restarted(stack: Stack) -> None:
    """Ends every process of the stack in order and starts `tong up` on the same home."""
    stack.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(stack.process.wait(), STOP_SECONDS)
    demo = stack.home / "demo.json"
    assert not demo.exists(), "what is not served is not told"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
    own = {"TONG_HOME": str(stack.home), "TONG_PORT": "0", "TONG_WORKERS": "1"}
    with (stack.home.parent / "log").open("ab") as log:
        stack.process = await asyncio.create_subprocess_exec(
            str(TONG),
            "up",
            env=inherited | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    await wait_until(
        "the stack is ready again",
        lambda: demo.exists() or stack.process.returncode is not None,
        seconds=START_SECONDS,
    )
    assert stack.process.returncode is None, stack.said


async def test_holds_survive_a_restart_of_every_process_and_end_by_their_deadline(
    private_stack: Callable[..., AbstractAsyncContextManager[Stack]],
) -> None:
    async with private_stack(workers=1) as stack:
        async with client_of(stack) as tong:
            ground = await open_ground(stack, tong, businesses=("eng-shop",))
            members = await ground.members(3)
            before = await ground.holdings(members[0])
            long, short, voided = [
                await ground.held(member, points(2_100), benefit("eng-day", 2), stored(900), hold_seconds=seconds)
                for member, seconds in zip(members, (600, 2, 600), strict=True)
            ]
        await restarted(stack)
        async with client_of(stack) as tong:
            ground.tong = tong
            assert (await ground.shown(long))["status"] == "held"

            async def expired() -> bool:
                return bool((await ground.shown(short))["status"] == "expired")

            await until_true("the hold that ran out meanwhile is ended", expired, seconds=8)
            assert (await ground.step(long, "capture")).json()["status"] == "captured"
            assert (await ground.step(voided, "void")).json()["status"] == "voided"
            assert sum((await ground.holdings(members[0])).values()) == sum(before.values()) - 2_100 - 2 - 900
            for member in members[1:]:
                assert sum((await ground.holdings(member)).values()) == sum(before.values())
            assert await unbalanced(ground, *members) == []
