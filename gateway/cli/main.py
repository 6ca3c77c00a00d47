"""`tong`, the command line. Every part of the product can be run alone; `tong up` runs them all.

Only settings and typer are imported at the top: what a command needs is imported by the command, so that `tong --help`
and `tong serve` load nothing of the development stack.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.code_keys import codes
from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.demo import demo
from gateway.cli.keys import keys
from gateway.cli.ledger import ledger
from gateway.cli.members import members
from gateway.cli.projections import projections
from gateway.cli.running import part_settings, run, settings
from gateway.cli.settle import settle
from gateway.formats.printing import Json

app = typer.Typer(
    help="Tong: the real-time redemption gateway. Settings are environment variables with the prefix TONG_; without "
    "addresses of the stores a command takes those of the stack that runs on TONG_HOME (./var).",
    epilog="Exit status: 0 done, 1 refused or differences found, 2 wrong usage, wrong settings or could not run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(demo, name="demo")
app.add_typer(keys, name="keys")
app.add_typer(members, name="members")
app.add_typer(codes, name="code-keys")
app.add_typer(settle, name="settle")
app.add_typer(ledger, name="ledger")
app.add_typer(projections, name="projections")


def _version(value: bool) -> None:
    if value:
        print(f"tong {version('tong')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    """Hold the options that are not of one command."""


@app.command(epilog="Example: TONG_PORT=8080 tong up")
def up() -> None:
    """Start everything for development: private servers, migrations, demo group, gateway, ledger writer."""
    from gateway.development.stack import up as stack_up

    raise typer.Exit(run(stack_up(part_settings())))


@app.command(epilog="Example: TONG_WORKERS=2 TONG_VALKEY_URL=… TONG_POSTGRES_DSN=… tong serve")
def serve(
    fd: Annotated[int | None, typer.Option(help="an inherited listening socket")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="its pid is written here once it accepts")] = None,
) -> None:
    """Run the gateway: TONG_WORKERS workers on one socket, or a single one in this process.

    With several, SIGUSR2 replaces them one after another without a failed request.
    """
    chosen = part_settings()
    if fd is None and chosen.workers > 1:
        from gateway.server.worker_processes import serve_workers

        raise typer.Exit(run(serve_workers(chosen)))
    from gateway.server.serve import serve as serve_worker

    run(serve_worker(chosen, fd=fd, ready_file=ready_file), fast=True)


@app.command(name="write-ledger", epilog="Example: TONG_VALKEY_URL=… TONG_POSTGRES_DSN=… tong write-ledger")
def write_ledger() -> None:
    """Carry the streams of the hot store into the PostgreSQL ledger."""
    from gateway.workers.ledger_writer import write_ledger as write

    run(write(part_settings()), fast=True)


@app.command(epilog="Example: TONG_POSTGRES_DSN=… tong seal --make-key")
def seal(
    make_key: Annotated[bool, typer.Option("--make-key", help="make the key's file where it is missing")] = False,
) -> None:
    """Trail the ledger writer with a keyed hash chain, so that a changed or removed row shows."""
    from gateway.workers.sealer import seal as run_sealer

    run(run_sealer(part_settings(), make_key=make_key), fast=True)


@app.command(epilog="Example: TONG_POSTGRES_DSN=… tong projector")
def projector() -> None:
    """Read the ledger once for everything that is made of it: settlement lines and other projections."""
    from gateway.workers.projector import project

    run(project(part_settings()), fast=True)


@app.command(epilog="Example: tong heads > heads.json")
def heads() -> None:
    """Export the heads of the chain, for a place outside: `tong heads > heads.json`."""
    from gateway.workers.sealer import export_heads

    print(run(export_heads(settings())))


@app.command(epilog="Example: tong audit --heads heads.json --json")
def audit(
    heads_file: Annotated[
        Path | None, typer.Option("--heads", help="a file of `tong heads`: the chain must lead to each of them")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="the folder of `tong ledger archive`: archived rows are verified too")
    ] = None,
    bucket: Annotated[list[int] | None, typer.Option(help="only this bucket; may be repeated")] = None,
    json: Json = False,
    drain_seconds: Annotated[float, typer.Option(help="how long the ledger writer may take to catch up")] = 30.0,
) -> None:
    """Hold ledger, chain and hot store against each other. Exit status: 0 clean, 1 differences, 2 could not run."""
    from gateway.administration.ledger_audit import audit as run_audit

    work = run_audit(settings(), bucket or (), heads_file, archive, as_json=json, drain_seconds=drain_seconds)
    raise typer.Exit(run(work, cannot_run=2))


@app.command(epilog="Example: tong rebuild --member mem_0000001 --freeze --dry-run")
def rebuild(
    everything: Annotated[bool, typer.Option("--all", help="every bucket")] = False,
    bucket: Annotated[list[int] | None, typer.Option(help="this bucket; may be repeated")] = None,
    member: Annotated[str | None, typer.Option(help="this member only, mem_…")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="freeze buckets that are neither empty nor frozen")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="also where the stream once counted more than the ledger has")
    ] = False,
) -> None:
    """Put the hot store back to what the ledger says, into an empty or a frozen bucket."""
    from gateway.administration.ledger_audit import Scope, rebuild_scope
    from gateway.administration.ledger_audit import rebuild as run_rebuild

    chosen = settings()
    scope = Scope(everything, tuple(bucket or ()), member)
    if not dry_run:
        confirm(run(rebuild_scope(chosen, scope, freeze=freeze), cannot_run=2), yes=yes)
    work = run_rebuild(chosen, scope, dry_run=dry_run, freeze=freeze, accept_loss=accept_loss, as_json=json)
    raise typer.Exit(run(work, cannot_run=2))


@app.command(epilog="Example: tong migrate --dry-run")
def migrate(
    prune: Annotated[
        bool, typer.Option("--prune", help="remove older function libraries; only when no older worker runs")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bring both stores to this version. Asks where a database with data gets a new schema, and before --prune."""
    from gateway.administration.migrations import migrate as migrate_stores
    from gateway.administration.migrations import plan as plan_migration

    chosen = settings()
    plan = run(plan_migration(chosen, prune_functions=prune))
    if dry_run or plan.cannot_be_undone:
        confirm(plan.lines(), yes=yes, dry_run=dry_run)
    run(migrate_stores(chosen, prune_functions=prune))


@app.command(name="store-users", epilog="Example: tong store-users valkey > users.acl")
def store_users(
    store: Annotated[Literal["valkey", "postgres"], typer.Argument(help="which store's users")],
) -> None:
    """Print the rights of each user of a store: the ACL file of Valkey, the roles of PostgreSQL. Holds no password."""
    from redemption.hot.users import acl_file
    from redemption.rights import roles_file

    print(acl_file() if store == "valkey" else roles_file())


@app.command(epilog="Example: tong load group.yaml --dry-run")
def load(
    group: Annotated[Path, typer.Argument(help="the group file (YAML, or JSON where it is called .json)")],
    members: Annotated[
        Path | None, typer.Option("--members", help="further members, one JSON object a line; streamed")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="retire things that are in the store and not in the file; holdings are kept")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the plan and change nothing; status 1 where something would change")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="retire without asking")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the plan and the result as JSON")] = False,
) -> None:
    """Load a group file: businesses, outlets, terminals, levels, benefits, agreements, members, opening balances.

    Shows what it changes, applies it in one transaction, and names what is in the store and not in the file.
    """
    from gateway.cli.load import Wanted
    from gateway.cli.load import load as run_load

    wanted = Wanted(group, members, prune=prune, dry_run=dry_run, yes=yes, as_json=as_json)
    raise typer.Exit(run(run_load(settings(), wanted), cannot_run=2 if dry_run else 1))


@app.command(name="export-group", epilog="Example: tong export-group > group.yaml")
def export_group() -> None:
    """Print the configuration in force as a group file, without members: `tong export-group > group.yaml`."""
    import yaml

    from gateway.administration.group import export_group as export

    print(yaml.safe_dump(run(export(settings())), allow_unicode=True, sort_keys=False), end="")


def main() -> None:
    """Run the console script. Exits with status 2 where a command needs the development stack and there is none."""
    try:
        app()
    except ModuleNotFoundError as fault:
        if fault.name != "gateway.development":
            raise
        print(
            "tong: the development stack is not part of this installation; run it from the repository", file=sys.stderr
        )
        sys.exit(2)
