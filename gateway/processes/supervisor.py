"""A supervisor that starts named child processes, watches them, and ends them in order. Linux only.

Guarantees: a child that dies is started again (after a back-off), and its death and return are said on
stderr, one line each; children are in process groups of their own, so a Ctrl-C on the terminal reaches the
supervisor alone, which then stops them rank by rank; a child that ignores its stop signal is killed after a
stated time; the kernel signals every child when the supervisor itself is killed (PR_SET_PDEATHSIG). After
`stop` no child runs.

Does not guarantee: that a restarted child is useful (its `ready` check says that), or an end to processes
that a child detached into another process group.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from gateway.processes.child import Child, Run, in_the_new_process
from gateway.processes.child_output import ChildOutput
from redemption.domain.errors import ConfigurationError, RefusedError
from redemption.waiting import set_within

RESTART_SECONDS_MIN: Final = 0.2
RESTART_SECONDS_MAX: Final = 10.0
SETTLED_SECONDS: Final = 30.0  # a child that lived so long starts again without back-off from earlier deaths
START_ATTEMPTS: Final = 2  # the second attempt knows the last words of the first (`before_start`)
KILL_SECONDS: Final = 3.0  # SIGKILL follows the hasty signal after this time
READY_POLL_SECONDS: Final = 0.05


class ChildFailed(ConfigurationError):
    """A child ended, or was not ready in time, while it was being started."""


class StopRequested(RefusedError):
    """Starting was given up because a stop was requested."""


class Supervisor:
    """A keeper of children until `stop`. One per process; used from one event loop, in the main thread.

    `changed` is called after every start of a child, when `pids()` differs from before; it must not block.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._runs: dict[str, Run] = {}
        self._renewed: set[str] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._busy_tasks = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._hasten = asyncio.Event()

    @property
    def stopping(self) -> asyncio.Event:
        """Return whether a stop was requested."""
        return self._stopping

    def request_stop(self) -> None:
        """End starting and restarting; the owner then calls `stop`."""
        self._stopping.set()

    def hasten(self) -> None:
        """End graceful waits now."""
        self.request_stop()
        self._hasten.set()

    def say(self, text: str) -> None:
        with suppress(OSError, ValueError):
            print(f"tong: {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the supervisor's voice

    def pids(self) -> dict[str, int]:
        """Return the process id of the newest run of every child, by name."""
        return {name: run.pid for name, run in self._runs.items()}

    async def start(self, child: Child) -> None:
        """Start the child, wait until it is ready, and keep it alive from then on.

        Raises ChildFailed (also after a second attempt) or StopRequested.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                run = await self._start_once(child)
            except ChildFailed as failure:
                if attempt == START_ATTEMPTS:
                    raise
                self.say(f"{child.name}: {str(failure).splitlines()[0]}; trying once more")
                await self.pause(RESTART_SECONDS_MIN)
            else:
                self._keepers.append(asyncio.create_task(self._keep(run), name=f"keep {child.name}"))
                return

    async def run(self, child: Child) -> None:
        """Run the child to its end, once. Raises ChildFailed if it ends badly, StopRequested."""
        with self._busy():
            run = await self._spawn(child, None)
            await self._exited_or(run, child.ready_seconds, self._stopping)
            in_time = run.exited.done()
            await self._end(run)
        if self._stopping.is_set() and not in_time:
            raise StopRequested
        if not in_time:
            raise ChildFailed(self._last_words(run, f"did not end within {child.ready_seconds:.0f} s"))
        if run.exited.result() != 0:
            raise ChildFailed(self._last_words(run, run.how()))

    async def succeeds(self, child: Child) -> bool:
        """Run the child to its end, once. Returns whether it ended well. Raises StopRequested."""
        try:
            await self.run(child)
        except ChildFailed:
            return False
        return True

    def request_renewal(self, names: Sequence[str]) -> None:
        """Replace those of these children that run, one after another, in the background.

        Does nothing while that is under way.
        """
        if self._renewal is None or self._renewal.done():
            running = [name for name in names if name in self._runs]
            self._renewal = asyncio.create_task(self._renew_all(running), name="renewal")

    async def _renew_all(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                await self.renew(name)
            except ChildFailed as failure:
                self.say(f"{name} could not be replaced, the others are left as they are: {failure}")
                return
            except StopRequested:
                return
        self.say(f"replaced: {', '.join(names)}")

    async def renew(self, name: str) -> None:
        """End a child in order; return when another run of it has taken its place and is ready.

        Raises ChildFailed when that takes too long (it is tried further), StopRequested.
        """
        run = self._runs[name]
        self._renewed.add(name)
        run.send(run.child.stop_signal)
        await self._exited_or(run, run.child.stop_seconds, self._stopping)
        if not run.exited.done() and not self._stopping.is_set():
            self.say(f"{name} (pid {run.pid}) still there after {run.child.stop_seconds:.0f} s: killed")
            run.send(signal.SIGKILL)
        deadline = time.monotonic() + KILL_SECONDS + run.child.ready_seconds
        while self._runs[name] is run or not self._runs[name].is_ready:
            if time.monotonic() > deadline:
                raise ChildFailed(f"not ready again within {run.child.ready_seconds:.0f} s")
            await self.pause(READY_POLL_SECONDS)

    async def stop(self) -> None:
        """End every child, rank by rank. Idempotent; returns when none is left."""
        self._stopping.set()
        if self._renewal is not None:
            await self._renewal
        faults = await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._idle.wait()
        runs = list(self._runs.values())
        for rank in sorted({run.child.stop_rank for run in runs}):
            ends = [self._end(run) for run in runs if run.child.stop_rank == rank]
            await asyncio.gather(*ends)
        self._runs.clear()
        self._keepers.clear()
        for fault in faults:  # a defect of ours is raised after everything has ended
            if fault is not None:
                raise fault

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Make `stop` wait while the block runs: a process may start that it does not know of yet."""
        self._busy_tasks += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy_tasks -= 1
            if not self._busy_tasks:
                self._idle.set()

    async def _spawn_kept(self, child: Child) -> Run:
        with self._busy():
            earlier = self._runs.get(child.name)
            run = await self._spawn(child, earlier)
            if earlier is not None:
                earlier.output.close()
            self._runs[child.name] = run
            try:
                self._changed()
            except OSError as error:  # a full disk is no reason to leave the children alone
                self.say(f"{child.name} runs as pid {run.pid}, but that could not be written down: {error}")
            return run

    async def _spawn(self, child: Child, earlier: Run | None) -> Run:
        """Start the process. Raises ChildFailed, StopRequested."""
        with ExitStack() as ours:
            try:
                if child.before_start is not None:
                    await child.before_start(list(earlier.output.last) if earlier else [])
                if self._stopping.is_set():
                    raise StopRequested
                standard_input = os.open(child.standard_input or os.devnull, os.O_RDONLY)
                ours.callback(os.close, standard_input)
                read_fd, write_fd = os.pipe()
                ours.callback(os.close, write_fd)
                unread = ours.enter_context(ExitStack())
                unread.callback(os.close, read_fd)
                process = await asyncio.create_subprocess_exec(
                    *child.command,
                    env=dict(child.environment),
                    cwd=child.folder,
                    stdin=standard_input,
                    stdout=write_fd,
                    stderr=write_fd,
                    pass_fds=child.inherited_fds,
                    start_new_session=True,
                    preexec_fn=in_the_new_process(child.account, child.parent_death_signal),
                )
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                raise ChildFailed(f"cannot be started: {error}") from error
            unread.pop_all()  # the reader owns the pipe from here on
            return Run(child, process, ChildOutput(child.name, read_fd, child.quiet))

    async def _start_once(self, child: Child) -> Run:
        run = await self._spawn_kept(child)
        deadline = time.monotonic() + child.ready_seconds
        while child.ready is not None and not await child.ready():
            if self._stopping.is_set():
                raise StopRequested
            if time.monotonic() >= deadline:
                await self._end(run)
                raise ChildFailed(self._last_words(run, f"not ready within {child.ready_seconds:.0f} s"))
            await self._exited_or(run, READY_POLL_SECONDS, self._stopping)
            if run.exited.done():
                break
        if run.exited.done():
            run.output.close()
            raise ChildFailed(self._last_words(run, f"ended while starting, {run.how()}"))
        run.is_ready = True
        return run

    async def _keep(self, run: Run) -> None:
        child, delay = run.child, RESTART_SECONDS_MIN
        while True:
            await self._exited_or(run, None, self._stopping)
            if self._stopping.is_set():
                return
            died = time.monotonic()
            if died - run.started > SETTLED_SECONDS:
                delay = RESTART_SECONDS_MIN
            is_renewed = child.name in self._renewed
            self._renewed.discard(child.name)
            if is_renewed:
                self.say(f"{child.name} (pid {run.pid}) ended, {run.how()}; replacing it")
                delay = RESTART_SECONDS_MIN
            else:
                self.say(f"{child.name} (pid {run.pid}) died, {run.how()}; starting it again in {delay:.1f} s")
            run.kill_group()
            try:
                if not is_renewed:
                    await self.pause(delay)
                run = await self._start_once(child)
            except StopRequested:
                return
            except ChildFailed as failure:
                self.say(f"{child.name}: {failure}")
                run = self._runs[child.name]
            else:
                waited = time.monotonic() - died
                self.say(f"{child.name} is back (pid {run.pid}) after {waited:.1f} s")
            delay = min(delay * 2, RESTART_SECONDS_MAX)

    async def _end(self, run: Run) -> None:
        child = run.child
        if not run.exited.done():
            run.send(child.stop_signal)
            await self._exited_or(run, child.stop_seconds, self._hasten)
        if not run.exited.done():
            why = "hastened" if self._hasten.is_set() else f"still there after {child.stop_seconds:.0f} s"
            self.say(f"{child.name} (pid {run.pid}) {why}: {child.hasty_signal.name}")
            run.send(child.hasty_signal)
            await self._exited_or(run, KILL_SECONDS)
        run.kill_group()
        await run.exited
        run.output.close()

    async def _exited_or(self, run: Run, seconds: float | None, event: asyncio.Event | None = None) -> None:
        """Return when the run ended, the event came, or the time is over."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(event.wait())] if event is not None else []
        try:
            await asyncio.wait([run.exited, *waits], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def pause(self, seconds: float) -> None:
        """Wait. Raises StopRequested where a stop is requested meanwhile."""
        if await set_within(self._stopping, seconds):
            raise StopRequested

    def _last_words(self, run: Run, what: str) -> str:
        if not run.child.quiet:
            return what  # the person has seen its output, which was passed through
        return "\n".join([what, *(f"    {line}" for line in run.output.last)])
