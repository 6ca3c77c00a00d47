"""One stack for each TONG_HOME: a lock that the kernel lets go of however its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redemption.domain.errors import ConflictError


class HomeInUse(ConflictError):
    """Another `tong up` runs on the folder. The text says which and what to do."""


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the lock while the stack runs; the kernel releases it however we end. Raises HomeInUse."""
    with (home / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise HomeInUse(
                f"another `tong up` (pid {file.read().strip() or 'unknown'}) runs on {home}. Stop it, "
                "or set TONG_HOME to another folder and TONG_PORT to another port."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
