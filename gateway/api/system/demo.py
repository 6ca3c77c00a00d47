"""GET /v1/demo/sign-ins: members and terminals of the development stack, for its pages to offer.

Guarantees: it exists only in the development stack, for a caller on this machine who addressed this machine (a name
that an outsider points at 127.0.0.1 is not accepted: DNS rebinding); everybody else gets `not_found`. Of these callers,
only one with the token of `demo.json` (mode 0600) gets an answer: other users of the machine do not. The token reaches
the pages behind the `#` of the address that `tong up` prints, so no log and no `Referer` has it. The answer is
`demo.json`, with names.
"""

import asyncio
import hmac
import ipaddress
import json
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.names import group_names
from gateway.api.state import State
from gateway.http.responses import answer
from gateway.problems.documents import Problem
from gateway.scans.input import ask_hot_store
from redemption.domain.members import member_number

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


async def sign_ins(request: Request) -> Response:
    """Return the demo's members, terminals and the admin's key.

    Raises `not_found` outside the development stack, `unauthenticated` without the token of demo.json.
    """
    state: State = request.app.state.tong
    if not state.settings.development or not _from_this_machine(request):
        raise Problem("not_found", "There is nothing at this path; /docs lists what there is")
    try:
        text = await asyncio.to_thread((state.settings.home / "demo.json").read_text, encoding="utf-8")
    except OSError:
        raise Problem("not_found", "The development stack has not written demo.json") from None
    demo: dict[str, Any] = json.loads(text)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = demo["pages_access_token"].encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), wanted):
        raise Problem("unauthenticated", "The address that `tong up` prints has the token; `tong demo pages` prints it")
    names = await group_names(state.names)
    businesses = {business.business_id: business for business in names.businesses}
    tiers = {tier.tier_id: tier.name for tier in names.tiers}
    terminals = []
    for each in demo["terminals"]:
        business = businesses.get(each["business"])
        outlets = {} if business is None else {outlet.outlet_id: outlet.name for outlet in business.outlets}
        terminals.append(
            {
                **each,
                "business_name": {} if business is None else business.name,
                "outlet_name": outlets.get(each["outlet"], {}),
            }
        )
    members = []
    for each in demo["members"]:
        number = member_number(each["member_id"])
        member = None if number is None else await ask_hot_store(state.memberships.find(number), changes=False)
        if member is None:
            continue
        members.append(
            {
                "member_id": each["member_id"],
                "display_name": member.display_name,
                "tier": member.tier,
                "tier_name": tiers.get(member.tier, {}),
                "points": member.sum_of("points"),
                "access_token": each["access_token"],
            }
        )
    document = {"members": members, "terminals": terminals, "admin_api_key": demo["admin_api_key"]}
    return answer(200, orjson.dumps(document))


def _from_this_machine(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        caller = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    name = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    return caller.is_loopback and name in LOCAL_NAMES
