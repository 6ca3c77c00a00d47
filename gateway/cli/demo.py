"""`tong demo …`: the demo group of a running `tong up`."""

from typing import Annotated

import typer

from gateway.cli.running import run, settings

demo = typer.Typer()


@demo.callback(invoke_without_command=True, epilog="Example: tong demo")
def demo_tour(context: typer.Context) -> None:
    """Run the main job on real input, against a running `tong up`: draw, scan, redeem, repeat, refuse, look it up."""
    if context.invoked_subcommand is not None:
        return
    from gateway.development.demo.commands import demo as run_demo

    raise typer.Exit(run(run_demo(settings())))


@demo.command(name="codes", epilog="Example: tong demo codes points_insufficient --json")
def demo_codes(
    refusal: Annotated[str | None, typer.Argument(help="only this one, e.g. points_insufficient")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="whole requests, with headers and the test till's key")
    ] = False,
) -> None:
    """Print test codes: for each refusal, the request to send to a running `tong up`."""
    from gateway.development.demo.commands import codes as print_codes

    raise typer.Exit(run(print_codes(settings(), refusal, as_json=as_json)))


@demo.command(name="pages", epilog="Example: tong demo pages")
def demo_pages() -> None:
    """Print the address of the pages of a running `tong up`, from which one can sign in as anybody of the demo."""
    from gateway.development.demo.commands import pages

    raise typer.Exit(pages(settings()))


@demo.command(name="env", epilog='Example: eval "$(tong demo env --business spa)"')
def demo_env(
    business: Annotated[str, typer.Option(help="whose till TERMINAL_KEY is of")] = "hotel",
    member: Annotated[str | None, typer.Option(help="whose token MEMBER_TOKEN is, mem_…; the first member")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the variables as one JSON object")] = False,
) -> None:
    """Print the running demo's address, keys and tokens as lines for a shell: `eval "$(tong demo env)"`."""
    from gateway.development.demo.commands import environment as print_environment

    raise typer.Exit(run(print_environment(settings(), business, member, as_json=as_json)))
