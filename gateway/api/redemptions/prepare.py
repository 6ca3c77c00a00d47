"""POST /v1/prepare: the member, what may be used here for this bill, and the value of a basket. Uses nothing up."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import calling_terminal
from gateway.api.redemptions import examples
from gateway.api.redemptions.schemas import PrepareAnswer
from gateway.api.state import State
from gateway.http.body import read_json
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import refused
from gateway.scans.input import ask_hot_store, check_bill, code_use, read_code_unguessed
from redemption.domain.commands import PrepareRequest
from redemption.domain.outcomes import Refusal

_decoder: Final = msgspec.json.Decoder(PrepareRequest)


@operation(
    "prepareRedemption",
    "POST",
    "/v1/prepare",
    "Scan",
    "terminal",
    scopes=("redeem", "hold"),
    request=PrepareRequest,
    request_examples=examples.PREPARE,
    returns=(
        Returns(
            "What may be used; verify grants it a moment later unless something changed.",
            PrepareAnswer,
            examples.PREPARED,
        ),
    ),
    refusals=(*groups.BODY, *groups.KEY_OF_CALLER, *groups.STORE, *groups.CODE),
)
async def prepare(request: Request) -> Response:
    """Reads only: the member, the benefits with value or reason, the most points, the best basket, the basket to
    propose, and the values of the request's `legs`."""
    state: State = request.app.state.tong
    wanted, _, body = await read_json(request, _decoder)
    terminal = calling_terminal(request, body)
    check_bill(wanted.bill, terminal)
    code = code_use(await read_code_unguessed(state.redemptions, terminal, state.reader, wanted.code, state.clock()))
    prepared = await ask_hot_store(state.memberships.prepare(terminal, code, wanted.bill, wanted.legs), changes=False)
    if isinstance(prepared, Refusal):
        raise refused(prepared, currency=terminal.business.currency)
    return respond(
        PrepareAnswer.of(
            prepared,
            terminal,
            state.configuration.current.benefits,
            wanted.bill,
            wanted.legs,
            request.headers.get("accept-language"),
        )
    )


ENDPOINTS: Final = (prepare,)
