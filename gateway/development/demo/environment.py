"""`tong demo env`: the addresses and credentials of the running demo group as variables of a shell.

`eval "$(tong demo env)"` sets what the samples of docs/start/integrate.md and README.md use. The lines hold secrets
of the demo group; they are for a shell, not for a log.
"""

import re
import shlex
from typing import Any

from gateway.settings import SettingsRefused


def demo_environment(demo: dict[str, Any], *, business: str, member_id: str | None) -> dict[str, str]:
    """Return the variables by name, from the content of demo.json.

    `TERMINAL_KEY` is of the chosen business and `MEMBER_TOKEN` of the chosen member (the first one without a choice);
    every business's till and back office has its key under a name of its own. Raises `SettingsRefused` for a business
    or a member that the demo group does not have.
    """
    terminals = {each["business"]: each for each in demo["terminals"]}
    if business not in terminals:
        raise SettingsRefused(f"the demo group has no business {business}; it has {', '.join(sorted(terminals))}")
    members = {each["member_id"]: each for each in demo["members"]}
    member = next(iter(members.values())) if member_id is None else members.get(member_id)
    if member is None:
        raise SettingsRefused(f"{member_id} is not one of the demo's members; the first is {next(iter(members))}")
    return {
        "BASE_URL": demo["base_url"],
        "TERMINAL_KEY": terminals[business]["api_key"],
        "TERMINAL_ID": terminals[business]["terminal_id"],
        "MEMBER_ID": member["member_id"],
        "MEMBER_TOKEN": member["access_token"],
        "ADMIN_KEY": demo["admin_api_key"],
        **{f"TERMINAL_KEY_{_suffix(each)}": terminal["api_key"] for each, terminal in sorted(terminals.items())},
        **{f"ADMIN_KEY_{_suffix(each['business'])}": each["api_key"] for each in demo["business_admins"]},
    }


def export_lines(variables: dict[str, str]) -> list[str]:
    """Return a line of a POSIX shell for each variable, quoted."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _suffix(business: str) -> str:
    return re.sub("[^A-Z0-9]", "_", business.upper())
