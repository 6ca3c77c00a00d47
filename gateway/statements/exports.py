"""Statements for HTTP: each is written in a process of its own, so that a large workbook delays no scan.

Guarantees: at most EXPORTS_AT_ONCE processes of this worker at a time, at most EXPORTS_WAITING_MAX callers waiting,
each for at most QUEUE_SECONDS, and EXPORT_SECONDS for one export; a process ends with the call that asked for it and
with this worker, however that ends. Files lie in a folder only this user can read, until `Exported.remove` or
`close`.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from gateway.settings import Settings
from gateway.statements.request import StatementRequest
from redemption.database import Pool
from redemption.domain.clock import Clock
from redemption.domain.errors import ConfigurationError, RefusedError
from redemption.settlement.statements import StatementRefused, Statements

EXPORTS_AT_ONCE: Final = 1
EXPORTS_WAITING_MAX: Final = 8
QUEUE_SECONDS: Final = 20.0
EXPORT_SECONDS: Final = 1_800.0
STOP_SECONDS: Final = 0.5
"""From the end of its stdin until a process is killed: less than a worker has for closing this
(gateway/processes/closing.py)."""
ERROR_CHARACTERS_MAX: Final = 2_000
ANSWER_BYTES_MAX: Final = 64 * 1024


class ExportsBusy(RefusedError):
    """Too many statements are being written; try again."""


class ExportFailed(ConfigurationError):
    """The process that wrote the statement failed or took too long; the text is for the log."""


class ChildRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The request to the process."""

    request: StatementRequest
    path: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A statement in a file that is the caller's to remove."""

    path: Path
    size_bytes: int
    sha256: str
    provisional: bool
    media_type: str
    file_name: str

    def remove(self) -> None:
        """Remove the file after it was sent; a second time does nothing."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


class StatementExports:
    """The exports of one worker. `pool` only answers whether there is such a statement at all."""

    def __init__(self, settings: Settings, pool: Pool, clock: Clock) -> None:
        self._settings = settings
        self._statements = Statements(pool, clock)
        self._turns = asyncio.Semaphore(EXPORTS_AT_ONCE)
        self._waiting = 0
        self._folder: Path | None = None
        self._number = 0
        self._running: set[Process] = set()

    async def export(self, request: StatementRequest) -> Exported | StatementRefused:
        """Write a statement. Raises `ExportsBusy`, `ExportFailed` and PostgreSQL's faults."""
        scope = await self._statements.resolve(request.business, request.period, request.counterparty)
        if isinstance(scope, StatementRefused):
            return scope
        if self._waiting >= EXPORTS_WAITING_MAX:
            raise ExportsBusy(f"{self._waiting} statements are waiting to be written")
        self._waiting += 1
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise ExportsBusy("another statement is being written") from None
        finally:
            self._waiting -= 1
        try:
            answer = await self._run(request)
        finally:
            self._turns.release()
        if isinstance(answer, StatementRefused):
            return answer
        name = request.file_name(scope, provisional=answer["provisional"])
        return Exported(
            Path(answer["path"]),
            answer["size_bytes"],
            answer["sha256"],
            answer["provisional"],
            request.media_type,
            name,
        )

    async def close(self) -> None:
        """End what is running and remove every file."""
        for process in list(self._running):
            await _end(process)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder = None

    async def _run(self, request: StatementRequest) -> dict[str, Any] | StatementRefused:
        if self._folder is None:
            self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="tong-statements-"))
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        try:
            return await self._run_in(folder / f"statement.{request.format}", request)
        except BaseException:
            # The process may leave files behind, also when it was killed or the caller is gone.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    async def _run_in(self, path: Path, request: StatementRequest) -> dict[str, Any] | StatementRefused:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.statements",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment(),
            limit=ANSWER_BYTES_MAX,
        )
        self._running.add(process)
        try:
            async with asyncio.timeout(EXPORT_SECONDS):
                return await _converse(process, ChildRequest(request, str(path)))
        except TimeoutError:
            raise ExportFailed(f"a statement took more than {EXPORT_SECONDS:.0f} s") from None
        finally:
            self._running.discard(process)
            await _end(process)

    def _environment(self) -> dict[str, str]:
        """Return the environment of the process: the ledger's address and the font, none of this worker's other
        secrets."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
        assert self._settings.postgres_dsn is not None
        kept["TONG_POSTGRES_DSN"] = self._settings.postgres_dsn.get_secret_value()
        if self._settings.font_path is not None:
            kept["TONG_FONT_PATH"] = str(self._settings.font_path)
        return kept


async def _converse(process: Process, asked: ChildRequest) -> dict[str, Any] | StatementRefused:
    """Exchange request and answer. stdin stays open until the answer came: its end tells the process that nobody
    waits."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        # The exit status shows a process that is dead already.
        with contextlib.suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(asked) + b"\n")
            await process.stdin.drain()
        answer = await process.stdout.read()
        status = await process.wait()
        if status != 0:
            text = (await errors).decode(errors="replace")
            raise ExportFailed(f"exit status {status}: {text[-ERROR_CHARACTERS_MAX:]}")
    finally:
        errors.cancel()
    result: dict[str, Any] = orjson.loads(answer)
    if "refused" in result:
        return StatementRefused(result["refused"]["reason"], result["refused"]["detail"])
    written: dict[str, Any] = result["written"]
    return written


async def _end(process: Process) -> None:
    """End the process by closing its stdin; kill it where it does not end."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is not None:
        return
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
