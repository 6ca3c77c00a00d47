"""`tong code-keys …`: the ring of keys that sign member codes."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json, show, table
from gateway.settings import Settings

codes = typer.Typer(help="The ring of keys that sign member codes.", no_args_is_help=True)


@codes.command(name="list", epilog="Example: tong code-keys list --json")
def codes_list(json: Json = False) -> None:
    """List the keys of the ring: which signs, since when. The keys themselves are not shown."""
    from gateway.administration.code_keys import list_code_keys

    listed = _of_code_keys(list_code_keys)
    rows = [(key["kid"], key["algorithm"], key["signs_from"], "signs" if key["signs"] else "") for key in listed]
    show(listed, table(("key", "algorithm", "signs from (UTC)", "now"), rows), as_json=json)


@codes.command(name="rotate", epilog="Example: tong code-keys rotate")
def codes_rotate(json: Json = False) -> None:
    """Add a signing key; codes of the old ones stay good until they are retired. No restart is needed."""
    from gateway.administration.code_keys import rotate_code_key

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
    from gateway.administration.code_keys import retire_code_key

    effects = [f"{kid} leaves the ring: every code that it signed is refused within a second, for ever"]
    confirm(effects, yes=yes, dry_run=dry_run, plan={"kid": kid, "effects": effects}, as_json=json)
    _of_code_keys(lambda chosen: retire_code_key(chosen, kid))
    show({"kid": kid, "retired": True}, [f"{kid} is retired; its codes are refused within a second"], as_json=json)


def _of_code_keys(work: Callable[[Settings], Any]) -> Any:
    """Run what reads or changes the ring's file, reporting its faults like every other command."""

    async def done() -> Any:
        return work(settings())

    return run(done())
