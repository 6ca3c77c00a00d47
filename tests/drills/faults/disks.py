"""Disks that lose, refuse, fill up or change what was written."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from redis.exceptions import RedisError

from tests.drills.drill import CannotRun, Drill
from tests.drills.rest import wait_through_faults
from tests.drills.shim import Shim
from tests.drills.stack import DrilledStack
from tests.drills.tills import World
from tests.support.servers.postgres import private_postgres
from tests.support.servers.private_servers import ValkeyServer

DISK_MEGABYTES = 320
BALLAST_BYTES = 1024 * 1024
TRANSACTION = b"*1\r\n$5\r\nMULTI\r\n"
COMMAND = b"\r\n*"
CUT_SAID = "a crash cut its log"


class _Shimmed(Drill):
    """A Valkey of the drill's own, under the shim."""

    appendfsync: ClassVar[str] = "always"

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.shim = Shim(self.folder)
        self.server = ValkeyServer("--appendfsync", self.appendfsync)
        owned.callback(self.server.remove)
        self.server.environment = self.shim.environment
        await asyncio.to_thread(self.server.start)
        return {"TONG_VALKEY_URL": self.server.url}


class PowerCut(_Shimmed):
    """An acknowledged call is on the disk itself, not only in the kernel: with `appendfsync always` a power cut loses
    none."""

    name, fault = "power-cut", "SIGKILL of Valkey, everything that was not synced is lost"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.server.kill()
        self.shim.cut_power(self.server.directory)
        world.over()
        await asyncio.to_thread(self.server.start)


class FsyncFails(_Shimmed):
    """A hot store that cannot sync ends rather than acknowledge; what it had not synced is lost and was never
    acknowledged."""

    name, fault = "fsync-fails", "fsync of Valkey fails with EIO, what was not synced is lost"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        self.shim.fsync_fails(True)
        await wait_through_faults("Valkey ends", lambda: self.server.has_ended)
        self.shim.fsync_fails(False)
        self.server.stop()
        self.shim.cut_power(self.server.directory)
        world.over()
        await asyncio.to_thread(self.server.start)


class PostgresDiskFull(Drill):
    """A full disk stops the ledger, not the tills: scans go on, the writer waits, and goes on when there is room. No
    till notices."""

    name, fault = "postgres-disk-full", "the disk of PostgreSQL is full, room is made"
    no_till_notices = True

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.disk = self.folder / "disk"
        owned.enter_context(_small_disk(self.disk))
        self.server = owned.enter_context(private_postgres(durable=True, parent=self.disk))
        return {"TONG_POSTGRES_DSN": await owned.enter_async_context(self.server.fresh_database())}

    async def strike(self, stack: DrilledStack, world: World) -> None:
        ballast = self.disk / "ballast"
        await asyncio.to_thread(_fill, ballast)
        await stack.until_said("PostgreSQL is away")
        await stack.until_applied(world, 100)
        ballast.unlink()
        world.over()
        if self.server.has_ended:  # it panics where the log itself cannot be written; somebody has to start it again
            self.server.stop()
            await asyncio.to_thread(self.server.start)


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    """A tmpfs for the length of the block. Raises `CannotRun`."""
    if os.geteuid() != 0:
        raise CannotRun("only root can mount a small disk")
    place.mkdir()
    options = f"size={DISK_MEGABYTES}m,mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tong-drill", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def _fill(ballast: Path) -> None:
    """Writes until nothing fits any more."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * BALLAST_BYTES)
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 4_096)


class _Log(Drill):
    """Changes the log of the stack's own Valkey while that is dead and the supervisor stands still."""

    async def with_dead_valkey(self, stack: DrilledStack) -> Path:
        """SIGSTOP of the supervisor, SIGKILL of Valkey; the log's last file. The caller lets the supervisor go on."""
        valkey = stack.pid("valkey")
        os.kill(stack.process.pid, signal.SIGSTOP)
        os.kill(valkey, signal.SIGKILL)
        await wait_through_faults("Valkey is dead", lambda: not Path(f"/proc/{valkey}/exe").exists())
        return max((stack.home / "valkey" / "data" / "appendonlydir").glob("*.incr.aof"))


class LogTorn(_Log):
    """A log whose last transaction is half written is loaded without it: it was never acknowledged. The stack says
    so."""

    name, fault = "log-torn", "the log of Valkey ends in the middle of a transaction"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        log = await self.with_dead_valkey(stack)
        written = log.read_bytes()
        last = written[written.rindex(TRANSACTION) :]
        with log.open("ab") as file:
            file.write(last[: self.chance.randrange(len(TRANSACTION) + 1, len(last) - 20)])
        os.kill(stack.process.pid, signal.SIGCONT)
        world.over()
        await stack.until_said(CUT_SAID)


class LogFlipped(_Log):
    """A damaged log is not loaded in part: the hot store stays away and the stack says what to do. Rebuilt from the
    ledger it has everything that the ledger had."""

    name, fault = "log-flipped", "a flipped bit in the log of Valkey; log moved away, `tong rebuild --all`"
    marks_lost = True

    async def strike(self, stack: DrilledStack, world: World) -> None:
        await stack.tills_pause(world)  # what the ledger has not is lost with the log: not promised
        log = await self.with_dead_valkey(stack)
        content = bytearray(log.read_bytes())
        place = content.index(COMMAND, self.chance.randrange(len(content) // 2)) + 2
        content[place] ^= 0x08
        log.write_bytes(content)
        os.kill(stack.process.pid, signal.SIGCONT)
        await stack.until_said("tong rebuild --all")
        log.parent.rename(self.folder / "damaged")
        world.over()

        async def empty() -> bool:
            with suppress(RedisError, OSError):
                async with stack.hot() as hot:
                    return bool(await hot.ping())
            return False

        await wait_through_faults("Valkey starts empty", empty)
        await stack.must("rebuild", "--yes", "--all")
        world.open.set()
