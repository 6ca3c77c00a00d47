"""What each call takes and answers: one row per route, from which the OpenAPI document and /docs are made.

Guarantees: nothing here validates or routes; a test holds this table and gateway/server/routes.py together in both
directions, and another that every kind of problem stands in a row. To document a new call, add its route, its row and,
for its answer, a type in gateway/api/schemas.py and an example in gateway/api/examples.py; a new kind of problem joins
one of the groups below.
"""

from typing import Any, Final

from gateway.api import examples
from gateway.api import schemas as wire
from gateway.api.calls_live import LIVE_CALLS
from gateway.api.members import schemas as wire_members
from gateway.api.settlement.calls import SETTLEMENT_CALLS
from gateway.api.system import group_schemas as wire_group
from gateway.http.queries import CURSOR_CHARACTERS_MAX
from gateway.openapi.operation import Answer, Call, Parameter
from redemption.domain.commands import (
    REFERENCE_PATTERN,
    AccrualRequest,
    CancelRequest,
    CaptureRequest,
    CodesRequest,
    PrepareRequest,
    RefundRequest,
    SearchRequest,
    VerifyRequest,
    VoidRequest,
)
from redemption.domain.limits import (
    BILL_REFERENCE_CHARACTERS_MAX,
    IDEMPOTENCY_KEY_CHARACTERS_MAX,
    LISTED_DEFAULT,
    LISTED_MAX,
)
from redemption.domain.redemptions import STATUSES

_KEY_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_CHARACTERS_MAX,
    "pattern": "^[!-~]+$",
}
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "Made by the till before the first attempt and sent again, unchanged, with every retry of it.",
    _KEY_SCHEMA,
    examples.KEY,
)
_STEP_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "With it a retry gets the first answer; without it, an `already_…` refusal says that it was done before. A refund "
    "of a part always wants one.",
    _KEY_SCHEMA,
    "till-7-20261122-000124",
    required=False,
)
_REDEMPTION_ID: Final = Parameter(
    "redemption_id",
    "path",
    "The redemption, as `POST /v1/verify` answered it.",
    {"type": "string", "pattern": wire.REDEMPTION_ID_PATTERN},
    wire.REDEMPTION_ID_EXAMPLE,
)
_ACCRUAL_ID: Final = Parameter(
    "accrual_id",
    "path",
    "The accrual, as `POST /v1/accruals` answered it.",
    {"type": "string", "pattern": wire_members.ACCRUAL_ID_PATTERN},
    wire_members.ACCRUAL_ID_EXAMPLE,
)


def _listed_by(name: str, description: str, schema: dict[str, Any], example: str) -> Parameter:
    return Parameter(name, "query", description, schema, example, required=False)


_DAY_OR_INSTANT: Final = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.+)?$", "maxLength": 40}
_LIST_PARAMETERS: Final = (
    _listed_by(
        "bill_reference",
        "The till's own number of the bill.",
        {"type": "string", "minLength": 1, "maxLength": BILL_REFERENCE_CHARACTERS_MAX, "pattern": REFERENCE_PATTERN},
        examples.REFERENCE,
    ),
    _listed_by(
        "status",
        "How they stand. `held`: open holds, in the order of their deadlines.",
        {"type": "string", "enum": list(STATUSES)},
        "captured",
    ),
    _listed_by(
        "outlet", "Scanned at this outlet.", {"type": "string", "pattern": "^out_[a-z0-9_-]{1,40}$"}, "out_hotel_lobby"
    ),
    _listed_by(
        "from",
        "Scanned at this instant (RFC 3339) or later; a day begins in the outlet's time zone. At most 30 days ago.",
        _DAY_OR_INSTANT,
        "2026-11-22",
    ),
    _listed_by("to", "Scanned before this instant, or on this day at the latest.", _DAY_OR_INSTANT, "2026-11-22"),
    _listed_by(
        "cursor", "`next_cursor` of the page before.", {"type": "string", "maxLength": CURSOR_CHARACTERS_MAX},
        "WyJ0IiwxNzk1MzQ3OTc0MDAwLCJyZG1fMDE2aHdhNTRjd2R6OXpyOW12Il0",
    ),
    _listed_by(
        "limit", "The most redemptions of a page.",
        {"type": "integer", "minimum": 1, "maximum": LISTED_MAX, "default": LISTED_DEFAULT}, "20",
    ),
)  # fmt: skip

TAGS: Final[dict[str, str]] = {
    "Scan": "What a till or a scanner calls while the member stands there. The terminal's key says which outlet it is.",
    "Redemptions": "What became of a scan, and what a till does with it afterwards: a hold is captured or voided, what "
    "was captured is refunded. Only of the till's own business; everything else is `not_found`.",
    "Earning": "Purchases earn points.",
    "Settlement": "Who owes whom: agreements, months, lines, statements, disputes, nets. With a key that has the role "
    "`settlement`; a key of one business sees what it is a side of, everything else is `not_found`.",
    "Reconciliation": "A point-of-sale system sends what it took on a day and learns where the ledger differs.",
    "Member app": "What the member's app calls, with the member's own access token.",
    "Operations": "Live figures over all workers, with a key that has the role `operations`; a key of one business is "
    "told of its own scans.",
    "Platform": "What the platform and integrators ask; no credentials.",
}

# Groups of kinds, each named after the step that finds them.
_BODY: Final = ("body_too_large", "unsupported_media_type", "malformed")
_TERMINAL: Final = ("unauthenticated", "terminal_revoked", "forbidden", "rate_limited")
_MEMBER: Final = ("unauthenticated", "rate_limited")
_STORE: Final = ("overloaded", "unavailable")
_KEY: Final = ("idempotency_key_missing", "idempotency_key_reused")
_SCANNED: Final = ("code_malformed", "code_forged")
_CODE: Final = (*_SCANNED, "code_expired", "code_used", "code_revoked", "member_blocked")
_BASKET: Final = (
    "possible_duplicate", "leg_not_allowed_here", "benefit_unknown", "benefit_not_now", "benefit_exhausted",
    "tier_too_low", "bill_below_minimum", "not_stackable", "points_below_minimum", "points_insufficient",
    "stored_value_insufficient", "exceeds_bill",
)  # fmt: skip
_STEP: Final = (*_BODY, *_TERMINAL, *_STORE, *_KEY, "not_found")
_ENDED: Final = ("cancelled", "hold_expired", "already_voided", "already_refunded")

ANYWHERE: Final = ("not_found", "method_not_allowed")
"""Answered at any path that is not in the table, or to a method that its path does not take."""

CALLS: Final[tuple[Call, ...]] = (
    Call(
        "verify",
        "POST",
        "/v1/verify",
        "Scan",
        "terminal",
        summary="One scan, one atomic basket. Everything asked is applied and written down, or nothing is. "
        "Without legs it says whose code this is, and uses the code. With `capture: false` it places a hold, which "
        "ends by itself after `hold_seconds`.",
        parameters=(IDEMPOTENCY_KEY,),
        request=VerifyRequest,
        request_examples=examples.VERIFY,
        answers=(Answer("Applied: charge `bill.payable_minor`.", wire.RedemptionAnswer, examples.REDEMPTION, 201,
                        replayable=True),),
        refusals=(*_BODY, *_TERMINAL, *_STORE, *_KEY, "cancelled", *_CODE, *_BASKET),
        rated=True,
    ),
    Call(
        "prepareRedemption",
        "POST",
        "/v1/prepare",
        "Scan",
        "terminal",
        request=PrepareRequest,
        request_examples=examples.PREPARE,
        answers=(Answer("What may be used; verify grants it a moment later unless something changed.",
                        wire.PrepareAnswer, examples.PREPARED),),
        refusals=(*_BODY, *_TERMINAL, *_STORE, *_CODE),
    ),
    Call(
        "cancelRedemption",
        "POST",
        "/v1/cancel",
        "Scan",
        "terminal",
        summary="For a till that does not know what happened: nothing stays applied, and the key never applies later. "
        "Either `idempotency_key` and `code` as they were sent, or `redemption_id`.",
        request=CancelRequest,
        request_examples=examples.CANCEL,
        answers=(Answer("Nothing is applied now and nothing will be; repeating it is safe.", wire.CancelAnswer,
                        examples.CANCELLED),),
        refusals=(*_BODY, *_TERMINAL, *_STORE, *_KEY, *_SCANNED, "window_closed", "not_found"),
    ),
    Call(
        "listRedemptions",
        "GET",
        "/v1/redemptions",
        "Redemptions",
        "terminal",
        parameters=_LIST_PARAMETERS,
        answers=(Answer("A page of them; none is an empty list.", wire.RedemptionsAnswer, examples.LISTED),),
        refusals=("malformed", *_TERMINAL, *_STORE),
    ),
    Call(
        "searchRedemptions",
        "POST",
        "/v1/redemptions/search",
        "Redemptions",
        "terminal",
        request=SearchRequest,
        request_examples=examples.SEARCH,
        answers=(Answer("A page of them; none is an empty list.", wire.RedemptionsAnswer, examples.LISTED),),
        refusals=(*_BODY, *_TERMINAL, *_STORE, *_SCANNED, "code_expired", "code_used", "code_revoked"),
    ),
    Call(
        "getRedemption",
        "GET",
        "/v1/redemptions/{redemption_id}",
        "Redemptions",
        "terminal",
        parameters=(_REDEMPTION_ID,),
        answers=(Answer("The redemption.", wire.RedemptionView, examples.LOOKED_UP),),
        refusals=(*_TERMINAL, *_STORE, "not_found"),
    ),
    Call(
        "captureRedemption",
        "POST",
        "/v1/redemptions/{redemption_id}/capture",
        "Redemptions",
        "terminal",
        parameters=(_REDEMPTION_ID, _STEP_KEY),
        request=CaptureRequest,
        request_required=False,
        request_examples=examples.CAPTURE,
        answers=(Answer("Captured; what was not is available again.", wire.RedemptionView, examples.CAPTURED,
                        replayable=True),),
        refusals=(*_STEP, *_ENDED, "already_captured", "exceeds_hold"),
    ),
    Call(
        "voidRedemption",
        "POST",
        "/v1/redemptions/{redemption_id}/void",
        "Redemptions",
        "terminal",
        parameters=(_REDEMPTION_ID, _STEP_KEY),
        request=VoidRequest,
        request_required=False,
        request_examples=examples.NOTHING,
        answers=(Answer("Released: everything is available again.", wire.RedemptionView, examples.VOIDED,
                        replayable=True),),
        refusals=(*_STEP, *_ENDED, "already_captured"),
    ),
    Call(
        "refundRedemption",
        "POST",
        "/v1/redemptions/{redemption_id}/refund",
        "Redemptions",
        "terminal",
        parameters=(_REDEMPTION_ID, _STEP_KEY),
        request=RefundRequest,
        request_required=False,
        request_examples=examples.REFUND,
        answers=(Answer("Given back.", wire.RedemptionView, examples.REFUNDED, replayable=True),),
        refusals=(*_STEP, *_ENDED, "exceeds_redemption", "window_closed"),
    ),
    Call(
        "createAccrual",
        "POST",
        "/v1/accruals",
        "Earning",
        "terminal",
        parameters=(IDEMPOTENCY_KEY,),
        request=AccrualRequest,
        request_examples=examples.ACCRUE,
        answers=(Answer("Earned.", wire_members.AccrualAnswer, examples.ACCRUED, 201, replayable=True),),
        refusals=(
            *_BODY, *_TERMINAL, *_STORE, *_KEY, "cancelled", *_CODE, "possible_duplicate", "earning_limit_reached",
            "not_found",
        ),
    ),
    Call(
        "reverseAccrual",
        "POST",
        "/v1/accruals/{accrual_id}/reverse",
        "Earning",
        "terminal",
        parameters=(_ACCRUAL_ID, _STEP_KEY),
        request=VoidRequest,
        request_required=False,
        request_examples=examples.NOTHING,
        answers=(Answer("Taken back.", wire_members.AccrualReversedAnswer, examples.ACCRUAL_REVERSED,
                        replayable=True),),
        refusals=(*_STEP, "cancelled", "already_refunded", "window_closed"),
    ),
    Call(
        "createMemberCodes",
        "POST",
        "/v1/me/codes",
        "Member app",
        "member",
        request=CodesRequest,
        request_required=False,
        request_examples=examples.CODES,
        answers=(Answer("Codes to show, each until its `refresh_at`.", wire_members.CodesAnswer,
                        examples.ISSUED_CODES),),
        refusals=(*_BODY, *_MEMBER, *_STORE, "member_blocked"),
    ),
    Call(
        "getMember",
        "GET",
        "/v1/me",
        "Member app",
        "member",
        answers=(Answer("The member.", wire_members.MeAnswer, examples.ME),),
        refusals=(*_MEMBER, *_STORE, "not_found"),
    ),
    Call(
        "listMemberBenefits",
        "GET",
        "/v1/me/benefits",
        "Member app",
        "member",
        answers=(Answer("The benefits.", wire_members.MyBenefitsAnswer, examples.MY_BENEFITS),),
        refusals=(*_MEMBER, *_STORE, "not_found"),
    ),
    Call(
        "getTerminal",
        "GET",
        "/v1/terminal",
        "Scan",
        "terminal",
        answers=(Answer("The till.", wire_group.TerminalAnswer, wire_group.TERMINAL_EXAMPLE),),
        refusals=(*_TERMINAL, "unavailable"),
    ),
    Call(
        "getGroup",
        "GET",
        "/v1/group",
        "Platform",
        "anybody",
        answers=(Answer("The names.", wire_group.GroupAnswer, wire_group.EXAMPLE),),
        refusals=("unavailable",),
    ),
    *LIVE_CALLS,
    *SETTLEMENT_CALLS,
    Call(
        "getHealth",
        "GET",
        "/healthz",
        "Platform",
        "anybody",
        answers=(Answer("It lives.", wire.HealthAnswer, {"status": "ok"}),),
    ),
    Call(
        "getReadiness",
        "GET",
        "/readyz",
        "Platform",
        "anybody",
        answers=(Answer("Ready.", wire.ReadinessAnswer, examples.READY),),
        refusals=("unavailable",),
    ),
    Call(
        "getMetrics",
        "GET",
        "/metrics",
        "Platform",
        "anybody",
        answers=(
            Answer(
                "Figures.",
                None,
                "# HELP tong_codes_issued_total Codes issued\n",
                media_type="text/plain; version=0.0.4; charset=utf-8",
            ),
        ),
    ),
    Call(
        "getPublicKeys",
        "GET",
        "/.well-known/jwks.json",
        "Platform",
        "anybody",
        answers=(Answer("The keys.", wire.PublicKeysAnswer, {"keys": []}, media_type="application/jwk-set+json"),),
    ),
    Call(
        "getOpenApiDocument",
        "GET",
        "/openapi.json",
        "Platform",
        "anybody",
        answers=(Answer("OpenAPI 3.1.", dict[str, Any], {"openapi": "3.1.0"}),),
    ),
    Call(
        "getReferencePage",
        "GET",
        "/docs",
        "Platform",
        "anybody",
        answers=(Answer("A page.", None, "<!doctype html>", media_type="text/html; charset=utf-8"),),
    ),
)  # fmt: skip
