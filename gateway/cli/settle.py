"""`tong settle …`: the command line of settlement.

The work of a command is in gateway/administration/settlement.py, loaded when it runs.
"""

import datetime
import getpass
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json
from gateway.statements.request import FORMATS, Format, Language, Section, StatementRequest

if TYPE_CHECKING:
    from gateway.administration.settlement import Refused, SettleCommands
    from redemption.settlement.periods import Period

T = TypeVar("T")

settle = typer.Typer(help="Who owes whom: lines, agreements, periods, disputes.", no_args_is_help=True)
agreements = typer.Typer(help="Agreements between businesses.", no_args_is_help=True)
dispute = typer.Typer(help="Disputes on a line.", no_args_is_help=True)
settle.add_typer(agreements, name="agreements")
settle.add_typer(dispute, name="dispute")

By = Annotated[str, typer.Option(help="who does it, for the record", default_factory=getpass.getuser)]
Business = Annotated[str | None, typer.Option(help="only this business")]
PeriodId = Annotated[str, typer.Argument(help="<yyyymm>.<business>.<business>, as tong settle status shows it")]


def _run(work: "Callable[[SettleCommands], Coroutine[Any, Any, int]]") -> None:
    from gateway.administration.settlement import with_settlement

    raise typer.Exit(run(with_settlement(settings(), work)))


def _plan(work: "Callable[[SettleCommands], Coroutine[Any, Any, T | Refused]]") -> "T":
    """Return what a command would change; exit with status 1 where it would be refused."""
    from gateway.administration.settlement import is_refused, refused, with_settlement

    found = run(with_settlement(settings(), work))
    if is_refused(found):
        raise typer.Exit(refused(found))
    return cast("T", found)


def _month(text: str) -> int:
    """Read a month: 202611 or 2026-11."""
    digits = text.replace("-", "", 1)
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        raise typer.BadParameter(f"{text!r} is no month; it is written like 202611 or 2026-11")
    return int(digits)


Month = Annotated[int, typer.Option(parser=_month, metavar="YYYY-MM", help="the month")]
AnyMonth = Annotated[int | None, typer.Option(parser=_month, metavar="YYYY-MM", help="only this month, with nets")]


@settle.command(name="run", epilog="Example: tong settle run --follow")
def run_settlement(
    follow: Annotated[bool, typer.Option("--follow", help="go on until stopped")] = False, json: Json = False
) -> None:
    """Write the settlement lines of what is in the ledger. May run beside `tong projector`, which follows."""
    if follow:
        from gateway.workers.projector import project

        run(project(settings(), only=("settlement_lines",)))
    else:
        _run(lambda commands: commands.run(as_json=json))


@settle.command(epilog="Example: tong settle status --month 2026-11 --json")
def status(month: AnyMonth = None, json: Json = False) -> None:
    """Show every period and who pays whom."""
    _run(lambda commands: commands.status(month, as_json=json))


@settle.command(epilog="Example: tong settle close --month 2026-11 --dry-run")
def close(month: Month, by: By, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Close a month for all pairs: frozen, numbered, hashed. Again: computes the hashes again."""
    plan = _plan(lambda commands: commands.plan_close(month))
    if dry_run or not plan.closed:
        confirm(plan.text(), yes=yes, dry_run=dry_run, plan=plan, as_json=json)
    _run(lambda commands: commands.close(month, by, as_json=json))


@settle.command(epilog="Example: tong settle approve 202611.hotel.mall --as hotel")
def approve(
    period: PeriodId,
    by: By,
    business: Annotated[str, typer.Option("--as", help="the side that approves")],
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Approve a closed period for one of its two businesses."""
    found = _plan(lambda commands: commands.period(period))
    effects = [*_summary(found), f"{business} approves it; an approval is not taken back"]
    confirm(effects, yes=yes, dry_run=dry_run, plan=found, as_json=json)
    _run(lambda commands: commands.approve(period, business, by, as_json=json))


@settle.command(epilog="Example: tong settle pay 202611.hotel.mall --reference BANK-7")
def pay(
    period: PeriodId,
    by: By,
    reference: Annotated[str, typer.Option(help="the bank's reference of the payment")],
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Note that an approved period was paid."""
    found = _plan(lambda commands: commands.period(period))
    effects = [*_summary(found), f"it is noted as paid with {reference}; the note is not taken back"]
    confirm(effects, yes=yes, dry_run=dry_run, plan=found, as_json=json)
    _run(lambda commands: commands.pay(period, reference, by, as_json=json))


def _summary(period: "Period") -> list[str]:
    from gateway.administration.settlement import period_table

    return period_table([period])


@settle.command(epilog="Example: tong settle exceptions --business hotel --json")
def exceptions(business: Business = None, json: Json = False) -> None:
    """List the uses that have no line, and why. With --json one object a line."""
    _run(lambda commands: commands.exceptions(business, as_json=json))


@settle.command(epilog="Example: tong settle lines --month 2026-11 > lines.csv")
def lines(
    month: Month,
    business: Business = None,
    counterparty: Annotated[str | None, typer.Option(help="only with this other business")] = None,
    json: Json = False,
) -> None:
    """Write the lines of a month as CSV to stdout. With --json one object a line."""
    _run(lambda commands: commands.lines(month, business, counterparty, as_json=json))


@settle.command(epilog="Example: tong settle statement --business hotel --period 2026-11 --output november.xlsx")
def statement(
    business: Annotated[str, typer.Option(help="whose statement")],
    output: Annotated[Path, typer.Option(help="the file to write; it appears when it is complete", dir_okay=False)],
    period: Annotated[
        str | None,
        typer.Option(help="2026-11, 2026-11-22, today, or 202611.hotel.mall; without it the running month so far"),
    ] = None,
    counterparty: Annotated[str | None, typer.Option(help="only with this other business")] = None,
    file_format: Annotated[Format | None, typer.Option("--format", help="without it the suffix of --output")] = None,
    language: Annotated[Language, typer.Option(help="of names and headings")] = "zh-Hant",
    section: Annotated[Section, typer.Option(help="which table a CSV holds")] = "lines",
    json: Json = False,
) -> None:
    """Write a statement as JSON, CSV, XLSX or PDF; of a month that is not closed it is marked provisional."""
    chosen = file_format or output.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise typer.BadParameter(f"{output.name} has none of the suffixes {', '.join(FORMATS)}; give --format")
    request = StatementRequest(business, period, counterparty, chosen, language, section)
    _run(lambda commands: commands.statement(request, output, as_json=json))


@settle.command(epilog="Example: tong settle reconcile list.csv --business mall --day 2026-11-22")
def reconcile(
    file: Annotated[Path, typer.Argument(help="the till's list, CSV in UTF-8 or .json", exists=True, dir_okay=False)],
    business: Annotated[str, typer.Option(help="whose tills")],
    day: Annotated[datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="which day the list is of")],
    by: By,
    outlet: Annotated[str | None, typer.Option(help="the list is of this outlet only")] = None,
    output: Annotated[
        Path | None, typer.Option(help="write every bill here: .csv, .xlsx or .json", dir_okay=False)
    ] = None,
    json: Json = False,
) -> None:
    """Compare a till's list of a day with the ledger. Status 1 where they differ."""
    if output is not None and output.suffix.lower() not in (".csv", ".xlsx", ".json"):
        raise typer.BadParameter(f"{output.name} has none of the suffixes .csv, .xlsx, .json", param_hint="--output")
    _run(lambda commands: commands.reconcile(business, outlet, day.date(), file, by, output, as_json=json))


@agreements.command(name="list", epilog="Example: tong settle agreements list --json")
def agreements_list(json: Json = False) -> None:
    """List every version of every agreement."""
    _run(lambda commands: commands.agreements(as_json=json))


@agreements.command(name="add", epilog="Example: tong settle agreements add breakfast breakfast.yaml")
def agreements_add(
    agreement_id: Annotated[str, typer.Argument(help="its name; a known one gets a further version")],
    file: Annotated[Path, typer.Argument(help="YAML or JSON, as under agreements: of the group file", exists=True)],
    by: By,
    json: Json = False,
) -> None:
    """Add an agreement, or supersede it."""
    _run(lambda commands: commands.add_agreement(agreement_id, file, by, as_json=json))


@dispute.command(name="open", epilog="Example: tong settle dispute open stl_0-1-1-0-1 --as hotel --reason 'too much'")
def dispute_open(
    line: Annotated[str, typer.Argument(help="the line's id, stl_…")],
    by: By,
    business: Annotated[str, typer.Option("--as", help="the side that disputes")],
    reason: Annotated[str, typer.Option(help="why")],
    json: Json = False,
) -> None:
    """Dispute a line."""
    _run(lambda commands: commands.open_dispute(line, business, reason, by, as_json=json))


@dispute.command(
    name="resolve", epilog="Example: tong settle dispute resolve dsp_stl_0-1-1-0-1 --note agreed --amount-minor 5500"
)
def dispute_resolve(
    dispute_id: Annotated[str, typer.Argument(help="dsp_…")],
    by: By,
    note: Annotated[str, typer.Option(help="the agreed result")],
    amount_minor: Annotated[
        int | None, typer.Option(help="the line's amount from now on, before tax; without it the line is confirmed")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """End a dispute, with a correcting line where the amount differs."""
    amount = "the line is confirmed" if amount_minor is None else f"the line is {amount_minor} minor units from now on"
    effects = [f"{dispute_id} ends: {amount}; a dispute that is resolved is not opened again"]
    plan = {"dispute_id": dispute_id, "amount_minor": amount_minor, "note": note}
    confirm(effects, yes=yes, dry_run=dry_run, plan=plan, as_json=json)
    _run(lambda commands: commands.resolve_dispute(dispute_id, amount_minor, note, by, as_json=json))


@dispute.command(name="list", epilog="Example: tong settle dispute list --all")
def dispute_list(
    resolved: Annotated[bool, typer.Option("--all", help="the resolved ones too")] = False, json: Json = False
) -> None:
    """List the open disputes."""
    _run(lambda commands: commands.disputes(resolved=resolved, as_json=json))
