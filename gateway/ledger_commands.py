"""`tong ledger …`: old months out of the ledger and back. What a command does is in gateway/ledger_archive.py, loaded
when it runs."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

ledger = typer.Typer(help="Old months of the ledger: archive them to files, put them back.", no_args_is_help=True)


def _month(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no month; it is written like 2026-01") from None


@ledger.command()
def archive(
    before: Annotated[datetime.date, typer.Option(parser=_month, metavar="YYYY-MM", help="months before this one")],
    to: Annotated[Path, typer.Option(help="the folder of the archive; each month gets one in it")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="change nothing, say what would be done")] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="also drop what is detached, once its files are verified again")
    ] = False,
) -> None:
    """Write months to files, verify them by reading them back, and detach them from the ledger.

    Exit status: 0 done, 1 a month cannot go yet (the reason is said), 2 could not run.
    """
    from gateway import cli  # noqa: PLC0415 - what a command needs is imported by the command
    from gateway.ledger_archive import archive as work  # noqa: PLC0415

    raise typer.Exit(cli.run(work(cli.settings(), before, to, dry_run=dry_run, drop=drop), cannot_run=2))


@ledger.command()
def restore(source: Annotated[Path, typer.Option("--from", help="the folder of the archive")]) -> None:
    """Put the month that was archived last back into the ledger, verified."""
    from gateway import cli  # noqa: PLC0415
    from gateway.ledger_archive import restore as work  # noqa: PLC0415

    raise typer.Exit(cli.run(work(cli.settings(), source), cannot_run=2))


@ledger.command()
def parts() -> None:
    """List the archived parts, in the order they were archived."""
    from gateway import cli  # noqa: PLC0415
    from gateway.ledger_archive import listed  # noqa: PLC0415

    raise typer.Exit(cli.run(listed(cli.settings()), cannot_run=2))
