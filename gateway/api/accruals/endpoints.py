"""POST /v1/accruals and its reversal: purchases earn points."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.accruals import examples
from gateway.api.accruals.schemas import ACCRUAL_ID_EXAMPLE, ACCRUAL_ID_PATTERN, AccrualAnswer, AccrualReversedAnswer
from gateway.api.callers import calling_terminal
from gateway.api.state import State
from gateway.api.steps import respond_to_step
from gateway.http.body import read_json
from gateway.openapi.operation import Parameter, Returns, operation
from gateway.openapi.parameters import IDEMPOTENCY_KEY, STEP_KEY
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
from gateway.scans.examples import NOTHING
from gateway.scans.input import (
    ask_hot_store,
    check_new_bill,
    code_use,
    fingerprint,
    idempotency_key,
    read_code_of_key,
)
from redemption.accruals import Purchase, refusal_of_key
from redemption.domain.commands import AccrualRequest, VoidRequest
from redemption.domain.members import member_number
from redemption.domain.outcomes import Refusal
from redemption.domain.redemptions import Accrual
from redemption.known_keys import KeyRecord

_accrual: Final = msgspec.json.Decoder(AccrualRequest)
_nothing: Final = msgspec.json.Decoder(VoidRequest)
_ACCRUAL_ID: Final = Parameter(
    "accrual_id",
    "path",
    "The accrual, as `POST /v1/accruals` answered it.",
    {"type": "string", "pattern": ACCRUAL_ID_PATTERN},
    ACCRUAL_ID_EXAMPLE,
)
NOT_SCANNED: Final = "This outlet scanned no member of this id in the last 15 minutes: scan the member's code"


@operation(
    "createAccrual",
    "POST",
    "/v1/accruals",
    "Earning",
    "terminal",
    scopes=("accrue",),
    parameters=(IDEMPOTENCY_KEY,),
    request=AccrualRequest,
    request_examples=examples.ACCRUE,
    returns=(Returns("Earned.", AccrualAnswer, examples.ACCRUED, 201, replayable=True),),
    refusals=(
        *groups.BODY,
        *groups.KEY_OF_CALLER,
        *groups.STORE,
        *groups.IDEMPOTENCY,
        "cancelled",
        *groups.CODE,
        "possible_duplicate",
        "earning_limit_reached",
        "not_found",
    ),
)
async def accrue(request: Request) -> Response:
    """A purchase earns points, for the member of a code (which is used up) or of an id."""
    state: State = request.app.state.tong
    wanted, canonical, body = await read_json(request, _accrual)
    if (wanted.code is None) == (wanted.member_id is None):
        raise malformed("needs either code or member_id", "body")
    key = idempotency_key(request.headers.get("idempotency-key"))
    number = member_number(wanted.member_id) if wanted.member_id is not None else None
    if wanted.code is None and number is None:
        raise malformed("is not a member id", "member_id")
    terminal = calling_terminal(request, body)
    asked = fingerprint(b"accrue", canonical)
    await check_new_bill(state.redemptions, wanted.bill, terminal, key, asked)
    state.watch.refuse_if_full()
    code, record = None, None
    if wanted.code is not None:
        claim = await read_code_of_key(
            state.redemptions, terminal, state.reader, wanted.code, state.clock(), key=key, fingerprint=asked
        )
        if isinstance(claim, KeyRecord):
            record = claim
        else:
            code, number = code_use(claim), claim.member_number
    done: Accrual | Refusal | None
    if record is not None:
        done = refusal_of_key(record, asked) or await ask_hot_store(state.redemptions.known_keys.find_accrual(record))
    else:
        assert number is not None
        purchase = Purchase(terminal, number, code, key, asked, wanted.bill, wanted.confirm_duplicate)
        done = await ask_hot_store(state.accruals.accrue(purchase))
    if done is None:
        problem = Problem("not_found", NOT_SCANNED)
        problem.guess = wanted.code is None
        raise problem
    if isinstance(done, Accrual) and not done.replayed:
        business = terminal.business.business_id
        state.metrics.points_issued.labels(business).inc(done.points)
        state.live.counters.issued(terminal, done.points)
    return respond_to_step(state.metrics, "accrue", done, terminal, AccrualAnswer.of, status=201)


@operation(
    "reverseAccrual",
    "POST",
    "/v1/accruals/{accrual_id}/reverse",
    "Earning",
    "terminal",
    scopes=("accrue",),
    parameters=(_ACCRUAL_ID, STEP_KEY),
    request=VoidRequest,
    request_required=False,
    request_examples=NOTHING,
    returns=(Returns("Taken back.", AccrualReversedAnswer, examples.ACCRUAL_REVERSED, replayable=True),),
    refusals=(*groups.STEP, "cancelled", "already_refunded", "window_closed"),
)
async def reverse_accrual(request: Request) -> Response:
    """Takes back what is left of an accrual's points; what is not left is owed and paid from the next ones."""
    state: State = request.app.state.tong
    _, canonical, body = await read_json(request, _nothing, optional=True)
    given_key = request.headers.get("idempotency-key")
    key = idempotency_key(given_key) if given_key is not None else None
    terminal = calling_terminal(request, body)
    accrual_id = request.path_params["accrual_id"]
    # The name is part of fingerprints that are stored with keys: with another one their repeats would be refused.
    asked = fingerprint(b"unaccrue", accrual_id.encode() + canonical)
    done = await ask_hot_store(state.accruals.reverse(terminal, accrual_id, key=key, fingerprint=asked))
    if done is None:
        raise Problem("not_found", "No accrual of this business has this id")
    return respond_to_step(state.metrics, "reverse_accrual", done, terminal, AccrualReversedAnswer.of)


ENDPOINTS: Final = (accrue, reverse_accrual)
