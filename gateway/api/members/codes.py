"""POST /v1/me/codes: the member app fetches the codes it will show."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.members import examples
from gateway.api.members.schemas import CodesAnswer, IssuedCode
from gateway.api.state import State
from gateway.auth.authentication import authenticate_member
from gateway.http.body import read_json
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import Problem, refused
from gateway.scans.input import ask_hot_store
from redemption.domain.commands import CodesRequest
from redemption.domain.outcomes import Refusal
from tokens.claims import SLOTS_PER_REFRESH

_decoder: Final = msgspec.json.Decoder(CodesRequest)


@operation(
    "createMemberCodes",
    "POST",
    "/v1/me/codes",
    "Member app",
    "member",
    request=CodesRequest,
    request_required=False,
    request_examples=examples.CODES,
    returns=(Returns("Codes to show, each until its `refresh_at`.", CodesAnswer, examples.ISSUED_CODES),),
    refusals=(*groups.BODY, *groups.MEMBER, *groups.STORE, "member_blocked"),
)
async def issue_codes(request: Request) -> Response:
    """Codes for now and, with `count`, for each following refresh. A code whose slot was used is never given again;
    a blocked member gets none."""
    state: State = request.app.state.tong
    wanted, _, _ = await read_json(request, _decoder, optional=True)
    number = await authenticate_member(request.headers.get("authorization"), state.members)
    slots = await ask_hot_store(
        state.memberships.next_free_slots(number, wanted.count, SLOTS_PER_REFRESH), changes=False
    )
    if isinstance(slots, Refusal):
        raise refused(slots)
    if not slots:
        raise Problem("rate_limited", "This member used every code of the next seconds; fetch a fresh one shortly")
    codes = tuple(IssuedCode.of(state.issuer.issue(number, slot)) for slot in slots)
    state.metrics.codes_issued.inc(len(slots))
    return respond(CodesAnswer(codes))


ENDPOINTS: Final = (issue_codes,)
