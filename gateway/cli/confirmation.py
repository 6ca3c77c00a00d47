"""One way to ask before what cannot be undone: print the effects, then ask, or `--yes`, or `--dry-run`.

Exit status: 0 after a dry run, 1 where the person said no, 2 where nobody can be asked (standard input is no terminal)
and `--yes` was not given. A program that means it gives `--yes`.
"""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from gateway.formats.printing import say, show

REFUSED = 1
CANNOT_ASK = 2

Yes = Annotated[bool, typer.Option("--yes", "-y", help="do it without asking")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="change nothing, say what would happen")]


def confirm(
    effects: Iterable[str], *, yes: bool, dry_run: bool = False, plan: object = None, as_json: bool = False
) -> None:
    """Return where the command may go on. Raises `typer.Exit` otherwise, with the statuses above.

    `effects`: what will happen, a line each. `plan`: the same as a value, printed by a dry run with `--json`.
    """
    if dry_run:
        show(plan, effects, as_json=as_json)
        raise typer.Exit
    for line in effects:
        say(line)
    if yes:
        return
    if not sys.stdin.isatty():
        say("tong: this cannot be undone and nobody can be asked here: give --yes to do it, --dry-run to look first")
        raise typer.Exit(CANNOT_ASK)
    sys.stderr.write("This cannot be undone. Do it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("nothing was changed")
        raise typer.Exit(REFUSED)
