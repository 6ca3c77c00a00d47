"""`tong`, the command line. Every part of the product can be run alone; `tong up` runs them all.

Only settings and typer are imported at the top: what a command needs is imported by the command, so that `tong --help`
and `tong serve` load nothing of the development stack.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from gateway.confirmation import DryRun, Yes, confirm
from gateway.key_commands import keys
from gateway.ledger_commands import ledger
from gateway.printing import Json, show, table
from gateway.settings import Settings, SettingsRefused
from gateway.settle_commands import settle

app = typer.Typer(
    help="Tong: the real-time redemption gateway. Settings are environment variables with the prefix TONG_; without "
    "addresses of the stores a command takes those of the stack that runs on TONG_HOME (./var).",
    epilog="Exit status: 0 done, 1 refused or differences found, 2 wrong usage, wrong settings or could not run.",
    no_args_is_help=True,
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
    from gateway.running_stack import with_running_stores

    return with_running_stores(part_settings())


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


@app.command(epilog="Example: TONG_PORT=8080 tong up")
def up() -> None:
    """Start everything for development: private servers, migrations, demo group, gateway, ledger writer."""
    from gateway.development.stack import up as stack_up

    raise typer.Exit(run(stack_up(part_settings())))


@app.command(epilog="Example: TONG_WORKERS=2 TONG_VALKEY_URL=… TONG_POSTGRES_DSN=… tong serve")
def serve(
    fd: Annotated[int | None, typer.Option(help="a listening socket this process was handed")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="its pid is written here once it accepts")] = None,
) -> None:
    """Run the gateway: TONG_WORKERS workers on one socket, or a single one in this process.

    With several, SIGUSR2 replaces them one after another without a failed request.
    """
    chosen = part_settings()
    if fd is None and chosen.workers > 1:
        from gateway.workers import serve_workers

        raise typer.Exit(run(serve_workers(chosen)))
    from gateway.serve import serve as serve_worker

    run(serve_worker(chosen, fd=fd, ready_file=ready_file), fast=True)


@app.command(name="write-ledger", epilog="Example: TONG_VALKEY_URL=… TONG_POSTGRES_DSN=… tong write-ledger")
def write_ledger() -> None:
    """Carry the streams of the hot store into the PostgreSQL ledger."""
    from gateway.write_ledger import write_ledger as write

    run(write(part_settings()), fast=True)


@app.command(epilog="Example: TONG_POSTGRES_DSN=… tong seal --make-key")
def seal(
    make_key: Annotated[bool, typer.Option("--make-key", help="make the key's file when there is none")] = False,
) -> None:
    """Trail the ledger writer with a keyed hash chain, so that a changed or removed row shows."""
    from gateway.ledger_seal import seal as run_sealer

    run(run_sealer(part_settings(), make_key=make_key), fast=True)


@app.command(epilog="Example: tong heads > heads.json")
def heads() -> None:
    """Export the heads of the chain, for a place outside: `tong heads > heads.json`."""
    from gateway.ledger_seal import export_heads

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
    from gateway.ledger_audit import audit as run_audit

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
    freeze: Annotated[bool, typer.Option("--freeze", help="freeze what is neither empty nor frozen")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="also where the stream once counted more than the ledger has")
    ] = False,
) -> None:
    """Put the hot store back to what the ledger says, into an empty or a frozen bucket."""
    from gateway.ledger_audit import Scope, rebuild_scope
    from gateway.ledger_audit import rebuild as run_rebuild

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
    from gateway.migrate import migrate as migrate_stores
    from gateway.migrate import plan as plan_migration

    chosen = settings()
    plan = run(plan_migration(chosen, prune_functions=prune))
    if dry_run or plan.cannot_be_undone:
        confirm(plan.lines(), yes=yes, dry_run=dry_run)
    run(migrate_stores(chosen, prune_functions=prune))


@app.command(name="store-users", epilog="Example: tong store-users valkey > users.acl")
def store_users(
    store: Annotated[Literal["valkey", "postgres"], typer.Argument(help="which store's users")],
) -> None:
    """Print who may do what in a store: the ACL file of Valkey, the roles of PostgreSQL. Holds no password."""
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


@app.command(name="export-group", epilog="Example: tong export-group > group.yaml")
def export_group() -> None:
    """Print the configuration in force as a group file, without members: `tong export-group > group.yaml`."""
    import yaml

    from gateway.operations import export_group as export

    print(yaml.safe_dump(run(export(settings())), allow_unicode=True, sort_keys=False), end="")


@demo.callback(invoke_without_command=True, epilog="Example: tong demo")
def demo_tour(context: typer.Context) -> None:
    """The main job on real input, against a running `tong up`: draw, scan, redeem, repeat, refuse, look it up."""
    if context.invoked_subcommand is not None:
        return
    from gateway.development.demo import demo as run_demo

    raise typer.Exit(run(run_demo(settings())))


@demo.command(name="codes", epilog="Example: tong demo codes points_insufficient --json")
def demo_codes(
    refusal: Annotated[str | None, typer.Argument(help="only this one, e.g. points_insufficient")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="whole requests, with headers and the test till's key")
    ] = False,
) -> None:
    """Test codes: what to send to a running `tong up` to be refused in each of the ways there are."""
    from gateway.development.demo import codes as print_codes

    raise typer.Exit(run(print_codes(settings(), refusal, as_json=as_json)))


@demo.command(name="pages", epilog="Example: tong demo pages")
def demo_pages() -> None:
    """Print the address of the pages of a running `tong up`, from which one can sign in as anybody of the demo."""
    from gateway.development.demo import pages

    raise typer.Exit(pages(settings()))


@demo.command(name="env", epilog='Example: eval "$(tong demo env --business spa)"')
def demo_env(
    business: Annotated[str, typer.Option(help="whose till TERMINAL_KEY is of")] = "hotel",
    member: Annotated[str | None, typer.Option(help="whose token MEMBER_TOKEN is, mem_…; the first member")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the variables as one JSON object")] = False,
) -> None:
    """Print the running demo's address, keys and tokens as lines for a shell: `eval "$(tong demo env)"`."""
    from gateway.development.demo import environment as print_environment

    raise typer.Exit(run(print_environment(settings(), business, member, as_json=as_json)))


MemberId = Annotated[str, typer.Argument(help="the member's id, mem_…")]


_REVOKED = "every code made until now is refused, and every device that makes codes by itself has to be enrolled anew"


@members.command(name="block", epilog="Example: tong members block mem_0000001 --yes")
def members_block(member_id: MemberId, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Refuse every use by this member until it is unblocked; codes and devices are revoked too, for ever."""
    effects = [f"{member_id} is refused everywhere until unblocked", _REVOKED]
    confirm(effects, yes=yes, dry_run=dry_run, plan={"member_id": member_id, "effects": effects}, as_json=json)
    _set_member(member_id, blocked=True, revoke_codes=True, as_json=json)


@members.command(name="unblock", epilog="Example: tong members unblock mem_0000001")
def members_unblock(member_id: MemberId, json: Json = False) -> None:
    """Let a blocked member in again."""
    _set_member(member_id, blocked=False, revoke_codes=False, as_json=json)


@members.command(name="revoke-codes", epilog="Example: tong members revoke-codes mem_0000001 --yes")
def members_revoke_codes(member_id: MemberId, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Refuse every code made until now, those fetched ahead too: a lost phone. Fresh codes work at once."""
    effects = [f"{member_id}: fresh codes work at once", _REVOKED]
    confirm(effects, yes=yes, dry_run=dry_run, plan={"member_id": member_id, "effects": effects}, as_json=json)
    _set_member(member_id, blocked=None, revoke_codes=True, as_json=json)


def _set_member(member_id: str, *, blocked: bool | None, revoke_codes: bool, as_json: bool) -> None:
    from gateway.operations import set_member_status

    told = run(set_member_status(settings(), member_id, blocked=blocked, revoke_codes=revoke_codes))
    show({"member_id": member_id, "status": told.status, "codes_revoked": revoke_codes}, [told.text], as_json=as_json)


@codes.command(name="list", epilog="Example: tong code-keys list --json")
def codes_list(json: Json = False) -> None:
    """List the keys of the ring: which signs, since when. The keys themselves are not shown."""
    from gateway.operations import list_code_keys

    listed = _of_code_keys(list_code_keys)
    rows = [(key["kid"], key["algorithm"], key["signs_from"], "signs" if key["signs"] else "") for key in listed]
    show(listed, table(("key", "algorithm", "signs from (UTC)", "now"), rows), as_json=json)


@codes.command(name="rotate", epilog="Example: tong code-keys rotate")
def codes_rotate(json: Json = False) -> None:
    """Add a signing key; codes of the old ones stay good until they are retired. No restart is needed."""
    from gateway.operations import rotate_code_key

    kid = _of_code_keys(rotate_code_key)
    text = f"{kid} signs shortly; retire the old one when its last codes are gone"
    show({"kid": kid}, [text], as_json=json)


@codes.command(name="retire", epilog="Example: tong code-keys retire dev-1 --dry-run")
def codes_retire(
    kid: Annotated[str, typer.Argument(help="the key id, e.g. dev-1")],
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove a key that no longer signs; its codes are refused from then on."""
    from gateway.operations import retire_code_key

    effects = [f"{kid} leaves the ring: every code that it signed is refused within a second, for ever"]
    confirm(effects, yes=yes, dry_run=dry_run, plan={"kid": kid, "effects": effects}, as_json=json)
    _of_code_keys(lambda chosen: retire_code_key(chosen, kid))
    show({"kid": kid, "retired": True}, [f"{kid} is retired; its codes are refused within a second"], as_json=json)


def _of_code_keys(work: Callable[[Settings], Any]) -> Any:
    """Run what reads or changes the ring's file, with its faults told as those of every other command."""

    async def done() -> Any:
        return work(settings())

    return run(done())


def main() -> None:
    """The console script."""
    app()
