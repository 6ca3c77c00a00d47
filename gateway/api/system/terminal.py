"""GET /v1/terminal: which till a key is of, for a scanner to check its key and show where it stands."""

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_terminal
from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.group import group_names
from gateway.api.system.schemas import TerminalAnswer
from gateway.http.responses import answer
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import Problem
from redemption.domain.limits import HOLD_SECONDS_MAX
from redemption.rules.catalogue import categories_at, may_be_used_at


@operation(
    "getTerminal",
    "GET",
    "/v1/terminal",
    "Scan",
    "terminal",
    returns=(Returns("The till.", TerminalAnswer, examples.TERMINAL_EXAMPLE),),
    refusals=(*groups.KEY_OF_CALLER, "unavailable"),
)
async def read_terminal(request: Request) -> Response:
    """The terminal of the key that asks, with its outlet and business, the categories that rules name there, and how
    long its holds may last. Any key of a terminal may ask."""
    state: State = request.app.state.tong
    terminal = await counted_terminal(request)
    configuration = state.configuration.current
    names = await group_names(request)
    business = next((each for each in names.businesses if each.business_id == terminal.business.business_id), None)
    outlet = next(
        (each for each in (business.outlets if business else ()) if each.outlet_id == terminal.outlet_id), None
    )
    if business is None or outlet is None:  # a terminal of a newer configuration than the names were read of
        raise Problem("unavailable", "The names of this terminal's outlet are being read")
    return answer(
        200,
        orjson.dumps(
            {
                "terminal_id": terminal.terminal_id,
                "outlet": {"outlet_id": outlet.outlet_id, "name": outlet.name},
                "business": {
                    "business_id": business.business_id,
                    "currency": business.currency,
                    "name": business.name,
                },
                "time_zone": terminal.time_zone.key,
                "categories": categories_at(terminal.place, terminal.business.earn, configuration.benefits),
                "counts_stays": any(
                    benefit.per_stay is not None and may_be_used_at(terminal.place, benefit)
                    for benefit in configuration.benefits.values()
                ),
                "holds": {"default_seconds": configuration.policy.hold_seconds, "maximum_seconds": HOLD_SECONDS_MAX},
            }
        ),
    )


ENDPOINTS: Final = (read_terminal,)
