"""`tong up` as a person runs it: a process of its own, real servers, a home folder of its own, a free port."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis

from gateway.development.process_priority import BEHIND, GATEWAY, HOT_STORE, LEDGER
from gateway.development.try_it import BEGIN, END
from loadtest.stack import TONG, processes_of
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import STOP_SECONDS, Stack
from tests.support.suite.waiting import wait_until

FIRST_START_SECONDS = 90.0
SECOND_START_SECONDS = 10.0  # what the issue promises
PARTS = ("gateway", "valkey", "postgres", "ledger_writer", "sealer", "projector")


class Restarted(Stack):
    """A stack on a home that earlier stacks have used. Its log is its own."""

    def is_ready(self) -> bool:
        """Return whether it has said so: a killed supervisor leaves its demo.json behind until the next one starts."""
        return super().is_ready() and "tong: ready at" in self.said


def every_pid(running: Stack) -> list[int]:
    """Process ids of all parts."""
    return [pid for part in PARTS for pid in running.pids(part)]


@contextmanager
def started(home: Path, **environment: str) -> Iterator[Restarted]:
    """A `tong up` that is not waited for, with a log of its own for the length of the block."""
    with tempfile.NamedTemporaryFile() as log:
        running = Restarted(home.parent, environment, log=Path(log.name))
        running.start()
        yield running


@asynccontextmanager
async def stack(home: Path, *, seconds: float = FIRST_START_SECONDS, **environment: str) -> AsyncIterator[Restarted]:
    with started(home, **environment) as running:
        try:
            await running.until_ready(seconds)
            yield running
        except BaseException as fault:
            fault.add_note(running.said)
            raise
        finally:
            await running.end()


async def refused(home: Path, **environment: str) -> str:
    """Return what a `tong up` says that does not start."""
    with started(home, **environment) as running:
        await running.until_ended()
        assert running.process.returncode == 1
        return running.said


@pytest.fixture(scope="module")
async def home() -> AsyncIterator[Path]:
    """A home that one first start has filled."""
    folder = Path(tempfile.mkdtemp(prefix="tong-test-stack-"))
    try:
        async with stack(folder / "home"):
            pass
        yield folder / "home"
        await wait_until("nothing is left", lambda: not processes_of(folder), seconds=STOP_SECONDS)
    finally:
        shutil.rmtree(folder)


async def test_it_serves_and_describes_itself_as_the_contract_says(home: Path) -> None:
    async with stack(home, TONG_WORKERS="2") as running, httpx2.AsyncClient() as client:
        demo = running.demo
        assert stat.S_IMODE((home / "demo.json").stat().st_mode) == 0o600
        assert set(demo) == {
            *("base_url", "valkey_url", "postgres_dsn", "pids", "terminals", "members", "admin_api_key"),
            *("business_admins", "pages_url", "pages_access_token"),
        }
        assert set(demo["pids"]) == {"valkey", "postgres", "gateway", "ledger_writer", "sealer", "projector"}
        assert len(demo["pids"]["gateway"]) == 2
        assert len(set(every_pid(running))) == 7
        assert len({terminal["business"] for terminal in demo["terminals"]}) >= 8
        assert all(set(each) == {"business", "outlet", "terminal_id", "api_key"} for each in demo["terminals"])
        assert len(demo["members"]) == 20
        assert all(set(each) == {"member_id", "tier", "access_token", "points"} for each in demo["members"])
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/metrics"):
            assert (await client.get(demo["base_url"] + path)).status_code == 200, path


async def test_the_printed_lines_work_as_printed(home: Path) -> None:
    async with stack(home) as running:
        await wait_until("the lines are printed", lambda: END in running.said)  # after "ready", in a write of their own
        printed = running.said.split(BEGIN, 1)[1].split("\n\n", 1)[0]
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", printed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )
        output, _ = await asyncio.wait_for(shell.communicate(), 30)
        assert json.loads(output)["status"] == "captured", output
        for secret in (running.demo["admin_api_key"], running.demo["members"][0]["access_token"]):
            assert secret not in running.said


def niceness(pid: int) -> int:
    """Of the session's group, where the kernel has such groups, else of the process."""
    file, enabled = Path(f"/proc/{pid}/autogroup"), Path("/proc/sys/kernel/sched_autogroup_enabled")
    try:
        if enabled.read_text().strip() == "1":
            return int(file.read_text().split()[-1])
    except FileNotFoundError:
        pass
    return os.getpriority(os.PRIO_PROCESS, pid)


def may_raise() -> bool:
    """Whether this process has CAP_SYS_NICE, bit 23 of its effective capabilities."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> 23 & 1)


async def test_what_a_till_waits_for_goes_before_what_works_behind_it(home: Path) -> None:
    def order(pids: dict[str, Any]) -> list[set[int]]:
        postmaster = pids["postgres"]
        try:
            backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            titles = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in backends}
            later = [pid for pid, title in titles.items() if "tong_sealer" in title or "tong_projector" in title]
            parts = (
                [pids["valkey"]],
                pids["gateway"],
                [postmaster, pids["ledger_writer"], *(titles.keys() - set(later))],
                [pids["sealer"], pids["projector"], *later],
            )
            return [{niceness(pid) for pid in part} for part in parts] if len(later) >= 2 else []
        except OSError:  # one ended in between
            return []

    raised = [{HOT_STORE}, {GATEWAY}] if may_raise() else [{0}, {0}]
    async with stack(home) as running:
        await wait_until(
            "all have their place", lambda: order(running.demo["pids"]) == [*raised, {LEDGER}, {BEHIND}], seconds=20
        )
        first = running.demo["pids"]["projector"]
        os.kill(first, signal.SIGKILL)
        await wait_until("it came back", lambda: running.demo["pids"]["projector"] != first, seconds=30)
        await wait_until("it has its place", lambda: niceness(running.demo["pids"]["projector"]) == BEHIND)


@pytest.mark.parametrize("part", ["valkey", "postgres", "gateway", "ledger_writer"])
async def test_a_killed_part_is_started_again_and_said_and_demo_json_names_the_new_one(home: Path, part: str) -> None:
    async with stack(home) as running, httpx2.AsyncClient() as client:
        first = running.pid(part)
        os.kill(first, signal.SIGKILL)
        await wait_until("demo.json names the new process", lambda: running.pid(part) != first, seconds=30)
        name = {"gateway": "gateway.0", "ledger_writer": "ledger-writer"}.get(part, part)
        await wait_until("it is back", lambda: f"{name} is back (pid {running.pid(part)})" in running.said, seconds=30)
        assert f"{name} (pid {first}) died, killed by SIGKILL" in running.said

        async def ready() -> bool:
            return (await client.get(running.demo["base_url"] + "/readyz", timeout=30)).status_code == 200

        await wait_until("the stack is ready again", ready)
        assert stat.S_IMODE((home / "demo.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_and_leaves_nothing_running(home: Path, number: signal.Signals) -> None:
    async with stack(home) as running:
        pids = [*every_pid(running), running.process.pid]
        assert set(pids) <= set(processes_of(home))
        await running.end(number)
        assert running.process.returncode == 0, running.said
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert processes_of(home) == []
        order = [running.said.index(word) for word in ('"stopped"', "Received SIGTERM scheduling shutdown")]
        assert order == sorted(order), "the gateway ends before the servers do"


async def test_a_second_signal_hastens_and_still_leaves_nothing(home: Path) -> None:
    async with stack(home) as running:
        worker = running.demo["pids"]["gateway"][0]
        os.kill(worker, signal.SIGSTOP)  # it will not hear the first
        running.process.send_signal(signal.SIGINT)
        await wait_until("the first is heard", lambda: "stopping in order" in running.said)
        while "hastened" not in running.said:
            running.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
        await running.until_ended()
        assert processes_of(home) == []


async def test_a_stop_in_the_middle_of_a_start_leaves_nothing(home: Path) -> None:
    with started(home) as running:
        await wait_until("a server runs", lambda: len(processes_of(home)) > 1)
        await running.end(signal.SIGINT)
        assert running.process.returncode == 0
        assert processes_of(home) == []


async def make_test_codes(home: Path) -> None:
    """`tong demo codes`, which adds a till and members that are not of the demo group."""
    process = await asyncio.create_subprocess_exec(
        *(str(TONG), "demo", "codes"), env=os.environ | {"TONG_HOME": str(home)}, stdout=subprocess.DEVNULL
    )
    assert await asyncio.wait_for(process.wait(), FIRST_START_SECONDS) == 0


async def test_data_and_keys_survive_a_restart_which_is_quick(home: Path) -> None:
    async def facts(running: Stack) -> tuple[object, ...]:
        connection = await asyncpg.connect(running.demo["postgres_dsn"])
        async with Redis.from_url(running.demo["valkey_url"]) as client:
            keys = sorted(await client.keys("{b*}:lots:*"))
        try:
            members = await connection.fetchval("SELECT count(*) FROM member")
        finally:
            await connection.close()
        points = [(member["member_id"], member["points"]) for member in running.demo["members"]]
        assert len(points) == 20 < members, "the test codes' members are told as the demo's"
        return running.demo["terminals"], running.demo["admin_api_key"], points, keys, members

    async with stack(home) as running:
        await make_test_codes(home)
        before = await facts(running)
        await running.end()
    began = time.monotonic()
    async with stack(home, seconds=SECOND_START_SECONDS) as running:
        took = time.monotonic() - began
        assert await facts(running) == before
        assert "loading the demo group" not in running.said
    assert took < SECOND_START_SECONDS


async def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(home: Path) -> None:
    async with stack(home) as running:
        pids = every_pid(running)
        assert len(pids) == 6
        running.process.kill()
        await running.until_ended()
        await wait_until("the kernel ended its children", lambda: processes_of(home) == [], seconds=STOP_SECONDS)
    async with stack(home, seconds=30) as running, httpx2.AsyncClient() as client:
        assert not set(pids) & set(every_pid(running))
        assert (await client.get(running.demo["base_url"] + "/readyz")).status_code == 200


async def test_a_second_stack_on_the_same_home_is_refused(home: Path) -> None:
    async with stack(home) as running:
        said = await refused(home)
        assert f"another `tong up` (pid {running.process.pid})" in said
        assert "TONG_HOME" in said
        assert all(Path(f"/proc/{pid}").exists() for pid in every_pid(running))
        assert running.demo["base_url"].startswith("http://127.0.0.1:")


async def test_a_taken_port_is_refused_with_what_to_do(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = await refused(home, TONG_PORT=str(port))
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "TONG_PORT" in said
    assert processes_of(home) == []


async def test_a_given_valkey_is_used_and_left_running_and_its_weaknesses_are_named() -> None:
    folder = Path(tempfile.mkdtemp(prefix="tong-test-given-"))
    try:
        async with private_valkey("--appendfsync", "everysec") as server, httpx2.AsyncClient() as client:
            async with stack(folder / "home", TONG_VALKEY_URL=server.url) as running:
                assert running.demo["valkey_url"] == server.url
                assert running.demo["pids"]["valkey"] is None
                assert "weaker than promised: Valkey: appendfsync is everysec, wanted always" in running.said
                ready = await client.get(running.demo["base_url"] + "/readyz")
                assert ready.status_code == 200
                assert "appendfsync" in ready.text
                await running.end()
            async with Redis.from_url(server.url) as given:
                assert await given.ping()
        assert processes_of(folder) == []
    finally:
        shutil.rmtree(folder)


async def test_a_given_server_that_is_away_is_refused_with_what_to_do(home: Path) -> None:
    said = await refused(home, TONG_POSTGRES_DSN="postgresql://tong:hush@127.0.0.1:1/tong")
    assert "TONG_POSTGRES_DSN cannot be used" in said
    assert "hush" not in said
    assert processes_of(home) == []


async def test_secrets_are_on_no_command_line(home: Path) -> None:
    async with stack(home) as running:
        secrets = [
            running.demo["valkey_url"].split(":")[2].split("@")[0],
            running.demo["postgres_dsn"].split(":")[2].split("@")[0],
            running.demo["admin_api_key"],
        ]
        for pid in processes_of(home):
            with suppress(OSError):
                command_line = Path(f"/proc/{pid}/cmdline").read_text()
                assert not [secret for secret in secrets if secret in command_line]
