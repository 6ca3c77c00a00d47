"""Settings of a command, and running its work to the end: what every file of gateway/cli/ shares."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import typer
from pydantic import ValidationError

from gateway.settings import Settings, SettingsRefused


def part_settings() -> Settings:
    """Return the settings of a part that runs on the addresses it is given, or exit naming the one at fault."""
    try:
        return Settings()
    except ValidationError as fault:
        for error in fault.errors():
            name = "TONG_" + "_".join(str(part) for part in error["loc"]).upper()
            print(f"{name}: {error['msg']}", file=sys.stderr)
        raise typer.Exit(2) from None


def settings() -> Settings:
    """Return the settings of a person's command: the stores are those of the stack that runs on TONG_HOME, where the
    environment names none."""
    from gateway.administration.running_stack import with_running_stores

    return with_running_stores(part_settings())


def run(main: Coroutine[Any, Any, Any], *, fast: bool = False, cannot_run: int = 1) -> Any:
    """Runs to the end; what cannot work is said in a sentence, not in a trace. `fast`: on uvloop, which cannot start
    processes as another user."""
    import uvloop
    from asyncpg import PostgresError
    from redis.exceptions import RedisError

    from gateway.administration.migrations import MigrationFailed
    from redemption.configuration.current import NotInstalled
    from redemption.configuration.group import GroupFileRefused
    from redemption.credentials import CredentialRefused
    from redemption.domain.store_warnings import ServerRefusedError
    from redemption.hot.faults import HotStoreFault
    from redemption.hot.install import BucketsDiffer, LayoutDiffers
    from redemption.ledger.archive.export import ArchiveRefused
    from redemption.ledger.chain import SealKeyRefused
    from redemption.ledger.manifest import ArchiveDamaged
    from redemption.ledger.rebuild import RebuildRefused
    from redemption.ledger.sealer import OtherKeyError
    from redemption.ledger.writer import LedgerStoppedError
    from redemption.members_status import UnknownMember
    from tokens.errors import TokensError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None) as runner:
            return runner.run(main)
    except (
        SettingsRefused, MigrationFailed, CredentialRefused, NotInstalled,
        ServerRefusedError, GroupFileRefused, UnknownMember, HotStoreFault, BucketsDiffer, LayoutDiffers,
        LedgerStoppedError, TokensError, PostgresError, RedisError, OSError, SealKeyRefused, OtherKeyError,
        RebuildRefused, ArchiveRefused, ArchiveDamaged,
    ) as fault:  # fmt: skip
        print(f"tong: {fault}" if str(fault) else f"tong: {fault!r}", file=sys.stderr)
        raise typer.Exit(cannot_run) from None
