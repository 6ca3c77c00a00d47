"""`tong members …`: block members and revoke their codes."""

from typing import Annotated

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json, show

members = typer.Typer(help="Block members and revoke their codes.", no_args_is_help=True)

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
    from gateway.administration.members import set_member_status

    told = run(set_member_status(settings(), member_id, blocked=blocked, revoke_codes=revoke_codes))
    show({"member_id": member_id, "status": told.status, "codes_revoked": revoke_codes}, [told.text], as_json=as_json)
