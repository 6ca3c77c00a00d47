"""POST /v1/prepare: who is it, what may be used here for this bill, and the best basket. Uses nothing up."""

from typing import Any, Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import answer
from gateway.body import decode, read_body, require_json
from gateway.problems import KIND_OF_OUTCOME, figures_of, language_of, refused
from gateway.rendering import balance_of, member_head
from gateway.state import State
from gateway.tills import ask_hot_store, check_bill, code_use, read_code_unguessed
from redemption.domain.commands import PrepareRequest
from redemption.domain.outcomes import Refusal
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.offers import Offer

_decoder: Final = msgspec.json.Decoder(PrepareRequest)


async def prepare(request: Request) -> Response:
    """Reads only: the member, the benefits with value or reason, the most points, the best basket as `legs`."""
    state: State = request.app.state.tong
    body = await read_body(request.receive)
    require_json(request.headers.get("content-type"))
    wanted, _ = decode(body, _decoder)
    authorization = request.headers.get("authorization")
    terminal = state.authenticator.terminal(authorization, ("redeem", "hold"), request.scope, body)
    check_bill(wanted.bill, terminal)
    code = code_use(await read_code_unguessed(state.redemptions, terminal, state.reader, wanted.code, state.clock()))
    prepared = await ask_hot_store(state.memberships.prepare(terminal, code, wanted.bill), changes=False)
    if isinstance(prepared, Refusal):
        raise refused(prepared, currency=terminal.business.currency)
    offers, member = prepared.offers, prepared.member
    language = request.headers.get("accept-language")
    catalogue = state.directory.current.benefits
    bill = wanted.bill
    best_bill = None
    if bill is not None:
        best_bill = {
            "amount_minor": bill.amount_minor,
            "discount_minor": offers.best_value,
            "payable_minor": bill.amount_minor - offers.best_value,
        }
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
                },
                "stored_value": {"maximum_minor": offers.stored_value_maximum_minor},
                "benefits": [
                    _offer(offer, catalogue.get(offer.benefit_id), language, terminal.business.currency)
                    for offer in offers.benefits
                ],
                "best": {
                    "legs": msgspec.to_builtins(offers.best_legs),
                    "saving_minor": offers.best_value,
                    "bill": best_bill,
                },
            }
        ),
    )


def _offer(
    offer: Offer, definition: BenefitDefinition | None, accept_language: str | None, currency: str
) -> dict[str, Any]:
    """One benefit: usable with value and uses left, or why not. One that was withdrawn has but its id as a name."""
    language = language_of(accept_language)
    name = offer.benefit_id
    if definition is not None:
        name = definition.name.get(language) or next(iter(definition.name.values()))
    reason = None
    if offer.refusal is not None:
        kind = KIND_OF_OUTCOME[offer.refusal.outcome]
        asked, available = figures_of(offer.refusal, currency) or (None, None)
        reason = {
            "code": kind.code,
            "detail": offer.refusal.detail or kind.title,
            "operator_hint": kind.hint(language, asked, available),
        }
    return {
        "benefit_id": offer.benefit_id,
        "name": name,
        "usable": offer.usable,
        "value_minor": offer.value_minor,
        "remaining_uses": offer.remaining_uses,
        "reason": reason,
    }
