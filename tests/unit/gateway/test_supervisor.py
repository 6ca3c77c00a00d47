"""The supervisor with small real processes: nothing is faked but what the children do."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.processes.child import Child
from gateway.processes.supervisor import ChildFailed, StopRequested, Supervisor
from tests.support.suite.waiting import wait_until

SLEEPS = "import time; time.sleep(600)"
IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def python(name: str, program: str, **settings: object) -> Child:
    command = (sys.executable, "-S", "-c", program)
    return Child(name=name, command=command, environment={"PATH": os.defpath}, **settings)  # type: ignore[arg-type]


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    supervised = Supervisor()
    yield supervised
    pids = list(supervised.pids().values())
    supervised.hasten()
    await supervised.stop()
    assert not [pid for pid in pids if alive(pid)]


async def test_a_killed_child_is_started_again_and_that_is_said(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    await supervisor.start(python("clerk", SLEEPS))
    first = supervisor.pids()["clerk"]
    os.kill(first, signal.SIGKILL)
    await wait_until("the clerk is back", lambda: supervisor.pids()["clerk"] != first)
    assert alive(supervisor.pids()["clerk"])
    said: list[str] = []

    def heard() -> bool:
        said.append(capfd.readouterr().err)
        return "clerk is back" in "".join(said)

    await wait_until("its return is said", heard)
    lines = "".join(said).splitlines()
    assert lines[0] == f"tong: clerk (pid {first}) died, killed by SIGKILL; starting it again in 0.2 s"
    assert f"pid {supervisor.pids()['clerk']}" in lines[1]


async def test_every_start_is_reported_to_the_owner() -> None:
    changes: list[dict[str, int]] = []
    supervised = Supervisor(lambda: changes.append(supervised.pids()))
    try:
        await supervised.start(python("clerk", SLEEPS))
        first = supervised.pids()["clerk"]
        os.kill(first, signal.SIGKILL)
        await wait_until("the second start is reported", lambda: len(changes) == 2)
    finally:
        await supervised.stop()
    assert [change["clerk"] for change in changes] == [first, changes[1]["clerk"]]
    assert changes[1]["clerk"] != first


async def test_deaths_in_a_row_wait_longer_and_longer(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    await supervisor.start(python("moth", "raise SystemExit(3)", ready=None))
    said: list[str] = []

    def three_deaths() -> bool:
        said.append(capfd.readouterr().err)
        return "".join(said).count("died") >= 3

    await wait_until("it died three times", three_deaths)
    waits = [line.rsplit(" ", 2)[1] for line in "".join(said).splitlines() if "died" in line]
    assert waits[:3] == ["0.2", "0.4", "0.8"]
    assert "exit status 3" in "".join(said)


async def test_renewed_children_are_replaced_one_after_another_and_only_once_the_one_before_is_ready(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    marks = {name: tmp_path / name for name in ("first", "second")}

    async def ready_of(name: str) -> bool:
        return marks[name].exists()

    for name, mark in marks.items():
        mark.touch()
        await supervisor.start(python(name, SLEEPS, ready=lambda name=name: ready_of(name)))
    before = supervisor.pids()
    marks["first"].unlink()
    supervisor.request_renewal(list(marks))
    supervisor.request_renewal(list(marks))  # while one is under way it changes nothing
    await wait_until("the first is replaced", lambda: supervisor.pids()["first"] != before["first"])
    assert supervisor.pids()["second"] == before["second"], "the second waits until the first is ready"
    assert not alive(before["first"])
    marks["first"].touch()
    said: list[str] = []

    def replaced() -> bool:
        said.append(capfd.readouterr().err)
        return "replaced: first, second" in "".join(said)

    await wait_until("both are replaced", replaced)
    after = supervisor.pids()
    assert set(after.values()).isdisjoint(before.values())
    assert all(alive(pid) for pid in after.values())
    assert "died" not in "".join(said), "being replaced is no death"


async def test_a_stop_during_a_renewal_ends_both(supervisor: Supervisor, tmp_path: Path) -> None:
    async def ready() -> bool:
        return (tmp_path / "ready").exists()

    (tmp_path / "ready").touch()
    await supervisor.start(python("clerk", SLEEPS, ready=ready))
    first = supervisor.pids()["clerk"]
    (tmp_path / "ready").unlink()
    supervisor.request_renewal(["clerk"])
    await wait_until("another clerk is being started", lambda: supervisor.pids()["clerk"] != first)
    second = supervisor.pids()["clerk"]
    await supervisor.stop()
    assert not alive(first)
    assert not alive(second)


async def test_a_child_that_is_deaf_to_its_renewal_is_killed(supervisor: Supervisor) -> None:
    await supervisor.start(python("mule", IGNORES_TERM, stop_seconds=0.3))
    first = supervisor.pids()["mule"]
    await supervisor.renew("mule")
    assert not alive(first)
    assert supervisor.pids()["mule"] != first


async def test_a_report_that_fails_neither_stops_the_child_nor_its_watching(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def disk_full() -> None:
        raise OSError("no space left")

    supervised = Supervisor(disk_full)
    try:
        await supervised.start(python("clerk", SLEEPS))
        first = supervised.pids()["clerk"]
        os.kill(first, signal.SIGKILL)
        await wait_until("the clerk is back", lambda: supervised.pids()["clerk"] != first)
    finally:
        await supervised.stop()
    assert "no space left" in capfd.readouterr().err


async def test_a_program_that_is_not_there_fails_the_start(supervisor: Supervisor) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ChildFailed, match="cannot be started"):
        await supervisor.start(Child(name="ghost", command=("/no/such/program",), environment={}))
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_ranks_are_stopped_one_after_the_other(tmp_path: Path) -> None:
    log = tmp_path / "ends"
    program = textwrap.dedent("""
        import signal, sys, time
        def end(*_):
            time.sleep(0.2)
            with open({log!r}, "a") as file: file.write({name!r} + "\\n")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        open({ready!r}, "w").close()
        while True: time.sleep(600)
    """)
    supervised = Supervisor()
    for name, rank in (("server", 2), ("worker", 0), ("writer", 1)):
        mark = tmp_path / name

        async def ready(mark: Path = mark) -> bool:
            return mark.exists()

        text = program.format(log=str(log), name=name, ready=str(mark))
        await supervised.start(python(name, text, stop_rank=rank, ready=ready))
    pids = list(supervised.pids().values())
    await supervised.stop()
    assert log.read_text().split() == ["worker", "writer", "server"]
    assert not [pid for pid in pids if alive(pid)]


async def test_a_child_that_ignores_its_stop_signal_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    supervised = Supervisor()
    await supervised.start(python("deaf", IGNORES_TERM, stop_seconds=0.3))
    pid = supervised.pids()["deaf"]
    await wait_until("it ignores SIGTERM", lambda: "[deaf] deaf" in capfd.readouterr().out)
    began = time.monotonic()
    await supervised.stop()
    assert not alive(pid)
    assert time.monotonic() - began < 5


async def test_hastening_ends_the_graceful_wait(capfd: pytest.CaptureFixture[str]) -> None:
    supervised = Supervisor()
    await supervised.start(python("deaf", IGNORES_TERM, stop_seconds=600))
    pid = supervised.pids()["deaf"]
    await wait_until("it ignores SIGTERM", lambda: "[deaf] deaf" in capfd.readouterr().out)
    stopping = asyncio.create_task(supervised.stop())
    await asyncio.wait([stopping], timeout=0.3)
    assert not stopping.done()
    supervised.hasten()
    await asyncio.wait_for(stopping, 5)
    assert not alive(pid)


async def test_a_child_that_ends_while_starting_fails_the_start_with_its_last_words(supervisor: Supervisor) -> None:
    async def never() -> bool:
        return False

    child = python("broken", "print('no licence'); raise SystemExit(4)", ready=never, quiet=True)
    with pytest.raises(ChildFailed, match=r"exit status 4\n    no licence"):
        await supervisor.start(child)


async def test_the_second_attempt_to_start_knows_the_last_words_of_the_first(supervisor: Supervisor) -> None:
    heard: list[Sequence[str]] = []

    async def listen(last_lines: Sequence[str]) -> None:
        heard.append(last_lines)

    async def never() -> bool:
        return False

    with pytest.raises(ChildFailed):
        await supervisor.start(
            python("broken", "print('cut short'); raise SystemExit(1)", before_start=listen, ready=never)
        )
    assert heard == [[], ["cut short"]]


async def test_a_child_that_is_not_ready_in_time_is_ended(supervisor: Supervisor) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(ChildFailed, match="not ready within"):
        await supervisor.start(python("slow", SLEEPS, ready=never, ready_seconds=0.2))
    assert not alive(supervisor.pids()["slow"])


async def test_a_stop_while_starting_leaves_nothing(supervisor: Supervisor) -> None:
    async def never() -> bool:
        return False

    starting = asyncio.create_task(supervisor.start(python("slow", SLEEPS, ready=never)))
    await wait_until("it was spawned", lambda: "slow" in supervisor.pids())
    pid = supervisor.pids()["slow"]
    await supervisor.stop()
    assert not alive(pid)
    with pytest.raises(StopRequested):
        await starting


async def test_a_run_to_the_end_tells_success_from_failure(supervisor: Supervisor) -> None:
    assert await supervisor.succeeds(python("once", "pass"))
    assert not await supervisor.succeeds(python("once", "raise SystemExit(1)"))
    assert not await supervisor.succeeds(python("once", SLEEPS, ready_seconds=0.2))
    assert supervisor.pids() == {}


async def test_output_is_passed_through_with_the_name_in_bounded_lines(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    await supervisor.run(python("scribe", "print('one'); print('x' * 20_000); print('end', end='')"))
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "[scribe] one"
    assert [len(line) - len("[scribe] ") for line in lines[1:-1]] == [8_192, 8_192, 20_000 - 2 * 8_192]
    assert lines[-1] == "[scribe] end"


async def test_children_are_out_of_reach_of_the_terminals_signals(supervisor: Supervisor) -> None:
    await supervisor.start(python("clerk", SLEEPS))
    pid = supervisor.pids()["clerk"]
    assert os.getpgid(pid) == pid
    assert os.getsid(pid) != os.getsid(0)


async def test_the_environment_is_not_shown_by_a_child(supervisor: Supervisor) -> None:
    child = Child(name="clerk", command=("true",), environment={"TONG_SECRET": "hush"})
    assert "hush" not in repr(child)


async def test_children_die_when_the_supervisor_is_killed() -> None:
    program = textwrap.dedent("""
        import asyncio, os, pathlib, signal, sys
        from gateway.processes.child import Child
        from gateway.processes.supervisor import Supervisor
        async def main():
            supervisor = Supervisor()
            for name, number in (("a", signal.SIGKILL), ("b", signal.SIGTERM)):
                command = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
                await supervisor.start(
                    Child(name=name, command=command, environment={}, parent_death_signal=number)
                )
            print(*supervisor.pids().values(), flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        pids = [int(word) for word in (await process.stdout.readline()).split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
    finally:
        process.kill()
        await process.wait()
    await wait_until("the kernel ended the children", lambda: not any(alive(pid) for pid in pids))
