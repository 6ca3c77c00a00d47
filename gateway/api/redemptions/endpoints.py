"""Operations on one redemption: look it up, capture, void or refund it, or cancel one whose outcome is unknown."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import calling_terminal, counted_terminal
from gateway.api.redemptions import examples
from gateway.api.redemptions.schemas import CancelAnswer
from gateway.api.state import State
from gateway.api.steps import respond_to_step
from gateway.http.body import read_json
from gateway.http.responses import respond
from gateway.openapi.operation import Parameter, Returns, operation
from gateway.openapi.parameters import STEP_KEY
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed, refused
from gateway.scans.examples import NOTHING
from gateway.scans.input import (
    ask_hot_store,
    check_new_bill,
    code_use,
    fingerprint,
    idempotency_key,
    read_code_of_key,
)
from gateway.scans.schemas import REDEMPTION_ID_EXAMPLE, REDEMPTION_ID_PATTERN, RedemptionView
from redemption.domain.commands import CancelRequest, CaptureRequest, RefundRequest, VoidRequest
from redemption.domain.outcomes import Refusal
from redemption.domain.redemptions import Redemption
from redemption.known_keys import TOMBSTONE, KeyRecord
from redemption.service import Step

T = TypeVar("T")
_capture: Final = msgspec.json.Decoder(CaptureRequest)
_void: Final = msgspec.json.Decoder(VoidRequest)
_refund: Final = msgspec.json.Decoder(RefundRequest)
_cancel: Final = msgspec.json.Decoder(CancelRequest)
NOT_FOUND: Final = "No redemption of this business has this id"
_REDEMPTION_ID: Final = Parameter(
    "redemption_id",
    "path",
    "The redemption, as `POST /v1/verify` answered it.",
    {"type": "string", "pattern": REDEMPTION_ID_PATTERN},
    REDEMPTION_ID_EXAMPLE,
)


@operation(
    "getRedemption",
    "GET",
    "/v1/redemptions/{redemption_id}",
    "Redemptions",
    "terminal",
    parameters=(_REDEMPTION_ID,),
    returns=(Returns("The redemption.", RedemptionView, examples.LOOKED_UP),),
    refusals=(*groups.KEY_OF_CALLER, *groups.STORE, "not_found"),
)
async def read_redemption(request: Request) -> Response:
    """The redemption as it is now. An id of another business is answered as an unknown one."""
    state: State = request.app.state.tong
    terminal = await counted_terminal(request)
    found = await ask_hot_store(
        state.redemptions.find(request.path_params["redemption_id"], terminal.business.business_id), changes=False
    )
    if found is None:
        raise Problem("not_found", NOT_FOUND)
    return respond(RedemptionView.of(found))


@operation(
    "captureRedemption",
    "POST",
    "/v1/redemptions/{redemption_id}/capture",
    "Redemptions",
    "terminal",
    scopes=("hold",),
    parameters=(_REDEMPTION_ID, STEP_KEY),
    request=CaptureRequest,
    request_required=False,
    request_examples=examples.CAPTURE,
    returns=(Returns("Captured; the rest is available again.", RedemptionView, examples.CAPTURED, replayable=True),),
    refusals=(*groups.STEP, *groups.ENDED, "already_captured", "exceeds_hold"),
)
async def capture_redemption(request: Request) -> Response:
    """Takes a hold, whole or in part (`legs`); the rest is released."""
    state: State = request.app.state.tong
    return await _step(request, "capture", _capture, state.redemptions.capture)


@operation(
    "voidRedemption",
    "POST",
    "/v1/redemptions/{redemption_id}/void",
    "Redemptions",
    "terminal",
    scopes=("hold",),
    parameters=(_REDEMPTION_ID, STEP_KEY),
    request=VoidRequest,
    request_required=False,
    request_examples=NOTHING,
    returns=(Returns("Released: everything is available again.", RedemptionView, examples.VOIDED, replayable=True),),
    refusals=(*groups.STEP, *groups.ENDED, "already_captured"),
)
async def void_redemption(request: Request) -> Response:
    """Releases a hold."""
    state: State = request.app.state.tong
    return await _step(request, "void", _void, state.redemptions.void)


@operation(
    "refundRedemption",
    "POST",
    "/v1/redemptions/{redemption_id}/refund",
    "Redemptions",
    "terminal",
    scopes=("refund",),
    parameters=(_REDEMPTION_ID, STEP_KEY),
    request=RefundRequest,
    request_required=False,
    request_examples=examples.REFUND,
    returns=(Returns("Given back.", RedemptionView, examples.REFUNDED, replayable=True),),
    refusals=(*groups.STEP, *groups.ENDED, "exceeds_redemption", "window_closed"),
)
async def refund_redemption(request: Request) -> Response:
    """Gives back what was taken, whole or in part (`legs`), to the lots it came from."""
    state: State = request.app.state.tong
    return await _step(request, "refund", _refund, state.redemptions.refund)


@operation(
    "cancelRedemption",
    "POST",
    "/v1/cancel",
    "Scan",
    "terminal",
    scopes=("redeem", "hold"),
    summary="For a till that does not know what happened: nothing stays applied, and the key never applies later. "
    "Either `idempotency_key` and `code` as they were sent, or `redemption_id`.",
    request=CancelRequest,
    request_examples=examples.CANCEL,
    returns=(
        Returns("Nothing is applied now and nothing will be; repeating it is safe.", CancelAnswer, examples.CANCELLED),
    ),
    refusals=(
        *groups.BODY,
        *groups.KEY_OF_CALLER,
        *groups.STORE,
        *groups.IDEMPOTENCY,
        *groups.SCANNED,
        "window_closed",
        "not_found",
    ),
)
async def cancel(request: Request) -> Response:
    """For a till that does not know what happened: nothing stays applied, and the key never applies later."""
    state: State = request.app.state.tong
    wanted, _, body = await read_json(request, _cancel)
    by_id = wanted.redemption_id is not None
    by_key = wanted.idempotency_key is not None and wanted.code is not None
    if by_id == by_key or (by_id and (wanted.idempotency_key or wanted.code)):
        raise malformed("needs either redemption_id, or idempotency_key and code as they were sent", "body")
    key = "" if by_id else idempotency_key(wanted.idempotency_key)
    terminal = calling_terminal(request, body)
    if by_id:
        assert wanted.redemption_id is not None
        call = state.cancellations.by_id(terminal, wanted.redemption_id)
    else:
        assert wanted.code is not None
        claim = await read_code_of_key(
            state.redemptions,
            terminal,
            state.reader,
            wanted.code,
            state.clock(),
            key=key,
            fingerprint=TOMBSTONE,
        )
        behind = claim if isinstance(claim, KeyRecord) else code_use(claim)
        good_until = 0 if isinstance(claim, KeyRecord) else claim.expires_at
        call = state.cancellations.by_key(terminal, key, behind, good_until=good_until)
    done = await ask_hot_store(call)
    if done is None:
        raise Problem("not_found", NOT_FOUND)
    if isinstance(done, Refusal):
        state.metrics.steps.labels("cancel", done.outcome.name.lower()).inc()
        raise refused(done)
    state.metrics.steps.labels("cancel", done.effect).inc()
    return respond(CancelAnswer.of(done))


async def _step(
    request: Request,
    name: str,
    decoder: msgspec.json.Decoder[Any],
    use_case: Callable[[Step], Awaitable[Redemption | Refusal | None]],
) -> Response:
    """Run capture, void or refund and return its answer.

    A body may be left out, and so may the Idempotency-Key, except for a partial refund.
    """
    state: State = request.app.state.tong
    wanted, canonical, body = await read_json(request, decoder, optional=True)
    if getattr(wanted, "legs", None) == ():
        raise malformed("is an empty list: name the legs, or leave `legs` out for all of them", "legs")
    given_key = request.headers.get("idempotency-key")
    # A refund of a part moves value again when it is repeated; all else finds that it was done before.
    wants_key = name == "refund" and getattr(wanted, "legs", None) is not None
    key = idempotency_key(given_key) if given_key is not None or wants_key else None
    terminal = calling_terminal(request, body)
    bill = getattr(wanted, "bill", None)
    redemption_id = request.path_params["redemption_id"]
    asked = fingerprint(name.encode(), redemption_id.encode() + canonical)
    await check_new_bill(state.redemptions, bill, terminal, key, asked)
    step = Step(terminal, redemption_id, key, asked, getattr(wanted, "legs", None), bill)
    done = await ask_hot_store(use_case(step))
    if done is None:
        raise Problem("not_found", NOT_FOUND)
    return respond_to_step(state.metrics, name, done, terminal, RedemptionView.of, legs=step.legs)


ENDPOINTS: Final = (read_redemption, capture_redemption, void_redemption, refund_redemption, cancel)
