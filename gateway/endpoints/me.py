"""GET /v1/me: the member's own level and balances."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import answer
from gateway.authentication import authenticate_member
from gateway.problems import Problem
from gateway.rendering import lot
from gateway.state import State
from gateway.tills import ask_hot_store


async def read_me(request: Request) -> Response:
    """Level and points by lot, first to expire first."""
    state: State = request.app.state.tong
    number = await authenticate_member(request.headers.get("authorization"), state.members)
    member = await ask_hot_store(state.redemptions.member(number))
    if member is None:
        raise Problem("not_found", "This member is not known here")
    return answer(
        200,
        orjson.dumps(
            {
                "member_id": member.member_id,
                "tier": member.tier,
                "display_name": member.display_name,
                "balance": {"points": sum(part.points for part in member.lots), "points_held": 0},
                "lots": [lot(part) for part in member.lots],
            }
        ),
    )
