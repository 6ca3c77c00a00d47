"""`tong load`: shows the plan, asks before it retires anything, loads, and prints the result.

Guarantees: the plan and the result go to standard output, progress and questions to standard error. Nothing is retired
unless a person at a terminal agreed or `--yes` was given.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import typer

from gateway.administration.group import load_group_file
from gateway.cli.confirmation import CANNOT_ASK
from gateway.formats.printing import say
from gateway.settings import Settings
from redemption.configuration.load import LoadOptions, LoadRefused, LoadReport
from redemption.configuration.state import Plan, counted

LOADED: Final = 0
WOULD_CHANGE: Final = 1
NOT_ALL_LOADED: Final = 1
LINES_SHOWN_MAX: Final = 200
MEMBER_FAULTS_SHOWN_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of the command line."""

    group: Path
    members: Path | None = None
    prune: bool = False
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False


async def load(settings: Settings, wanted: Wanted) -> int:
    """Load, and return the exit status: 0 done or, dry, nothing to do; 1 something would change, or members were left.

    Raises `GroupFileRefused`, `SettingsRefused` and the stores' faults.
    """

    def agreed(plan: Plan) -> bool:
        if not wanted.as_json:
            _tell_plan(plan)
        return not plan.retired or wanted.yes or _asked(plan)

    options = LoadOptions(wanted.prune, wanted.dry_run, wanted.members, agreed)
    try:
        report = await load_group_file(settings, wanted.group, options=options, say=_progress)
    except LoadRefused as refused:
        if wanted.as_json:
            _write(orjson.dumps({"applied": False, "plan": refused.plan.document()}).decode())
        else:
            _tell_plan(refused.plan)
        raise
    if wanted.as_json:
        _write(orjson.dumps(_document(report, applied=not wanted.dry_run)).decode())
    else:
        if wanted.dry_run:
            _tell_plan(report.plan)
        _write(_summary(report, dry_run=wanted.dry_run))
    for fault in report.members.faults[:MEMBER_FAULTS_SHOWN_MAX]:
        _progress(fault)
    if len(report.members.faults) > MEMBER_FAULTS_SHOWN_MAX:
        _progress(f"and {len(report.members.faults) - MEMBER_FAULTS_SHOWN_MAX} more")
    if wanted.dry_run:
        return WOULD_CHANGE if report.changes_anything else LOADED
    return NOT_ALL_LOADED if report.members.faults else LOADED


def _asked(plan: Plan) -> bool:
    """Ask the person at the terminal. Raises `typer.Exit` where there is none: nothing is changed."""
    what = f"{len(plan.retired)} to retire"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(f"tong: nothing was changed: {what}, and nobody to ask; --yes retires without asking")
        raise typer.Exit(CANNOT_ASK)
    sys.stderr.write(f"{what}. Their keys stop working and they are offered no more; holdings are kept. Go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell_plan(plan: Plan) -> None:
    first = any(kind == "group" for kind, _ in plan.added)
    left_out = ("refuse ", "add ") if first else ("refuse ",)  # refusals are printed as faults
    lines = [line for line in plan.lines() if not line.startswith(left_out)]
    if first:
        kinds = Counter(kind for kind, _ in plan.added if kind != "group")
        lines = [f"add      {', '.join(counted(kind, count) for kind, count in kinds.items())}", *lines]
    for line in lines[:LINES_SHOWN_MAX]:
        _write(line)
    if len(lines) > LINES_SHOWN_MAX:
        _write(f"and {len(lines) - LINES_SHOWN_MAX} more; --json has them all")


def _summary(report: LoadReport, *, dry_run: bool) -> str:
    plan, members = report.plan, report.members
    changed = len({(change.kind, change.thing) for change in plan.changed})
    parts = [f"{len(plan.added)} added", f"{changed} changed", f"{len(plan.retired)} retired"]
    if plan.restored:
        parts.append(f"{len(plan.restored)} restored")
    if plan.still_in_force:
        more = sum(kind != "agreement" for kind, _ in plan.still_in_force)
        parts.append(f"{len(plan.still_in_force)} still in force" + (" (--prune retires them)" if more else ""))
    text = ", ".join(parts)
    if members.read:
        text += f"; {counted('member', members.read)}: {members.new} new, {members.changed} changed, "
        text += (
            f"{members.balances_waiting} opening balances to issue"
            if dry_run
            else f"{members.balances_issued} opening balances issued"
        )
    if members.faults:
        text += f", {len(members.faults)} not loaded"
    return f"would change: {text}" if dry_run else f"loaded: {text}"


def _document(report: LoadReport, *, applied: bool) -> dict[str, Any]:
    members = report.members
    return {
        "applied": applied,
        "changes": report.changes_anything,
        "plan": report.plan.document(),
        "members": {
            "read": members.read,
            "new": members.new,
            "changed": members.changed,
            "opening_balances_issued": members.balances_issued,
            "opening_balances_waiting": members.balances_waiting,
            "faults": members.faults,
        },
    }


def _write(text: str) -> None:
    print(text, flush=True)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
