"""Settings of a command, and running its work to the end."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import typer
from pydantic import ValidationError

from gateway.settings import Settings
from redemption.domain.errors import TongError
from tokens.errors import TokensError


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
    """Return the settings of a person's command.

    The stores are those of the stack that runs on TONG_HOME, where the environment names none.
    """
    from gateway.administration.running_stack import with_running_stores

    return with_running_stores(part_settings())


def run(main: Coroutine[Any, Any, Any], *, fast: bool = False, cannot_run: int = 1) -> Any:
    """Run a command to its end and print a fault as a sentence, not as a trace.

    `fast` runs it on uvloop, which cannot start processes as another user. Exits with `cannot_run` at a fault.
    """
    import uvloop
    from asyncpg import PostgresError
    from redis.exceptions import RedisError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None) as runner:
            return runner.run(main)
    except (TongError, TokensError, PostgresError, RedisError, OSError) as fault:
        print(f"tong: {fault}" if str(fault) else f"tong: {fault!r}", file=sys.stderr)
        raise typer.Exit(cannot_run) from None
