"""`tong`, the command line. Every part of the product can be run alone; `tong up` runs them all.

Only settings and typer are imported at the top: what a command needs is imported by the command, so that `tong --help`
and `tong serve` load nothing of the development stack.
"""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from gateway.key_commands import keys
from gateway.ledger_commands import ledger
from gateway.settings import Settings, SettingsRefused
from gateway.settle_commands import settle

app = typer.Typer(
    help="Tong: the real-time redemption gateway. Settings are environment variables with the prefix TONG_.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
members = typer.Typer(help="Block members and revoke their codes.", no_args_is_help=True)
codes = typer.Typer(help="The ring of keys that sign member codes.", no_args_is_help=True)
demo = typer.Typer()
app.add_typer(demo, name="demo")
app.add_typer(keys, name="keys")
app.add_typer(members, name="members")
app.add_typer(codes, name="code-keys")
app.add_typer(settle, name="settle")
app.add_typer(ledger, name="ledger")


def settings() -> Settings:
    """The settings, or an exit that names the one at fault."""
    try:
        return Settings()
    except ValidationError as fault:
        for error in fault.errors():
            name = "TONG_" + "_".join(str(part) for part in error["loc"]).upper()
            print(f"{name}: {error['msg']}", file=sys.stderr)
        raise typer.Exit(2) from None


def run(main: Coroutine[Any, Any, Any], *, fast: bool = False, cannot_run: int = 1) -> Any:
    """Runs to the end; what cannot work is said in a sentence, not in a trace. `fast`: on uvloop, which cannot start
    processes as another user."""
    import uvloop
    from asyncpg import PostgresError
    from redis.exceptions import RedisError

    from gateway.migrate import MigrationFailed
    from redemption.credentials import CredentialRefused
    from redemption.directory import NotInstalled
    from redemption.domain.weakness import ServerRefusedError
    from redemption.group import GroupFileRefused
    from redemption.hot.faults import HotStoreFault
    from redemption.hot.install import BucketsDiffer, LayoutDiffers
    from redemption.ledger.archive_export import ArchiveRefused
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


@app.command()
def up() -> None:
    """Start everything for development: private servers, migrations, demo group, gateway, ledger writer."""
    from gateway.development.stack import up as stack_up

    raise typer.Exit(run(stack_up(settings())))


@app.command()
def serve(
    fd: Annotated[int | None, typer.Option(help="a listening socket this process was handed")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="its pid is written here once it accepts")] = None,
) -> None:
    """Run the gateway: TONG_WORKERS workers on one socket, or a single one in this process.

    With several, SIGUSR2 replaces them one after another without a failed request.
    """
    chosen = settings()
    if fd is None and chosen.workers > 1:
        from gateway.workers import serve_workers

        raise typer.Exit(run(serve_workers(chosen)))
    from gateway.serve import serve as serve_worker

    run(serve_worker(chosen, fd=fd, ready_file=ready_file), fast=True)


@app.command(name="write-ledger")
def write_ledger() -> None:
    """Carry the streams of the hot store into the PostgreSQL ledger."""
    from gateway.write_ledger import write_ledger as write

    run(write(settings()), fast=True)


@app.command()
def seal(
    make_key: Annotated[bool, typer.Option("--make-key", help="make the key's file when there is none")] = False,
) -> None:
    """Trail the ledger writer with a keyed hash chain, so that a changed or removed row shows."""
    from gateway.ledger_seal import seal as run_sealer

    run(run_sealer(settings(), make_key=make_key), fast=True)


@app.command()
def heads() -> None:
    """Export the heads of the chain, for a place outside: `tong heads > heads.json`."""
    from gateway.ledger_seal import export_heads

    print(run(export_heads(settings())))


@app.command()
def audit(
    heads_file: Annotated[
        Path | None, typer.Option("--heads", help="a file of `tong heads`: the chain must lead to each of them")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="the folder of `tong ledger archive`: archived rows are verified too")
    ] = None,
    bucket: Annotated[list[int] | None, typer.Option(help="only this bucket; may be repeated")] = None,
    json: Annotated[bool, typer.Option("--json", help="the report as JSON")] = False,
    drain_seconds: Annotated[float, typer.Option(help="how long the ledger writer may take to catch up")] = 30.0,
) -> None:
    """Hold ledger, chain and hot store against each other. Exit status: 0 clean, 1 differences, 2 could not run."""
    from gateway.ledger_audit import audit as run_audit

    work = run_audit(settings(), bucket or (), heads_file, archive, as_json=json, drain_seconds=drain_seconds)
    raise typer.Exit(run(work, cannot_run=2))


@app.command()
def rebuild(
    everything: Annotated[bool, typer.Option("--all", help="every bucket")] = False,
    bucket: Annotated[list[int] | None, typer.Option(help="this bucket; may be repeated")] = None,
    member: Annotated[str | None, typer.Option(help="this member only, mem_…")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="change nothing, show what would change")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="freeze what is neither empty nor frozen")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="also where the stream once counted more than the ledger has")
    ] = False,
) -> None:
    """Put the hot store back to what the ledger says, into an empty or a frozen bucket."""
    from gateway.ledger_audit import Scope
    from gateway.ledger_audit import rebuild as run_rebuild

    scope = Scope(everything, tuple(bucket or ()), member)
    raise typer.Exit(
        run(run_rebuild(settings(), scope, dry_run=dry_run, freeze=freeze, accept_loss=accept_loss), cannot_run=2)
    )


@app.command()
def migrate(
    prune: Annotated[
        bool, typer.Option(help="remove older function libraries; only when no older worker runs")
    ] = False,
) -> None:
    """Bring both stores to this version."""
    from gateway.migrate import migrate as migrate_stores

    run(migrate_stores(settings(), prune_functions=prune))


@app.command(name="store-users")
def store_users(
    store: Annotated[Literal["valkey", "postgres"], typer.Argument(help="which store's users")],
) -> None:
    """Print who may do what in a store: the ACL file of Valkey, the roles of PostgreSQL. Holds no password."""
    from redemption.hot.users import acl_file
    from redemption.rights import roles_file

    print(acl_file() if store == "valkey" else roles_file())


@app.command()
def load(
    group: Annotated[Path, typer.Argument(help="the group file (YAML, or JSON where it is called .json)")],
    members: Annotated[
        Path | None, typer.Option("--members", help="further members, one JSON object a line; streamed")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="retire what is in the store and not in the file; holdings are kept")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the plan and change nothing; status 1 where something would change")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="retire without asking")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the plan and what was done as JSON")] = False,
) -> None:
    """Load a group file: businesses, outlets, terminals, levels, benefits, agreements, members, opening balances.

    Shows what it changes, applies it in one transaction, and names what is in the store and not in the file.
    """
    from gateway.load_commands import Wanted
    from gateway.load_commands import load as run_load

    wanted = Wanted(group, members, prune=prune, dry_run=dry_run, yes=yes, as_json=as_json)
    raise typer.Exit(run(run_load(settings(), wanted), cannot_run=2 if dry_run else 1))


@app.command(name="export-group")
def export_group() -> None:
    """Print the configuration in force as a group file, without members: `tong export-group > group.yaml`."""
    import yaml

    from gateway.operations import export_group as export

    print(yaml.safe_dump(run(export(settings())), allow_unicode=True, sort_keys=False), end="")


@demo.callback(invoke_without_command=True)
def demo_tour(context: typer.Context) -> None:
    """The main job on real input, against a running `tong up`: draw, scan, redeem, repeat, refuse, look it up."""
    if context.invoked_subcommand is not None:
        return
    from gateway.development.demo import demo as run_demo

    raise typer.Exit(run(run_demo(settings())))


@demo.command(name="codes")
def demo_codes(
    refusal: Annotated[str | None, typer.Argument(help="only this one, e.g. points_insufficient")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="whole requests, with headers and the test till's key")
    ] = False,
) -> None:
    """Test codes: what to send to a running `tong up` to be refused in each of the ways there are."""
    from gateway.development.demo import codes as print_codes

    raise typer.Exit(run(print_codes(settings(), refusal, as_json=as_json)))


MemberId = Annotated[str, typer.Argument(help="the member's id, mem_…")]


@members.command(name="block")
def members_block(member_id: MemberId) -> None:
    """Refuse every use by this member until it is unblocked; codes are revoked too."""
    from gateway.operations import set_member_status

    print(run(set_member_status(settings(), member_id, blocked=True, revoke_codes=True)))


@members.command(name="unblock")
def members_unblock(member_id: MemberId) -> None:
    """Let a blocked member in again."""
    from gateway.operations import set_member_status

    print(run(set_member_status(settings(), member_id, blocked=False, revoke_codes=False)))


@members.command(name="revoke-codes")
def members_revoke_codes(member_id: MemberId) -> None:
    """Refuse every code made until now, those fetched ahead too: a lost phone. Fresh codes work at once."""
    from gateway.operations import set_member_status

    print(run(set_member_status(settings(), member_id, blocked=None, revoke_codes=True)))


@codes.command(name="rotate")
def codes_rotate() -> None:
    """Add a signing key; codes of the old ones stay good until they are retired. No restart is needed."""
    from gateway.operations import rotate_code_key

    print(rotate_code_key(settings()))


@codes.command(name="retire")
def codes_retire(kid: Annotated[str, typer.Argument(help="the key id, e.g. dev-1")]) -> None:
    """Remove a key that no longer signs; its codes are refused from then on."""
    from gateway.operations import retire_code_key

    print(retire_code_key(settings(), kid))


def main() -> None:
    """The console script."""
    app()
