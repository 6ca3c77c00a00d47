"""`tong keys …`: the command line of API keys.

The work of a command is in gateway/administration/keys.py, loaded when it runs.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gateway.cli.confirmation import DryRun, Yes, confirm
from gateway.cli.running import run, settings
from gateway.formats.printing import Json, moment, say, show, table

if TYPE_CHECKING:
    from redemption.credentials import StoredKey

keys = typer.Typer(help="API keys of terminals and of the back office.", no_args_is_help=True)

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _length(text: str) -> timedelta:
    """Read a length of time: 30m, 24h or 7d."""
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; it is written like 30m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _public_key(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise typer.BadParameter("the public key is 32 bytes in base64") from None


OVERLAP = timedelta(hours=24)
KeyId = Annotated[str, typer.Argument(help="the id in the key: tong_tk_<env>_<id>_…")]


@keys.command(epilog="Example: tong keys create --terminal trm_hotel_lobby_1 --scopes redeem,hold")
def create(
    terminal: Annotated[str | None, typer.Option(help="the terminal it is for, trm_…")] = None,
    roles: Annotated[
        str, typer.Option(help="roles of a back-office key, separated by commas: back_office, operations, settlement")
    ] = "",
    role: Annotated[list[str] | None, typer.Option(help="one of them; may be repeated")] = None,
    business: Annotated[
        str | None, typer.Option(help="the one business a back-office key is for; without it, the whole group")
    ] = None,
    scopes: Annotated[
        str | None,
        typer.Option(help="what a terminal's key may do, separated by commas: redeem, hold, refund, accrue; all"),
    ] = None,
    ends_in: Annotated[
        timedelta | None, typer.Option(parser=_length, metavar="90d", help="how long it works; for ever")
    ] = None,
    signature: Annotated[
        Literal["ed25519", "hmac-sha256"] | None,
        typer.Option(help="its requests must be signed (RFC 9421); the secret of hmac-sha256 is shown once"),
    ] = None,
    public_key: Annotated[
        bytes | None, typer.Option(parser=_public_key, metavar="BASE64", help="of the till, for ed25519")
    ] = None,
    json: Json = False,
) -> None:
    """Make a key and show it, once."""
    from gateway.administration.keys import KeyWanted, make_key
    from redemption.credentials import SCOPES

    all_roles = (*(part.strip() for part in roles.split(",") if part.strip()), *(role or ()))
    if terminal is not None and (business is not None or all_roles):
        raise typer.BadParameter("a terminal has its business already, and no roles", param_hint="--terminal")
    if terminal is None and scopes is not None:
        raise typer.BadParameter("scopes are of a terminal's key; a back-office key has roles", param_hint="--scopes")
    wanted = KeyWanted(
        terminal_id=terminal,
        roles=all_roles,
        business=business,
        scopes=SCOPES if scopes is None else tuple(part.strip() for part in scopes.split(",") if part.strip()),
        lifetime=ends_in,
        signature=signature,
        public_key=public_key,
    )
    made = run(make_key(settings(), wanted))
    show(made.document(), made.lines(), as_json=json)


@keys.command(epilog="Example: tong keys rotate S82U5dQBL8cf --overlap 24h --yes")
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        timedelta | None, typer.Option(parser=_length, metavar="24h", help="how long the old one goes on; 24h")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make a new key for the same holder and show it, once. The old one ends after --overlap."""
    from gateway.administration.keys import rotate as rotate_key

    key, length = _not_revoked(key_id), OVERLAP if overlap is None else overlap
    ends = datetime.now(UTC) + length
    plan = {"key_id": key_id, "holder": _holder(key), "overlap_seconds": int(length.total_seconds())}
    effects = [f"{key_id} of {_holder(key)} ends about {moment(ends)} UTC; last used: {_used(key)}"]
    confirm(effects, yes=yes, dry_run=dry_run, plan=plan, as_json=json)
    made = run(rotate_key(settings(), key_id, length))
    show(made.document(), made.lines(), as_json=json)
    say(f"{key_id} ends {made.ends:%F %T} UTC")


@keys.command(epilog="Example: tong keys revoke S82U5dQBL8cf --yes")
def revoke(key_id: KeyId, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Revoke a key for ever; every worker refuses it within a second. Exit status 1 where there is no such key."""
    from gateway.administration.keys import revoke as revoke_key

    key = _not_revoked(key_id)
    plan = {"key_id": key_id, "holder": _holder(key)}
    effects = [f"{key_id} of {_holder(key)} is refused from then on; last used: {_used(key)}"]
    confirm(effects, yes=yes, dry_run=dry_run, plan=plan, as_json=json)
    if not run(revoke_key(settings(), key_id)):
        say("it was revoked meanwhile")
        raise typer.Exit(1)
    if json:
        show({**plan, "revoked": True}, (), as_json=True)


@keys.command(name="list", epilog="Example: tong keys list --json")
def list_all(json: Json = False) -> None:
    """List keys: whose, what for, when made, last used, ending, revoked (UTC). The keys themselves are nowhere."""
    from gateway.administration.keys import read_stored_keys

    stored = run(read_stored_keys(settings()))
    show(stored, key_table(stored), as_json=json)


def key_table(stored: "Sequence[StoredKey]") -> list[str]:
    """Return a header and a line for each key."""
    header = ("key", "kind", "holder", "may", "signs", "replaces", "made", "ends", "revoked", "last used")
    rows = [
        (
            *(key.key_id, key.kind, _holder(key), _scopes(key), key.signs or "", key.replaces or ""),
            *map(moment, (key.created_at, key.expires_at, key.revoked_at, key.last_used_at)),
        )
        for key in stored
    ]
    return table(header, rows)


def _not_revoked(key_id: str) -> "StoredKey":
    """Return the key with this id. Raises `typer.Exit` where there is none, or it was revoked."""
    from gateway.administration.keys import read_stored_keys

    stored: list[StoredKey] = run(read_stored_keys(settings()))
    for key in stored:
        if key.key_id == key_id and key.revoked_at is None:
            return key
    say("no such key, or it was revoked before")
    raise typer.Exit(1)


def _holder(key: "StoredKey") -> str:
    if key.terminal_id is not None:
        return key.terminal_id
    roles = ",".join(key.roles) or "-"
    return f"{roles} of {key.business}" if key.business is not None else roles


def _scopes(key: "StoredKey") -> str:
    """Return the scopes of a terminal's key where it may not do everything."""
    from redemption.credentials import SCOPES

    if key.kind != "terminal" or set(key.scopes) == set(SCOPES):
        return ""
    return ",".join(key.scopes) or "only read"


def _used(key: "StoredKey") -> str:
    return moment(key.last_used_at) or "never"
