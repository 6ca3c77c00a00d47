"""Access to settlement, the same for each of its endpoints.

Guarantees: without the role `settlement` nothing is shown (`forbidden`); a key of one business learns nothing about
other businesses' settlement, not even that it exists (`not_found`).
"""

import re
from typing import Any, Final

from starlette.requests import Request

from gateway.api.callers import counted_administrator
from gateway.api.settlement.limiter import SettlementLimiter
from gateway.api.state import State
from gateway.auth.authentication import Administrator
from gateway.problems.documents import Problem, malformed
from redemption.settlement.agreements import AgreementRefused
from redemption.settlement.disputes import DisputeRefused
from redemption.settlement.periods import Period, PeriodRefused

_ID: Final = re.compile(r"[!-~]{1,90}", re.ASCII)

CODES: Final[dict[str, str]] = {
    "not_found": "not_found",
    "not_a_party": "not_found",
    "month_not_over": "month_not_over",
    "earlier_month_open": "earlier_month_open",
    "not_closed": "period_not_closed",
    "own_use": "own_use",
    "disputed": "period_disputed",
    "not_approved": "period_not_approved",
    "paid_already": "period_paid",
    "scope_taken": "agreement_conflict",
    "scope_differs": "agreement_conflict",
    "disputed_already": "already_disputed",
    "resolved_already": "already_resolved",
}
"""Codes of gateway/problems/documents.py by the domain's reasons for a refusal. Any other reason is `malformed`."""


async def caller(request: Request) -> tuple[SettlementLimiter, Administrator]:
    """Return the limiter and the caller. Raises `unauthenticated`, `terminal_revoked`, `forbidden`, `rate_limited`."""
    state: State = request.app.state.tong
    return state.settlement, await counted_administrator(request)


def known_business(request: Request, business: str) -> str:
    """Return the id of a business of the group. Raises `not_found`."""
    state: State = request.app.state.tong
    if business not in state.configuration.current.businesses:
        raise Problem("not_found", "There is no such business")
    return business


def seen_business(request: Request, who: Administrator, business: str | None) -> str | None:
    """Return the business that a list is limited to: the key's or the one asked for; None for a key of the group.

    Raises `not_found` for another business than the key's, and for an unknown one.
    """
    if business is None:
        return who.business
    return known_business(request, who.acts_for(business, "business"))


def id_in_path(request: Request, name: str) -> str:
    """Return an id out of the path. Raises `not_found` for text that cannot be an id (PostgreSQL takes no U+0000)."""
    value: str = request.path_params[name]
    if _ID.fullmatch(value) is None:
        raise Problem("not_found", "There is nothing of this id")
    return value


def actor_name(who: Administrator) -> str:
    """Return the name of a key's holder, for the record."""
    return f"key {who.key_id}"


def refused(result: AgreementRefused | DisputeRefused | PeriodRefused, **extensions: Any) -> Problem:
    """Return a refusal of the domain as a problem."""
    code = CODES.get(result.reason)
    if code is None:
        return malformed(result.detail, "body")
    return Problem(code, result.detail, **extensions)


async def seen_period(limiter: SettlementLimiter, who: Administrator, name: str) -> Period:
    """Return a period by its id, its number or its SHA-256. Raises `not_found`, also for one between others."""
    wanted: str | None = name
    if "." not in name:
        is_hash = len(name) == 64 and not set(name) - set("0123456789abcdef")
        is_number = name.isascii() and name.isdigit() and len(name) <= 9
        wanted = await limiter.run(limiter.pages.period_named(name)) if is_hash or is_number else None
    period = await limiter.run(limiter.periods.get(wanted)) if wanted is not None else None
    if period is None or not who.sees(period.party_low, period.party_high):
        raise Problem("not_found", "There is no such period, or it is between other businesses")
    return period
