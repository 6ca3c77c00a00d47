"""How a statement becomes a file: the command, the process a gateway worker starts, what is left when it fails."""

import asyncio
import csv
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.formats.money import money_text
from gateway.settings import Settings
from gateway.statements import exports as exports_module
from gateway.statements.exports import Exported, ExportFailed, ExportsBusy, StatementExports
from gateway.statements.request import FORMATS, StatementRequest
from loadtest.stack import TONG
from redemption.database import Pool
from redemption.settlement.statements import StatementRefused
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import at, group_pool
from tests.support.settlement.statements import agree_on_everything, export, months_of_history, name_everything
from tests.support.suite.waiting import wait_until

CLOSED = "2026-10"


@pytest.fixture(scope="module")
async def book(postgres: PrivatePostgres) -> AsyncIterator[tuple[str, Pool]]:
    """Address and pool of a history that the tests only read."""
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await name_everything(pool)
        await agree_on_everything(pool)
        await months_of_history(pool, seed=1, redemptions=60)
        yield dsn, pool


async def tong(dsn: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `tong settle statement …`."""
    process = await asyncio.create_subprocess_exec(
        TONG,
        "settle",
        "statement",
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "TONG_POSTGRES_DSN": dsn, **environment},
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_the_command_writes_what_the_library_writes(book: tuple[str, Pool], tmp_path: Path) -> None:
    dsn, pool = book
    for kind in ("csv", "pdf"):
        path = tmp_path / f"s.{kind}"
        path.write_text("what was there before")
        status, out, error = await tong(dsn, "--business", "hotel", "--period", CLOSED, "--output", str(path))
        assert status == 0, error
        assert str(path) in out
        assert "PROVISIONAL" not in out
        assert path.read_bytes() == await export(pool, tmp_path / "mine", "hotel", CLOSED, format=kind)
    options = ("--period", "202611.hotel.mall", "--format", "csv", "--section", "totals", "--language", "en")
    status, out, error = await tong(dsn, "--business", "hotel", *options, "--output", str(tmp_path / "totals"))
    assert (status, out.startswith("PROVISIONAL ")) == (0, True), error
    rows = list(csv.DictReader((tmp_path / "totals").read_text("utf-8-sig").splitlines()))
    assert [row["currency"] for row in rows] == ["CNY"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "s.csv", "s.pdf", "totals"]


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (("--business", "spa", "--output", "s.csv"), 1, "there is no business"),
        (("--business", "hotel", "--period", "202611.gym.mall", "--output", "s.csv"), 1, "is no side of"),
        (("--business", "hotel", "--output", "missing/s.csv"), 1, "No such file or directory"),
        (("--business", "hotel", "--output", "s.doc"), 2, "--format"),
        (("--business", "hotel", "--format", "doc", "--output", "s"), 2, "doc"),
        (("--business", "hotel", "--output", "s.pdf"), 1, "noto-cjk-sans-otc"),
    ],
)
async def test_what_cannot_be_written_is_said_in_a_sentence_and_leaves_nothing(
    book: tuple[str, Pool], tmp_path: Path, options: tuple[str, ...], status: int, sentence: str
) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    placed = [str(tmp_path / one) if one.startswith(("s.", "missing")) else one for one in options]
    got, out, error = await tong(book[0], *placed, TONG_FONT_PATH=str(fonts))
    assert (got, out) == (status, "")
    assert sentence in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == [fonts]


@asynccontextmanager
async def exports_of(book: tuple[str, Pool]) -> AsyncIterator[StatementExports]:
    exports = StatementExports(Settings(postgres_dsn=SecretStr(book[0])), book[1], lambda: at("2026-11-22T08:00"))
    try:
        yield exports
    finally:
        await exports.close()


async def test_a_worker_gets_the_same_bytes_from_a_process_of_its_own(book: tuple[str, Pool], tmp_path: Path) -> None:
    async with exports_of(book) as exports:
        for kind in FORMATS:
            result = await exports.export(StatementRequest("hotel", CLOSED, format=kind))
            assert isinstance(result, Exported), result
            data = await asyncio.to_thread(result.path.read_bytes)
            assert data == await export(book[1], tmp_path / "mine", "hotel", CLOSED, format=kind)
            assert (len(data), result.file_name) == (result.size_bytes, f"tong-hotel-2026-10{LINES[kind]}.{kind}")
            assert result.path.stat().st_mode & 0o077 == 0
            result.remove()
            assert not result.path.exists()
        kept = await exports.export(StatementRequest("hotel", format="csv"))
        assert isinstance(kept, Exported)
        assert (kept.provisional, "PROVISIONAL" in kept.file_name) == (True, True)
        refused = await exports.export(StatementRequest("hotel", "2026-13"))
        assert isinstance(refused, StatementRefused)
    assert not kept.path.parent.exists()


LINES = {"csv": "-lines", "json": "", "xlsx": "", "pdf": ""}


async def test_a_worker_is_told_of_a_missing_font_like_anybody(book: tuple[str, Pool], tmp_path: Path) -> None:
    settings = Settings(postgres_dsn=SecretStr(book[0]), font_path=tmp_path)
    exports = StatementExports(settings, book[1], lambda: at("2026-11-22T08:00"))
    refused = await exports.export(StatementRequest("hotel", CLOSED, format="pdf"))
    await exports.close()
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "font_missing"


def processes() -> set[int]:
    """Processes of ours that write a statement."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue  # it ended
            if b"gateway.statements" in words and parent == os.getpid():
                found.add(int(folder.name))
    return found


async def one_is_running() -> bool:
    return len(processes()) == 1


async def none_is_running() -> bool:
    return not processes()


async def test_who_does_not_wait_any_more_ends_the_process_and_leaves_no_file(
    book: tuple[str, Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports_module, "QUEUE_SECONDS", 0.05)
    async with exports_of(book) as exports, held(book[1]):
        asked = asyncio.create_task(exports.export(StatementRequest("hotel", CLOSED, format="csv")))
        await wait_until("a process writes", one_is_running)
        with pytest.raises(ExportsBusy):
            await exports.export(StatementRequest("mall", CLOSED, format="csv"))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await none_is_running()
        folder: Any = exports._folder
        assert list(folder.iterdir()) == []
    async with exports_of(book) as exports:
        assert isinstance(await exports.export(StatementRequest("hotel", CLOSED, format="csv")), Exported)


async def test_a_process_that_dies_is_a_fault_and_the_next_one_works(book: tuple[str, Pool]) -> None:
    async with exports_of(book) as exports:
        async with held(book[1]):
            asked = asyncio.create_task(exports.export(StatementRequest("hotel", CLOSED, format="csv")))
            await wait_until("a process writes", one_is_running)
            for process in processes():
                os.kill(process, signal.SIGKILL)
            with pytest.raises(ExportFailed, match="exit status -9"):
                await asked
        assert isinstance(await exports.export(StatementRequest("hotel", CLOSED, format="csv")), Exported)


@asynccontextmanager
async def held(pool: Pool) -> AsyncIterator[None]:
    """Nobody reads a line meanwhile, so that a statement takes as long as this."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE settlement_line IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "CNY", "0.00"),
        (-5, "CNY", "-0.05"),
        (1_234_567, "CNY", "12,345.67"),
        (1_234_567, "JPY", "1,234,567"),
        (-1_234_567, "KWD", "-1,234.567"),
        (100, None, "1.00"),
    ],
)
def test_minor_units_are_shown_with_the_digits_of_their_currency(minor: int, currency: str, text: str) -> None:
    assert money_text(minor, currency) == text
