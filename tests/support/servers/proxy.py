"""Proxies between a client and a server, with faults. `FaultProxy` does to TCP connections what networks do.

Its faults are attributes, changed while it runs; they hold for all connections from the next piece of data on. A proxy
that reads whole HTTP requests is in http_faults.py.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self

PIECE_BYTES = 65_536


class LoopbackProxy(ABC):
    """Listens on a free loopback port for the length of a block, in front of 127.0.0.1:`target_port`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # An end went away, or the proxy ends: asyncio.streams would report a cancelled handler as an error.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    @abstractmethod
    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client. It is closed when this returns."""


class FaultProxy(LoopbackProxy):
    """Passes everything on, but for the faults."""

    def __init__(self, target_port: int, *, randomness: random.Random | None = None) -> None:
        super().__init__(target_port)
        self.refusing = False
        """New connections are cut as soon as they are made."""
        self.black_hole = False
        """Half-open: sockets stay open, nothing gets through in either direction, what was swallowed is gone."""
        self.drop_replies = False
        """Requests get through, replies are swallowed."""
        self.silent_after: bytes | None = None
        """A connection on which these bytes were replied hears nothing more."""
        self.delay_seconds = 0.0
        """Every piece of a reply waits at most so long, by chance."""
        self.trickle_bytes: int | None = None
        """Replies are passed on in pieces of at most so many bytes, one a loop turn."""
        self.reply_bytes_before_cut: int | None = None
        """After so many more bytes of replies every connection is cut: in the midst of a reply."""
        self.connections_made = 0
        self.bytes_requested = 0
        self._randomness = randomness or random.Random(0)
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    def cut(self) -> None:
        """Ends every connection at once, with a reset, whatever is on the way."""
        for writer in list(self._writers):
            writer.transport.abort()

    def heal(self) -> None:
        """No faults from here on. What was swallowed stays lost, so connections of a black hole are cut."""
        if self.black_hole or self.drop_replies or self.silent_after:
            self.cut()
        self.silent_after = None
        self.refusing = self.black_hole = self.drop_replies = False
        self.delay_seconds = 0.0
        self.trickle_bytes = self.reply_bytes_before_cut = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        ends = [writer]
        try:
            if self.refusing:
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.append(up_writer)
            self._writers.add(up_writer)
            self.connections_made += 1
            pumps = [
                asyncio.create_task(self._pump_requests(reader, up_writer)),
                asyncio.create_task(self._pump_replies(up_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            for end in ends:
                end.transport.abort()
                self._writers.discard(end)

    async def _pump_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE_BYTES):
            self.bytes_requested += len(data)
            if not self.black_hole:
                writer.write(data)
                await writer.drain()

    async def _pump_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = False
        while data := await reader.read(PIECE_BYTES):
            if self.delay_seconds:
                await asyncio.sleep(self._randomness.uniform(0, self.delay_seconds))
            if self.black_hole or self.drop_replies or silent:
                continue
            silent = self.silent_after is not None and self.silent_after in data
            if self.reply_bytes_before_cut is not None:
                head, left = data[: self.reply_bytes_before_cut], self.reply_bytes_before_cut - len(data)
                if left <= 0:
                    self.reply_bytes_before_cut = None
                    writer.write(head)
                    await writer.drain()
                    for other in list(self._writers):
                        other.close()  # not abort: what was passed on so far shall arrive
                    return
                self.reply_bytes_before_cut = left
            step = self.trickle_bytes or len(data)
            for start in range(0, len(data), step):
                writer.write(data[start : start + step])
                await writer.drain()
                await asyncio.sleep(0)


async def stop_listening(server: asyncio.Server) -> None:
    """Closes the listening socket, and lets what was accepted last become a connection: asyncio does so in a task of
    its own and begins the handler in another. A loop that ends before them leaves the socket open."""
    server.close()
    for _ in range(5):
        await asyncio.sleep(0)
