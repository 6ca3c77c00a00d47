"""The hot path's connection: one socket, many callers, one write per turn of the event loop.

    HotStoreFault            it did not work; what is known, the kinds below say
    ├── NotSent              nothing left this process: the call was surely not applied
    │   └── TooManyInFlight  … because a bound was reached: refuse, do not queue
    ├── ReplyLost            it was handed to the socket and no reply came: it may have been applied
    └── ServerRefused        the server answered with an error; `code`, `text`, `surely_not_executed`

Guarantees
- A call is never sent twice. There are no retries; the socket is made anew, calls are not.
- Replies go to calls strictly in order. A call that was cancelled or ran out of time keeps its place, and its late
  reply is dropped: it never reaches another caller.
- NotSent is only said of a call none of whose bytes were handed to the transport.
- A call in flight ends: with its reply, with its deadline (`execute`), or, when the oldest call has waited longer
  than `stall_timeout_seconds`, with the connection, which is then given up (a half-open socket looks like that).
  An idle connection is asked for a sign of life, so `connected` does not stay true on a dead socket.
- Bounded: calls in flight, bytes waiting in the socket, bytes of a reply, time to connect, time between attempts.

Not guaranteed: that a cancelled call was not applied. Not for commands that block or that answer more or less than
once (BLPOP, SUBSCRIBE, MONITOR, CLIENT REPLY): all other callers would wait behind them. RESP2; error replies nested
in an array (EXEC) are elements of the list, not raised. One event loop, no threads.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, TypeAlias

from redemption.hot.address import Address
from redemption.hot.faults import HotStoreFault, NotSent, ReplyLost, ServerRefused, TooManyInFlight
from redemption.hot.link import Argument, Link, Reply

__all__ = [
    "Address",
    "Argument",
    "HotConnection",
    "HotStoreFault",
    "NotSent",
    "OnConnect",
    "Reply",
    "ReplyLost",
    "ServerRefused",
    "TooManyInFlight",
]

BACKOFF_FIRST_SECONDS: Final = 0.02
BACKOFF_MAX_SECONDS: Final = 1.0
STEADY_SECONDS: Final = 1.0  # a connection that lived shorter does not reset the back-off
CHECKS_PER_STALL: Final = 4  # a stall is noticed at most a quarter of its time-out late
CLOSE_SECONDS: Final = 1.0  # an aborted transport is gone within a turn; never wait longer than this

OnConnect: TypeAlias = "Callable[[HotConnection], Awaitable[None]]"

_logger = logging.getLogger(__name__)

_greeting: ContextVar[Link | None] = ContextVar("greeting", default=None)


class HotConnection:
    """A connection to one server that is kept up in the background; see the module for what it guarantees.

    `on_connect` runs on every new socket after the handshake; calls made from inside it work, those of everybody
    else are let through only after it returned. If it raises, the socket is given up and tried anew later.
    """

    def __init__(
        self,
        address: Address,
        *,
        in_flight_max: int,
        connect_timeout_seconds: float = 1.0,
        stall_timeout_seconds: float = 3.0,
        name: str = "tong",
        on_connect: "OnConnect | None" = None,
    ) -> None:
        if in_flight_max < 1 or connect_timeout_seconds <= 0 or stall_timeout_seconds <= 0:
            raise ValueError("bounds of a connection must be above zero")
        self.address = address
        self.last_fault: str | None = None
        """The reason why there is no connection, or why the last one ended; never holds a secret."""
        self._in_flight_max = in_flight_max
        self._connect_timeout_seconds = connect_timeout_seconds
        self._stall_timeout_seconds = stall_timeout_seconds
        self._name = name
        self._on_connect = on_connect
        self._link: Link | None = None  # it is set only while calls are let through
        self._opening: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first_attempt = asyncio.Event()
        self._closing = False
        # Ordered by the time at which they are given up.
        self._waiting: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._reaper: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Return whether calls are let through now."""
        return self._link is not None

    @property
    def in_flight(self) -> int:
        """Return the number of calls without a reply, abandoned ones included: the server still has to answer them."""
        return len(self._link.pending) if self._link is not None else 0

    async def start(self) -> None:
        """Make the first attempt and return; a server that is away is tried again in the background."""
        if self._keeper is not None or self._closing:
            raise RuntimeError("a connection is started once")
        self._keeper = asyncio.create_task(self._keep_connected(), name=f"hot connection {self.address}")
        await self._first_attempt.wait()

    async def close(self, drain_seconds: float) -> None:
        """Refuse new calls, wait this long at most for replies in flight, then close: the rest get ReplyLost."""
        self._closing = True
        self._first_attempt.set()  # a start() that still waits must not outlive this
        opening = self._opening
        link, self._link = self._link, None
        try:
            if link is not None:
                link.flush()
                if waiting := [future for future in link.pending if not future.done()]:
                    await asyncio.wait(waiting, timeout=drain_seconds)
        finally:
            if link is not None:
                link.break_off("the connection was closed here")
            if self._reaper is not None:
                self._reaper.cancel()
            if self._keeper is not None:
                self._keeper.cancel()
                await asyncio.wait({self._keeper}, timeout=CLOSE_SECONDS)
            for ended in (link, opening):
                if ended is not None and ended.transport is not None:
                    await asyncio.wait({ended.gone}, timeout=CLOSE_SECONDS)

    def call(self, *args: Argument) -> "asyncio.Future[Reply]":
        """Queue a call and return the future of its reply; no await is needed to send it.

        Raises NotSent or TooManyInFlight at once; TypeError for an argument that is not bytes, str or int. The
        future has no deadline but the stall time-out; cancelling it does not recall the call.
        """
        link = self._link
        if link is None:
            link = self._greeting_link()
        if len(link.pending) >= self._in_flight_max:
            raise TooManyInFlight(f"{self._in_flight_max} calls are in flight")
        if link.paused:
            raise TooManyInFlight("the server does not read as fast as calls are made")
        return link.send(args)

    async def execute(self, *args: Argument, deadline_seconds: float) -> Reply:
        """Send a call and wait this long at most for its reply, then raise ReplyLost."""
        if deadline_seconds <= 0:
            raise NotSent("no time was left to send it")
        future = self.call(*args)
        self._limit(future, deadline_seconds)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done():  # it failed in the same turn; reading the exception keeps asyncio from logging it
                _drop_outcome(future)
            raise

    def _limit(self, future: "asyncio.Future[Reply]", deadline_seconds: float) -> None:
        """Give the call up after its deadline.

        One timer for all calls, for speed (`make bench`): nearly all have the same deadline, and setting and cancelling
        a timer for each costs more. Replies come in order, so calls that are done are at the front.
        """
        loop, waiting = future.get_loop(), self._waiting
        ends = loop.time() + deadline_seconds
        while waiting and waiting[0][1].done():
            waiting.popleft()
        if waiting and ends < waiting[-1][0]:
            timer = loop.call_later(deadline_seconds, _give_up, future)
            future.add_done_callback(lambda _: timer.cancel())
            return
        waiting.append((ends, future))
        if self._reaper is None:
            self._reaper = loop.call_at(ends, self._give_up_late)

    def _give_up_late(self) -> None:
        waiting, self._reaper = self._waiting, None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while waiting and (waiting[0][1].done() or waiting[0][0] <= now):
            _give_up(waiting.popleft()[1])
        if waiting:
            self._reaper = loop.call_at(waiting[0][0], self._give_up_late)

    def _greeting_link(self) -> Link:
        """Return the link of the `on_connect` hook that the caller runs in; nobody else may use it yet."""
        link = _greeting.get()
        if link is None or link is not self._opening or link.broken:
            why = "it is closing" if self._closing else self.last_fault or "it was not started"
            raise NotSent(f"no connection to the hot store: {why}")
        return link

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._closing:
            started = loop.time()
            link = await self._open()
            self._first_attempt.set()
            if link is not None:
                await self._watch(link)
            steady = link is not None and loop.time() - started > STEADY_SECONDS
            failures = 0 if steady else min(failures + 1, 16)  # the exponent is bounded, because 2.0 ** 1024 overflows
            delay_seconds = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2.0**failures)
            # A random half of the pause keeps many workers from coming back in the same instant.
            await asyncio.sleep(delay_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _open(self) -> Link | None:
        """Try once to connect, greet and run the hook. Returns None where it failed; `last_fault` then says why."""
        link = Link(asyncio.get_running_loop(), self._link_broke)
        self._opening = link
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                await self._connect(link)
                await self._greet(link)
            if self._on_connect is not None:
                async with asyncio.timeout(self._stall_timeout_seconds):
                    await self._run_hook(self._on_connect, link)
            if link.broken:
                raise ReplyLost("the connection broke while it was being opened")
            self._link = link
        except TimeoutError:
            self._attempt_failed(link, "connecting took too long")
            return None
        except Exception as fault:  # whatever a hook raises must not end the keeper
            self._attempt_failed(link, f"{type(fault).__name__}: {fault}")
            return None
        finally:
            self._opening = None
            if self._link is not link:
                link.break_off("the connection was not completed")
        _logger.info("connected to the hot store at %s", self.address)
        return link

    async def _connect(self, link: Link) -> None:
        address = self.address
        if address.socket_path is not None:
            await link.loop.create_unix_connection(lambda: link, address.socket_path)
        else:
            tls = address.tls_context()
            await link.loop.create_connection(lambda: link, address.host, address.port, ssl=tls)

    async def _greet(self, link: Link) -> None:
        """Send AUTH, SELECT, CLIENT SETNAME, and a PING that a server still loading its data refuses."""
        address = self.address
        if address.password is not None:
            await link.send(("AUTH", *((address.username,) if address.username else ()), address.password))
        if address.database:
            await link.send(("SELECT", address.database))
        for command in (("CLIENT", "SETNAME", self._name), ("PING",)):
            try:
                await link.send(command)
            except ServerRefused as refused:
                if refused.code != "NOPERM":  # a user that may only call functions is as good
                    raise

    async def _run_hook(self, hook: OnConnect, link: Link) -> None:
        mark = _greeting.set(link)
        try:
            await hook(self)
        finally:
            _greeting.reset(mark)

    async def _watch(self, link: Link) -> None:
        """Watch the link until it ends: give it up when it stalls, and ask for a sign of life when it is idle."""
        period_seconds = self._stall_timeout_seconds / CHECKS_PER_STALL
        checked = link.loop.time()
        while not link.gone.done():
            await asyncio.wait({link.gone}, timeout=period_seconds)
            # When this process itself was paused (SIGSTOP, a starved machine), replies may lie in the socket
            # unread: look again a period later.
            late_seconds, checked = link.loop.time() - checked - period_seconds, link.loop.time()
            if late_seconds > period_seconds or link.broken:
                continue
            if link.oldest_seconds() > self._stall_timeout_seconds:
                link.break_off(f"no reply within {self._stall_timeout_seconds} s")
            elif not link.pending:
                link.send(("PING",)).add_done_callback(_drop_outcome)

    def _link_broke(self, link: Link, reason: str) -> None:
        if self._link is link:
            self._link = None
            self.last_fault = reason
            _logger.warning("lost the hot store at %s: %s", self.address, reason)

    def _attempt_failed(self, link: Link, reason: str) -> None:
        if reason != self.last_fault:  # it is logged once, not at every attempt
            _logger.warning("cannot connect to the hot store at %s: %s", self.address, reason)
        self.last_fault = reason
        link.break_off(reason)


def _give_up(future: "asyncio.Future[Reply]") -> None:
    if not future.done():
        future.set_exception(ReplyLost("no reply before the deadline"))


def _drop_outcome(future: "asyncio.Future[Reply]") -> None:
    if not future.cancelled():
        future.exception()
