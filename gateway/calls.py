"""What each call takes and answers: one row per route, from which the OpenAPI document and /docs are made.

Guarantees: nothing here validates or routes; a test holds this table and gateway/routes.py together in both directions,
and another that every kind of problem stands in a row. To document a new call, add its route, its row and, for its
answer, a type in gateway/wire.py; a new kind of problem joins one of the groups below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway import wire
from redemption.domain.commands import CodesRequest, VerifyRequest
from redemption.domain.limits import IDEMPOTENCY_KEY_CHARACTERS_MAX

Caller = Literal["terminal", "member", "anybody"]
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no problem. `shape` None: text that is not JSON."""

    description: str
    shape: type | None
    example: Any
    status: int = 200
    media_type: str = JSON
    replayable: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value outside the body."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    example: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One row. `request_examples` are bodies that work; `summary` stands in where the endpoint is no function."""

    method: Literal["GET", "POST"]
    path: str
    tag: str
    caller: Caller
    answers: tuple[Answer, ...]
    refusals: tuple[str, ...] = ()
    request: type | None = None
    request_required: bool = True
    request_examples: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    summary: str | None = None


IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "Made by the till before the first attempt and sent again, unchanged, with every retry of it.",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARACTERS_MAX, "pattern": "^[!-~]+$"},
    "till-7-20261122-000123",
)
ACCEPT_LANGUAGE: Final = Parameter(
    "Accept-Language",
    "header",
    "Language of `operator_hint`: zh-Hant (also when absent), zh-Hans or en.",
    {"type": "string"},
    "zh-Hant",
    required=False,
)
_REDEMPTION_ID: Final = Parameter(
    "redemption_id",
    "path",
    "The redemption, as `POST /v1/verify` answered it.",
    {"type": "string", "pattern": wire.REDEMPTION_ID_PATTERN},
    wire.REDEMPTION_ID_EXAMPLE,
)

TAGS: Final[dict[str, str]] = {
    "Till": "What a till or a scanner of a business calls.",
    "Member app": "What the member's app calls, with the member's own access token.",
    "Platform": "What the platform and integrators ask; no credentials.",
}

# Groups of kinds, each named after the step that finds them.
_BODY: Final = ("body_too_large", "unsupported_media_type", "malformed")
_TERMINAL: Final = ("unauthenticated", "terminal_revoked", "forbidden")
_MEMBER: Final = ("unauthenticated",)
_STORE: Final = ("overloaded", "unavailable")
_KEY: Final = ("idempotency_key_missing", "idempotency_key_reused", "cancelled")
_CODE: Final = (
    "code_malformed", "code_forged", "code_expired", "code_used", "code_revoked", "member_blocked",
)  # fmt: skip
_BASKET: Final = (
    "possible_duplicate", "leg_not_allowed_here", "points_below_minimum", "points_insufficient", "exceeds_bill",
)  # fmt: skip

ANYWHERE: Final = ("not_found", "method_not_allowed")
"""Answered at any path that is not in the table, or to a method that its path does not take."""

_REDEMPTION: Final = {
    "redemption_id": wire.REDEMPTION_ID_EXAMPLE,
    "status": "captured",
    "created_at": "2026-11-22T03:04:05.678Z",
    "hold_expires_at": None,
    "member": {"member_id": "mem_0000001", "tier": "gold", "display_name": "陳**"},
    "legs": [
        {
            "kind": "points",
            "points": 2000,
            "value_minor": 2000,
            "lots": [
                {"issuer": "hotel", "points": 1500, "expires_month": "2026-12"},
                {"issuer": "mall", "points": 500, "expires_month": "2027-03"},
            ],
        }
    ],
    "bill": {
        "reference": "POS-7-20261122-0001",
        "amount_minor": 25800,
        "currency": "CNY",
        "discount_minor": 2000,
        "payable_minor": 23800,
    },
    "balance": {"points": 8000, "points_held": 0, "stored_value_minor": 0},
}
_READY: Final = {
    "status": "ready",
    "reasons": [],
    "configuration_version": 66,
    "configuration_stale": False,
    "weaknesses": [],
}

CALLS: Final[tuple[Call, ...]] = (
    Call(
        "POST",
        "/v1/verify",
        "Till",
        "terminal",
        summary="One scan, one atomic basket. Everything asked is applied and written down, or nothing is. "
        "Without legs it says whose code this is, and uses the code.",
        parameters=(IDEMPOTENCY_KEY,),
        request=VerifyRequest,
        request_examples={
            "points": {
                "code": "974229897691788465",
                "bill": {
                    "reference": "POS-7-20261122-0001",
                    "amount_minor": 25800,
                    "currency": "CNY",
                    "lines": [{"category": "dining", "amount_minor": 25800}],
                },
                "legs": [{"kind": "points", "points": 2000}],
            },
            "identity check": {"code": "974229897691788465"},
        },
        answers=(Answer("Applied: charge `bill.payable_minor`.", wire.RedemptionAnswer, _REDEMPTION, 201,
                        replayable=True),),
        refusals=(*_BODY, *_TERMINAL, *_STORE, *_KEY, *_CODE, *_BASKET),
    ),
    Call(
        "GET",
        "/v1/redemptions/{redemption_id}",
        "Till",
        "terminal",
        parameters=(_REDEMPTION_ID,),
        answers=(Answer("The redemption.", wire.RedemptionAnswer, _REDEMPTION),),
        refusals=(*_TERMINAL, *_STORE, "not_found"),
    ),
    Call(
        "POST",
        "/v1/me/codes",
        "Member app",
        "member",
        request=CodesRequest,
        request_required=False,
        request_examples={"one": {"count": 1}, "a minute and a half ahead": {"count": 5}},
        answers=(
            Answer(
                "Codes to show, each until its `refresh_at`.",
                wire.CodesAnswer,
                {
                    "codes": [
                        {
                            "code": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImRldi0xIn0.eyJzdWIiOiIxIiwiZXhwIjoxNzk1MzQ3OTc0LCJq"
                            "dGkiOiJ0OGFQaWRkLSJ9.Ka4GNXB4rZVFEHmqsCO-PAl1BWUm4CBem3mTjuhG51U",
                            "digits": "974229897691788465",
                            "expires_at": "2026-11-22T03:04:34.000Z",
                            "refresh_at": "2026-11-22T03:04:24.000Z",
                        }
                    ]
                },
            ),
        ),
        refusals=(*_BODY, *_MEMBER, "rate_limited", *_STORE),
    ),
    Call(
        "GET",
        "/v1/me",
        "Member app",
        "member",
        answers=(
            Answer(
                "The member.",
                wire.MeAnswer,
                {
                    "member_id": "mem_0000001",
                    "tier": "gold",
                    "display_name": "陳**",
                    "balance": {"points": 10000, "points_held": 0},
                    "lots": [
                        {"issuer": "hotel", "points": 5000, "expires_month": "2026-12"},
                        {"issuer": "mall", "points": 5000, "expires_month": "2027-03"},
                    ],
                },
            ),
        ),
        refusals=(*_MEMBER, *_STORE, "not_found"),
    ),
    Call(
        "GET",
        "/healthz",
        "Platform",
        "anybody",
        answers=(Answer("It lives.", wire.HealthAnswer, {"status": "ok"}),),
    ),
    Call(
        "GET",
        "/readyz",
        "Platform",
        "anybody",
        answers=(
            Answer("Ready.", wire.ReadinessAnswer, _READY),
            Answer(
                "Not ready, and why.",
                wire.ReadinessAnswer,
                {**_READY, "status": "not_ready", "reasons": ["draining"]},
                503,
                PROBLEM_JSON,
            ),
        ),
    ),
    Call(
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
        "GET",
        "/.well-known/jwks.json",
        "Platform",
        "anybody",
        answers=(Answer("The keys.", wire.PublicKeysAnswer, {"keys": []}, media_type="application/jwk-set+json"),),
    ),
    Call(
        "GET",
        "/openapi.json",
        "Platform",
        "anybody",
        answers=(Answer("OpenAPI 3.1.", dict[str, Any], {"openapi": "3.1.0"}),),
    ),
    Call(
        "GET",
        "/docs",
        "Platform",
        "anybody",
        answers=(Answer("A page.", None, "<!doctype html>", media_type="text/html; charset=utf-8"),),
    ),
)  # fmt: skip
