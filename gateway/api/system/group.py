"""GET /v1/group: names of the group's levels, businesses, outlets and benefits, for tills and apps to show."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.names import group_names
from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.schemas import GroupAnswer
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation


@operation(
    "getGroup",
    "GET",
    "/v1/group",
    "Platform",
    "anybody",
    returns=(Returns("The names.", GroupAnswer, examples.EXAMPLE),),
    refusals=("unavailable",),
)
async def read_group(request: Request) -> Response:
    """Names by language of everything in force. Public: nothing here is secret or of one member."""
    state: State = request.app.state.tong
    return respond(GroupAnswer.of(await group_names(state.names)))


ENDPOINTS: Final = (read_group,)
