"""An operator puts an old copy of the hot store's files back: what contradicts the ledger is frozen, named and rebuilt.

The whole stack; the append-only files are copied while it runs, and exchanged while Valkey is down and the supervisor
stands still.
"""

import os
import shutil
import signal
from pathlib import Path

from redemption.hot import keys
from tests.support.api.client import client_of
from tests.support.engine.http import STANDARD, Environment, open_environment, points
from tests.support.ledger.life import Books, books_of, until_ready_names
from tests.support.servers.stack import Member, Stack, running_stack
from tests.support.suite.waiting import wait_until


def append_only_files(stack: Stack) -> Path:
    (found,) = (stack.home / "valkey").rglob("appendonlydir")
    return found


async def put_back(stack: Stack) -> None:
    """Kills Valkey, exchanges its files for the copy, and lets the supervisor start it again."""
    files = append_only_files(stack)
    killed = stack.pid("valkey")
    os.kill(stack.process.pid, signal.SIGSTOP)
    try:
        os.kill(killed, signal.SIGKILL)
        await wait_until("valkey has let go of its files", lambda: not _running(killed))
        shutil.rmtree(files)
        shutil.copytree(stack.home / "copy", files)
    finally:
        os.kill(stack.process.pid, signal.SIGCONT)
    await wait_until("valkey is started again", lambda: stack.pid("valkey") != killed)
    await wait_until("valkey is back", lambda: "valkey is back (pid " in stack.said)


def _running(pid: int) -> bool:
    """Whether the process is there and not a zombie that its parent, standing still, has not buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_an_old_copy_of_the_files_put_back_freezes_what_it_contradicts_and_a_rebuild_repairs_it() -> None:
    async with running_stack(workers=1) as stack, client_of(stack) as tong:
        environment = await open_environment(stack, tong)
        behind, untouched = await _members(environment)
        async with books_of(stack) as books:
            await environment.taken(behind, points(10))
            await environment.taken(untouched, points(10))
            await books.drained()
            shutil.copytree(append_only_files(stack), stack.home / "copy")
            later = await environment.taken(behind, points(25))
            held = await environment.held(behind, points(30))
            await books.drained()
            right = await environment.holdings(behind)
        await put_back(stack)
        async with books_of(stack) as books:
            await books.until_frozen([behind.bucket])
            await _is_said_everywhere(environment, books, behind.bucket)
            refused = await environment.verify(behind, points(1))
            assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
            await environment.taken(untouched, points(1))  # scans of the others go on
            assert not await books.hot.exists(keys.frozen(untouched.bucket))
            report = await books.rebuild(behind.bucket)
            assert report.findings == []
            assert await environment.holdings(behind) == right
            assert (await environment.step(later, "refund", {}, "k-refund")).status_code == 200
            assert (await environment.step(held, "capture", {}, "k-capture")).status_code == 200
            await environment.taken(behind, points(2))
            await books.until_written()
            await books.sealed()
            assert await books.findings() == []
            assert await books.would_change() == []


async def _members(environment: Environment) -> tuple[Member, Member]:
    """Two members in different buckets."""
    one, *others = await environment.members(3, **STANDARD)
    return one, next(each for each in others if each.bucket != one.bucket)


async def _is_said_everywhere(environment: Environment, books: Books, bucket: int) -> None:
    """On /readyz, in the metrics, in the log, and by the audit."""
    await until_ready_names(environment, bucket)
    assert f"bucket {bucket} is frozen until" in books.stack.said
    found = await books.findings(bucket)
    assert any(finding.startswith(f"frozen: bucket {bucket}: ") for finding in found), found
    assert any(finding.startswith(f"I7: bucket {bucket}: ") for finding in found), found
