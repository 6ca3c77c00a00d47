"""GET /v1/group: what the group's levels, businesses, outlets and benefits are called, for tills and apps to show."""

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.schemas import GroupAnswer
from gateway.http.responses import answer
from gateway.openapi.operation import Returns, operation
from gateway.problems.documents import Problem
from redemption.configuration.display_names import GroupNames, NamesAway


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
    """Names by language of what is in force at the moment. Nothing here is of one member or secret."""
    names = await group_names(request)
    return answer(
        200,
        orjson.dumps(
            {
                "version": names.version,
                "tiers": [
                    {"tier": tier.tier_id, "rank": tier.rank, "name": tier.name}
                    for tier in names.tiers
                    if not tier.retired
                ],
                "businesses": [
                    {
                        "business_id": business.business_id,
                        "currency": business.currency,
                        "name": business.name,
                        "outlets": [
                            {"outlet_id": outlet.outlet_id, "name": outlet.name}
                            for outlet in business.outlets
                            if not outlet.retired
                        ],
                    }
                    for business in names.businesses
                    if not business.retired
                ],
                "benefits": [
                    {"benefit_id": benefit_id, "name": name}
                    for benefit_id, name in sorted((names.benefits or {}).items())
                    if benefit_id not in names.benefits_retired
                ],
            }
        ),
    )


async def group_names(request: Request) -> GroupNames:
    """The names of the moment. Raises Problem `unavailable`."""
    state: State = request.app.state.tong
    try:
        return await state.names.current()
    except NamesAway:
        raise Problem("unavailable", "The names cannot be read: PostgreSQL does not answer") from None


ENDPOINTS: Final = (read_group,)
