"""Output of a supervised child, passed through to our standard output with the child's name in front.

Guarantees: never blocks on the child; lines are bounded; the last lines are kept, for a failure's message and for the
next start. Nobody reading our output is no reason to stop.
"""

import asyncio
import os
import sys
from collections import deque
from contextlib import suppress
from typing import Final

LINE_BYTES_MAX: Final = 8_192  # longer lines are passed through in pieces
LAST_LINES_MAX: Final = 40
READ_BYTES: Final = 65_536
LAST_READS_MAX: Final = 16


class ChildOutput:
    """A reader of the pipe `read_fd`, which it owns. `quiet` only keeps the last lines."""

    def __init__(self, name: str, read_fd: int, quiet: bool) -> None:
        self.last: deque[str] = deque(maxlen=LAST_LINES_MAX)
        self._prefix = f"[{name}] ".encode()
        self._quiet = quiet
        self._fd = read_fd
        self._rest = b""
        self._open = True
        os.set_blocking(read_fd, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(read_fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LINE_BYTES_MAX:
            lines.append(self._rest[:LINE_BYTES_MAX])
            self._rest = self._rest[LINE_BYTES_MAX:]
        for line in lines:
            self._emit(line)

    def _emit(self, line: bytes) -> None:
        for at in range(0, max(len(line), 1), LINE_BYTES_MAX):
            piece = line[at : at + LINE_BYTES_MAX]
            self.last.append(piece.decode(errors="replace"))
            if not self._quiet:
                with suppress(OSError, ValueError):  # nobody reads us any more
                    sys.stdout.buffer.write(self._prefix + piece + b"\n")
                    sys.stdout.buffer.flush()

    def close(self) -> None:
        """Read what is still in the pipe, then close it."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._fd)
        with suppress(OSError):  # an orphan still holds the other end (BlockingIOError)
            for _ in range(LAST_READS_MAX):
                data = os.read(self._fd, READ_BYTES)
                if not data:
                    break
                self._rest += data
        if self._rest:
            for line in self._rest.removesuffix(b"\n").split(b"\n"):
                self._emit(line)
            self._rest = b""
        os.close(self._fd)
