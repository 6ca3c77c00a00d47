"""`tong projections …`: the projections of the ledger's rows."""

from typing import Annotated

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json, show

projections = typer.Typer(help="Projections of the ledger's rows: how far they are.", no_args_is_help=True)


@projections.command(epilog="Example: tong projections status --json")
def status(json: Json = False) -> None:
    """Show how far every projection is behind the ledger. Status 1 where one is stopped or has not begun."""
    from gateway.administration.projections import status as work
    from gateway.administration.projections import status_lines

    found = run(work(settings()))
    show(found, status_lines(found), as_json=json)
    if any(each.stopped_because is not None or each.begun_at is None for each in found):
        raise typer.Exit(1)


@projections.command(name="run", epilog="Example: tong projections run")
def run_once() -> None:
    """Feed every projection with what the ledger has now, and end. May run beside `tong projector`, with its rights."""
    from gateway.administration.projections import feed

    print(f"{run(feed(settings()))} ledger transactions")


@projections.command(epilog="Example: tong projections begin settlement_lines")
def begin(
    name: Annotated[str, typer.Argument(help="the projection, as status names it")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Begin a projection that was added after months were archived, with the months that are in the ledger now.

    To have it whole instead, restore the months first: `tong ledger restore`, until nothing is archived.
    """
    from gateway.administration.projections import begin as work

    confirm([f"{name} begins without the months that are archived, and never gets them"], yes=yes, dry_run=dry_run)
    begun = run(work(settings(), name))
    print(f"{name} begins" if begun else f"{name} is no projection that waits for its beginning")
    if not begun:
        raise typer.Exit(1)
