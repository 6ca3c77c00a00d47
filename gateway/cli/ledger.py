"""`tong ledger …`: old months out of the ledger and back.

The work of a command is in gateway/administration/ledger_archive.py, loaded when it runs.
"""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json, show

ledger = typer.Typer(help="Old months of the ledger: archive them to files, put them back.", no_args_is_help=True)


def _month(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no month; it is written like 2026-01") from None


@ledger.command(epilog="Example: tong ledger archive --before 2026-01 --to /srv/archive --dry-run")
def archive(
    before: Annotated[datetime.date, typer.Option(parser=_month, metavar="YYYY-MM", help="months before this one")],
    to: Annotated[Path, typer.Option(help="the folder of the archive; each month gets one in it")],
    drop: Annotated[
        bool, typer.Option("--drop", help="also drop detached months, once their files are verified again")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Write months to files, verify them by reading them back, and detach them from the ledger.

    Exit status: 0 done, 1 a month cannot go yet (the reason is printed), 2 could not run.
    """
    from gateway.administration.ledger_archive import archive as work
    from gateway.administration.ledger_archive import archive_document, archive_lines, archive_status

    chosen = settings()
    report = run(work(chosen, before, to, dry_run=True, drop=False), cannot_run=2)
    if not dry_run and (drop or any(month.refused is None for month in report.months)):
        effects = archive_lines(report, before, to)
        confirm([*effects, "detached months would be dropped"] if drop else effects, yes=yes)
        report = run(work(chosen, before, to, dry_run=False, drop=drop), cannot_run=2)
    show(archive_document(report), archive_lines(report, before, to), as_json=json)
    raise typer.Exit(archive_status(report))


@ledger.command(epilog="Example: tong ledger restore --from /srv/archive")
def restore(
    source: Annotated[Path, typer.Option("--from", help="the folder of the archive")],
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put the month that was archived last back into the ledger, verified."""
    from gateway.administration.ledger_archive import last_part, part_document
    from gateway.administration.ledger_archive import restore as work

    chosen = settings()
    part = run(last_part(chosen), cannot_run=2)
    effects = [
        f"{part.name}: {part.transactions} transactions go back into the ledger, the part is no archive any more"
    ]
    confirm(effects, yes=yes, dry_run=dry_run, plan=part_document(part), as_json=json)
    done = run(work(chosen, source), cannot_run=2)
    show(part_document(done), [f"{done.name}: {done.transactions} transactions are back in the ledger"], as_json=json)


@ledger.command(epilog="Example: tong ledger parts --json")
def parts(json: Json = False) -> None:
    """List the archived parts, in the order they were archived."""
    from gateway.administration.ledger_archive import listed

    raise typer.Exit(run(listed(settings(), as_json=json), cannot_run=2))
