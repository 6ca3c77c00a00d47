"""GET /v1/redemptions/{id}: what became of a redemption, to terminals of the business it happened at."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import answer
from gateway.problems import Problem
from gateway.rendering import redemption_body
from gateway.state import State
from gateway.tills import ask_hot_store


async def read_redemption(request: Request) -> Response:
    """The redemption as it stands. Another business's id is as unknown as one that never was."""
    state: State = request.app.state.tong
    terminal = state.authenticator.terminal(request.headers.get("authorization"))
    found = await ask_hot_store(
        state.redemptions.find(request.path_params["redemption_id"], terminal.business.business_id)
    )
    if found is None:
        raise Problem("not_found", "No redemption of this business has this id")
    return answer(200, redemption_body(found))
