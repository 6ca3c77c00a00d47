"""GET /v1/terminal: the terminal of a key, for a scanner to check its key and to show its place."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_terminal
from gateway.api.names import group_names
from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.schemas import TerminalAnswer
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import Problem


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
    names = await group_names(state.names)
    business = next((each for each in names.businesses if each.business_id == terminal.business.business_id), None)
    outlet = next(
        (each for each in (business.outlets if business else ()) if each.outlet_id == terminal.outlet_id), None
    )
    if business is None or outlet is None:  # a terminal of a newer configuration than the names were read of
        raise Problem("unavailable", "The names of this terminal's outlet are being read")
    return respond(TerminalAnswer.of(terminal, business, outlet, state.configuration.current))


ENDPOINTS: Final = (read_terminal,)
