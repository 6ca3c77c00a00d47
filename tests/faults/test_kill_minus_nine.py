"""SIGKILL of each part in the middle of load; the stack starts it again by itself, and the invariants hold.

Every intent is in a journal before it is sent. What stayed unknown is repeated with its key after the recovery, as
tills do. The judge (tests/support/ledger/oracle.py) imports nothing of the product. Each test has a stack of its own.
"""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from loadtest.auditor import find_violations
from tests.support.api.client import client_of
from tests.support.ledger.oracle import Intent, Journal, until_drained
from tests.support.servers.load import Load, load_on
from tests.support.servers.stack import Member, Stack, running_stack
from tests.support.suite.waiting import wait_until

BEFORE, AFTER = 150, 150
RECOVERY_SECONDS = 30.0
START_POINTS = 1_000_000


@dataclass
class Aftermath:
    """What was found after a kill and a recovery."""

    journal: Journal
    unknown: int
    violations: list[str]


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Stack]:
    """A stack of which each test kills another part: a part that was killed before has to work as any other."""
    async with running_stack(workers=1) as running:
        yield running


async def members_of(stack: Stack) -> list[Member]:
    return await stack.members([[("hotel", START_POINTS // 2, 1), ("mall", START_POINTS // 2, 3)]] * 8)


async def kill(stack: Stack, part: str) -> None:
    """SIGKILL; returns when another process has taken its place and is ready."""
    killed = stack.pid(part)
    os.kill(killed, signal.SIGKILL)
    await wait_until(f"{part} is started again", lambda: stack.pid(part) != killed, seconds=RECOVERY_SECONDS)
    name = {"gateway": "gateway.0", "ledger_writer": "ledger-writer"}.get(part, part)
    await wait_until(f"{part} is back", lambda: f"{name} is back (pid " in stack.said, seconds=RECOVERY_SECONDS)


async def after_killing(stack: Stack, part: str) -> Aftermath:
    members = await members_of(stack)
    async with load_on(stack, members) as load:
        await load.until_more_applied(BEFORE)
        await kill(stack, part)
        await load.until_more_applied(AFTER)
    unknown = await load.resolve()
    return Aftermath(load.journal, unknown, await violations(stack, load, members))


async def violations(stack: Stack, load: Load, members: list[Member]) -> list[str]:
    """I1, I2, I7, I8 of both stores; I3, I4, I5, I11 of the journal; and what members are told."""
    async with stack.hot() as hot, stack.ledger() as ledger, client_of(stack) as tong:
        await until_drained(hot, ledger)
        wrong = [*await find_violations(hot, ledger), *await load.journal.judge(ledger)]
        for member in members:
            taken = sum(
                intent.points
                for intent in load.journal.intents.values()
                if intent.member_id == member.member_id and intent.outcome == "applied"
            )
            found = await tong.points(member)
            if found != START_POINTS - taken:
                wrong.append(f"{member} has {found}, {START_POINTS - taken} expected")
    return wrong


async def test_a_killed_gateway_worker_loses_and_doubles_nothing(own: Stack) -> None:
    found = await after_killing(own, "gateway")
    assert found.violations == []
    assert found.unknown > 0, "the kill came in the middle of load"


async def test_a_killed_ledger_writer_loses_and_doubles_nothing_and_no_till_notices(own: Stack) -> None:
    found = await after_killing(own, "ledger_writer")
    assert found.violations == []
    assert found.journal.count("applied") == len(found.journal.intents)


async def test_a_killed_valkey_loses_nothing_that_was_acknowledged(own: Stack) -> None:
    found = await after_killing(own, "valkey")
    assert found.violations == []
    assert found.journal.count("applied") < len(found.journal.intents), "the kill came in the middle of load"


async def test_a_killed_postgresql_loses_and_doubles_nothing_and_no_till_notices(own: Stack) -> None:
    found = await after_killing(own, "postgres")
    assert found.violations == []
    assert found.journal.count("applied") == len(found.journal.intents)


@pytest.mark.parametrize("damage", ["lost points", "lost transaction", "doubled", "never asked", "other amount"])
async def test_the_judge_finds_what_is_wrong(stack: Stack, damage: str) -> None:
    """The control of the tests above: a spoilt hot store or journal is found out."""
    members = await stack.members([[("hotel", START_POINTS, 1)]])
    async with load_on(stack, members) as load:
        await load.until_more_applied(20)
    assert await load.resolve() == 0
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
        assert await load.journal.judge(ledger) == []
        name, intents = f"{{b{members[0].bucket}}}:lots:{members[0].member_id}", load.journal.intents
        one, other, *_ = intents.values()
        match damage:
            case "lost points":
                ((lot, points),) = (await hot.hgetall(name)).items()
                await hot.hset(name, lot, int(points) - 1)
                wrong = await find_violations(hot, ledger)
                await hot.hset(name, lot, points)
            case "lost transaction":
                load.journal.intents["trm_x", "k"] = Intent("trm_x", "k", "mem_x", "c", 3, "applied", "rdm_lost")
                wrong = await load.journal.judge(ledger)
            case "doubled":
                one.code = other.code
                wrong = await load.journal.judge(ledger)
            case "never asked":
                del intents[one.terminal_id, one.key]
                wrong = await load.journal.judge(ledger)
            case _:
                one.points += 1
                wrong = await load.journal.judge(ledger)
    assert len(wrong) == 1, wrong


async def test_the_ledger_itself_refuses_to_be_changed(stack: Stack) -> None:
    async with stack.ledger() as ledger:
        for statement in ("DELETE FROM ledger_transaction", "UPDATE ledger_transaction SET moves = ''"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await ledger.execute(statement)
