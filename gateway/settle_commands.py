"""`tong settle …`: the command line of settlement. What a command does is in gateway/settle.py, loaded when it runs."""

import datetime
import getpass
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.statements.request import FORMATS, Format, Language, Section, StatementRequest

if TYPE_CHECKING:
    from gateway.settle import SettleCommands

settle = typer.Typer(help="Who owes whom: lines, agreements, periods, disputes.", no_args_is_help=True)
agreements = typer.Typer(help="Agreements between businesses.", no_args_is_help=True)
dispute = typer.Typer(help="Disputes on a line.", no_args_is_help=True)
settle.add_typer(agreements, name="agreements")
settle.add_typer(dispute, name="dispute")

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
By = Annotated[str, typer.Option(help="who does it, for the record", default_factory=getpass.getuser)]
Business = Annotated[str | None, typer.Option(help="only this business")]
PeriodId = Annotated[str, typer.Argument(help="<yyyymm>.<business>.<business>, as tong settle status shows it")]


def _run(work: "Callable[[SettleCommands], Coroutine[Any, Any, int]]") -> None:
    from gateway import cli  # noqa: PLC0415 - what a command needs is imported by the command
    from gateway.settle import with_settlement  # noqa: PLC0415

    raise typer.Exit(cli.run(with_settlement(cli.settings(), work)))


def _month(text: str) -> int:
    """202611 or 2026-11."""
    digits = text.replace("-", "", 1)
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        raise typer.BadParameter(f"{text!r} is no month; it is written like 202611 or 2026-11")
    return int(digits)


Month = Annotated[int, typer.Option(parser=_month, metavar="YYYY-MM", help="the month")]
AnyMonth = Annotated[int | None, typer.Option(parser=_month, metavar="YYYY-MM", help="only this month, with nets")]


@settle.command()
def run(follow: Annotated[bool, typer.Option("--follow", help="go on until told to stop")] = False) -> None:
    """Write the settlement lines of what is in the ledger. May run beside another."""
    _run(lambda commands: commands.run(follow=follow))


@settle.command()
def status(month: AnyMonth = None, json: Json = False) -> None:
    """Show every period and who pays whom."""
    _run(lambda commands: commands.status(month, as_json=json))


@settle.command()
def close(month: Month, by: By, json: Json = False) -> None:
    """Close a month for all pairs: frozen, numbered, hashed. Again: computes the hashes again."""
    _run(lambda commands: commands.close(month, by, as_json=json))


@settle.command()
def approve(
    period: PeriodId, by: By, business: Annotated[str, typer.Option("--as", help="the side that approves")]
) -> None:
    """Approve a closed period for one of its two businesses."""
    _run(lambda commands: commands.approve(period, business, by))


@settle.command()
def pay(
    period: PeriodId, by: By, reference: Annotated[str, typer.Option(help="the bank's reference of the payment")]
) -> None:
    """Note that an approved period was paid."""
    _run(lambda commands: commands.pay(period, reference, by))


@settle.command()
def exceptions(business: Business = None, json: Json = False) -> None:
    """List the uses that have no line, and why. With --json one object a line."""
    _run(lambda commands: commands.exceptions(business, as_json=json))


@settle.command()
def lines(
    month: Month,
    business: Business = None,
    counterparty: Annotated[str | None, typer.Option(help="only with this other business")] = None,
) -> None:
    """Write the lines of a month as CSV to stdout."""
    _run(lambda commands: commands.lines(month, business, counterparty))


@settle.command()
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
) -> None:
    """Write a statement as JSON, CSV, XLSX or PDF; of a month that is not closed it is marked provisional."""
    chosen = file_format or output.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise typer.BadParameter(f"{output.name} has none of the suffixes {', '.join(FORMATS)}; give --format")
    request = StatementRequest(business, period, counterparty, chosen, language, section)
    _run(lambda commands: commands.statement(request, output))


@settle.command()
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


@agreements.command(name="list")
def agreements_list(json: Json = False) -> None:
    """List every version of every agreement."""
    _run(lambda commands: commands.agreements(as_json=json))


@agreements.command(name="add")
def agreements_add(
    agreement_id: Annotated[str, typer.Argument(help="its name; a known one gets a further version")],
    file: Annotated[Path, typer.Argument(help="YAML or JSON, as under agreements: of the group file", exists=True)],
    by: By,
) -> None:
    """Add an agreement, or supersede it."""
    _run(lambda commands: commands.add_agreement(agreement_id, file, by))


@dispute.command(name="open")
def dispute_open(
    line: Annotated[str, typer.Argument(help="the line's id, stl_…")],
    by: By,
    business: Annotated[str, typer.Option("--as", help="the side that disputes")],
    reason: Annotated[str, typer.Option(help="why")],
) -> None:
    """Dispute a line."""
    _run(lambda commands: commands.open_dispute(line, business, reason, by))


@dispute.command(name="resolve")
def dispute_resolve(
    dispute_id: Annotated[str, typer.Argument(help="dsp_…")],
    by: By,
    note: Annotated[str, typer.Option(help="what was agreed on")],
    amount_minor: Annotated[
        int | None, typer.Option(help="what the line is from now on, before tax; without it the line stands")
    ] = None,
) -> None:
    """End a dispute, with a correcting line where the amount differs."""
    _run(lambda commands: commands.resolve_dispute(dispute_id, amount_minor, note, by))


@dispute.command(name="list")
def dispute_list(
    resolved: Annotated[bool, typer.Option("--all", help="the resolved ones too")] = False, json: Json = False
) -> None:
    """List the open disputes."""
    _run(lambda commands: commands.disputes(resolved=resolved, as_json=json))
