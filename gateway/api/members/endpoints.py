"""GET /v1/me and its parts: the member's own level, balances and benefits."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_member
from gateway.api.members import examples
from gateway.api.members.benefits import member_benefits
from gateway.api.members.schemas import MeAnswer, MyBenefitsAnswer
from gateway.api.state import State
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import Problem, language_of
from gateway.scans.input import ask_hot_store
from redemption.memberships import MemberState


@operation(
    "getMember",
    "GET",
    "/v1/me",
    "Member app",
    "member",
    returns=(Returns("The member.", MeAnswer, examples.ME),),
    refusals=(*groups.MEMBER, *groups.STORE, "not_found"),
)
async def read_me(request: Request) -> Response:
    """Level, growth value, points by lot (first to expire first), stored value by currency."""
    return respond(MeAnswer.of(await _member(request)))


@operation(
    "listMemberBenefits",
    "GET",
    "/v1/me/benefits",
    "Member app",
    "member",
    returns=(Returns("The benefits.", MyBenefitsAnswer, examples.MY_BENEFITS),),
    refusals=(*groups.MEMBER, *groups.STORE, "not_found"),
)
async def read_benefits(request: Request) -> Response:
    """Lists the member's benefits: where, when, how often they can still be used, and why not now."""
    state: State = request.app.state.tong
    member = await _member(request)
    language = language_of(request.headers.get("accept-language"))
    benefits = member_benefits(member, state.configuration.current, language, state.clock())
    return respond(MyBenefitsAnswer(benefits))


async def _member(request: Request) -> MemberState:
    state: State = request.app.state.tong
    number = await counted_member(request)
    member = await ask_hot_store(state.memberships.find(number), changes=False)
    if member is None:
        raise Problem("not_found", "This member is not known here")
    return member


ENDPOINTS: Final = (read_me, read_benefits)
