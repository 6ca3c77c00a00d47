"""POST /v1/prepare: who is it, what may be used here for this bill, and what a basket comes to. Uses nothing up."""

from typing import Any, Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import calling_terminal
from gateway.api.redemptions import examples
from gateway.api.redemptions.schemas import PrepareAnswer
from gateway.api.state import State
from gateway.http.body import decode, read_body, require_json
from gateway.http.responses import answer
from gateway.openapi.operation import Returns, operation
from gateway.problems import groups
from gateway.problems.documents import language_of, refused
from gateway.scans.input import ask_hot_store, check_bill, code_use, read_code_unguessed
from gateway.scans.serializers import balance_of, member_head
from redemption.domain.commands import Bill, Leg, PrepareRequest
from redemption.domain.outcomes import Outcome, Refusal
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.offers import Offer
from redemption.rules.pricing import Priced

_REASON: Final = ("code", "detail", "operator_hint")
_REASON_OF_BASKET: Final = (*_REASON, "leg", "asked", "available")
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
    propose, and what the `legs` of the request come to."""
    state: State = request.app.state.tong
    body = await read_body(request.receive)
    require_json(request.headers.get("content-type"))
    wanted, _ = decode(body, _decoder)
    terminal = calling_terminal(request, body)
    check_bill(wanted.bill, terminal)
    code = code_use(await read_code_unguessed(state.redemptions, terminal, state.reader, wanted.code, state.clock()))
    prepared = await ask_hot_store(state.memberships.prepare(terminal, code, wanted.bill, wanted.legs), changes=False)
    if isinstance(prepared, Refusal):
        raise refused(prepared, currency=terminal.business.currency)
    offers, member = prepared.offers, prepared.member
    language = request.headers.get("accept-language")
    catalogue = state.configuration.current.benefits
    bill, currency = wanted.bill, terminal.business.currency
    return answer(
        200,
        orjson.dumps(
            {
                "member": member_head(member),
                "balance": balance_of(member, terminal.business.currency),
                "points": {
                    "maximum": offers.points_maximum,
                    "value_minor": offers.points_value_minor,
                    "minimum": terminal.business.points.minimum_points,
                    "preselect": terminal.business.points.preselect,
                },
                "stored_value": {"maximum_minor": offers.stored_value_maximum_minor},
                "benefits": [
                    _offer(offer, catalogue.get(offer.benefit_id), language, currency) for offer in offers.benefits
                ],
                "best": _basket(offers.best_legs, offers.best_value, bill),
                "proposed": _basket(offers.proposed_legs, offers.proposed_value, bill),
                "basket": None if prepared.quote is None else _quoted(prepared.quote, wanted, language, currency),
            }
        ),
    )


def _basket(legs: tuple[Leg, ...], saving_minor: int, bill: Bill | None) -> dict[str, Any]:
    """A basket that was put together here, with the bill it leaves."""
    return {"legs": msgspec.to_builtins(legs), "saving_minor": saving_minor, "bill": _bill(bill, saving_minor)}


def _bill(bill: Bill | None, discount_minor: int) -> dict[str, int] | None:
    if bill is None:
        return None
    return {
        "amount_minor": bill.amount_minor,
        "discount_minor": discount_minor,
        "payable_minor": bill.amount_minor - discount_minor,
    }


def _quoted(quote: Priced, wanted: PrepareRequest, accept_language: str | None, currency: str) -> dict[str, Any]:
    """What the legs of the request come to: the value of each and the bill, or why verify would refuse them."""
    if quote.verdict.outcome is not Outcome.APPLIED:
        problem = orjson.loads(refused(quote.verdict, currency=currency, legs=wanted.legs).body(accept_language))
        reason = {"leg": None} | {name: problem[name] for name in _REASON_OF_BASKET if name in problem}
        return {"values_minor": [], "bill": None, "reason": reason}
    return {"values_minor": quote.values, "bill": _bill(wanted.bill, sum(quote.values)), "reason": None}


def _reason(refusal: Refusal, accept_language: str | None, currency: str) -> dict[str, Any]:
    """The members of the problem that verify would answer with, as far as a cashier needs them."""
    problem = orjson.loads(refused(refusal, currency=currency).body(accept_language))
    return {name: problem[name] for name in _REASON}


def _offer(
    offer: Offer, definition: BenefitDefinition | None, accept_language: str | None, currency: str
) -> dict[str, Any]:
    """One benefit: usable with value and uses left, or why not. One that was withdrawn has but its id as a name."""
    language = language_of(accept_language)
    name = offer.benefit_id
    if definition is not None:
        name = definition.name.get(language) or next(iter(definition.name.values()))
    return {
        "benefit_id": offer.benefit_id,
        "name": name,
        "usable": offer.usable,
        "value_minor": offer.value_minor,
        "remaining_uses": offer.uses_in_all,
        "remaining_uses_today": offer.remaining_uses,
        "max_uses_here": offer.max_uses_here,
        "excludes": offer.excludes,
        "reason": None if offer.refusal is None else _reason(offer.refusal, accept_language, currency),
    }


ENDPOINTS: Final = (prepare,)
