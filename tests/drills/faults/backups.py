"""Backup and restore of both stores, by the steps of docs/guides/operations.md."""

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from gateway.development.postgres_server import postgres_program
from loadtest import layout
from tests.drills.drill import Drill
from tests.drills.stack import DrilledStack
from tests.drills.tills import World
from tests.support.servers.postgres import private_postgres
from tests.support.servers.private_servers import ValkeyServer

TOOL_SECONDS = 120.0


class BothStoresLost(Drill):
    """A backup of PostgreSQL, the seal key and the ring of code keys are enough: after the loss of both stores the hot
    store is rebuilt from the restored ledger, and every acknowledged call that the backup has is there. What came after
    the last backup of PostgreSQL is not promised."""

    name, fault = "both-stores-lost", "both stores lost; pg_restore, `tong migrate`, `tong rebuild --all`"
    marks_lost = True

    async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
        self.postgres = owned.enter_context(private_postgres(durable=True))
        self.dsn = await owned.enter_async_context(self.postgres.fresh_database())
        self.valkey = ValkeyServer()
        owned.callback(self.valkey.remove)
        await asyncio.to_thread(self.valkey.start)
        return {"TONG_POSTGRES_DSN": self.dsn, "TONG_VALKEY_URL": self.valkey.url}

    async def strike(self, stack: DrilledStack, world: World) -> None:
        await self._backup_under_load_is_whole(stack)
        await stack.tills_pause(world)
        heads = self.folder / "heads.json"
        heads.write_text(_json_of(await stack.must("heads")))
        backup = await _dumped(self.dsn, self.folder / "backup")
        await stack.end()
        # The loss of both.
        self.valkey.kill()
        for path in self.valkey.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        database = urlsplit(self.dsn).path.lstrip("/")
        await self.postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")
        # The restore.
        world.over()
        await asyncio.to_thread(self.valkey.start)
        await self.postgres.execute(f"CREATE DATABASE {database}")
        await _tool("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--dbname", self.dsn, str(backup))
        await stack.must("migrate", "--yes")
        await stack.must("rebuild", "--yes", "--all")
        await stack.go()
        await stack.must("audit", "--heads", str(heads))
        world.open.set()

    async def _backup_under_load_is_whole(self, stack: DrilledStack) -> None:
        """A backup that was taken while everything ran restores to books that balance and to watermarks that fit
        them."""
        backup = await _dumped(self.dsn, self.folder / "under-load")
        await self.postgres.execute("CREATE DATABASE under_load")
        dsn = self.postgres.dsn("under_load")
        await _tool("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--dbname", dsn, str(backup))
        connection = await asyncpg.connect(dsn)
        try:
            assert await connection.fetchval(layout.UNBALANCED) == 0
            rows = {(row["bucket"], row["epoch"]): row["rows"] for row in await connection.fetch(layout.ROWS_OF_EPOCHS)}
            for mark in await connection.fetch(layout.WATERMARKS):
                assert rows.get((mark["bucket"], mark["epoch"]), 0) == mark["rows_in_epoch"], mark
        finally:
            await connection.close()


async def _dumped(dsn: str, place: Path) -> Path:
    await _tool("pg_dump", "--format=custom", "--no-owner", "--file", str(place), dsn)
    return place


async def _tool(program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs; it has to end well."""
    environment = {**os.environ, "LC_ALL": "C"}
    process = await asyncio.create_subprocess_exec(
        *(str(postgres_program(program)), *arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), TOOL_SECONDS)
    assert process.returncode == 0, f"{program}: {output[-2_000:].decode(errors='replace')}"


def _json_of(output: str) -> str:
    """The document among the lines a command wrote."""
    text = output[output.index("{") : output.rindex("}") + 1] if "{" in output else "[]"
    json.loads(text)
    return text
