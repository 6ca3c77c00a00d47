"""Every error of every path as an RFC 9457 problem document, from one closed table.

    Problem            raised where a request cannot be answered as asked; carries its kind and what is special to it

A kind says the status, whether anything can have been applied (`outcome`), what the caller may do (`retry`) and what
the person at the till reads (`operator_hint`, after Accept-Language; hints.toml), with the figures asked and available
where the refusal has them. A title or hint never holds a caller's text. `detail` is English, for logs and developers.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.problems.amounts import money, number
from gateway.problems.kinds import Kind, Language, Unit, kind
from redemption.domain.commands import BenefitLeg, Leg, PointsLeg
from redemption.domain.errors import RefusedError
from redemption.domain.limits import RATE_WINDOW_SECONDS
from redemption.domain.outcomes import Outcome, RateSubject, Refusal
from redemption.domain.text import grouped

CONTENT_TYPE: Final = b"application/problem+json"
RETRY_AFTER_SECONDS: Final = 1


KINDS: Final[dict[str, Kind]] = {
    row.code: row
    for row in (
        kind("body_too_large", 413, "Body too large", "never", hint="till_program"),
        kind("unsupported_media_type", 415, "Body is not JSON", "never", hint="till_program"),
        kind("malformed", 400, "Malformed request", "never", hint="till_program"),
        kind("idempotency_key_missing", 400, "Idempotency-Key missing or malformed", "new_key", hint="till_program"),
        kind("unauthenticated", 401, "Not authenticated", "never", hint="till_key"),
        kind("terminal_revoked", 401, "Key revoked", "never", hint="till_key"),
        kind("forbidden", 403, "Not allowed", "never", hint="till_key"),
        kind("not_found", 404, "Not found", "never"),
        kind("method_not_allowed", 405, "Method not allowed", "never", hint="till_program"),
        kind("rate_limited", 429, "Too many requests", "same_key", hint="busy", unit="seconds"),
        kind("overloaded", 503, "Overloaded", "same_key", hint="busy"),
        kind("unavailable", 503, "Unavailable", "same_key", hint="busy"),
        kind("idempotency_key_reused", 422, "Key already used for another request", "new_key", hint="till_program"),
        kind("cancelled", 409, "Cancelled before", "never"),
        kind("code_malformed", 409, "Not a member code", "new_code"),
        kind("code_forged", 409, "Code not genuine", "new_code"),
        kind("code_expired", 409, "Code expired", "new_code", hint="code_gone"),
        kind("code_used", 409, "Code already used", "new_code", hint="code_gone"),
        kind("code_revoked", 409, "Code revoked", "new_code", hint="code_gone"),
        kind("member_blocked", 409, "Membership blocked", "never"),
        kind("possible_duplicate", 409, "Possibly a duplicate", "new_key"),
        kind("leg_not_allowed_here", 409, "Not accepted here", "new_key"),
        kind("benefit_unknown", 409, "No such benefit", "new_key"),
        kind("benefit_not_now", 409, "Not at this time", "new_key"),
        kind("benefit_exhausted", 409, "No uses left", "new_key", unit="uses"),
        kind("tier_too_low", 409, "Level too low", "new_key"),
        kind("bill_below_minimum", 409, "Bill below the minimum", "new_key", unit="money"),
        kind("not_stackable", 409, "Cannot be combined", "new_key"),
        kind("points_below_minimum", 409, "Below the minimum of points", "new_key", unit="points"),
        kind("points_insufficient", 409, "Not enough points", "new_key", unit="points"),
        kind("stored_value_insufficient", 409, "Not enough stored value", "new_key", unit="money"),
        kind("exceeds_bill", 409, "More than the bill", "new_key", unit="money"),
        kind("earning_limit_reached", 409, "Earns more than allowed", "new_key", unit="points"),
        kind("hold_expired", 410, "Hold expired", "new_code"),
        kind("already_captured", 409, "Already captured", "never"),
        kind("already_voided", 409, "Already voided", "never"),
        kind("already_refunded", 409, "Already refunded", "never"),
        kind("exceeds_hold", 409, "More than the hold", "new_key", unit="leg"),
        kind("exceeds_redemption", 409, "More than was taken", "new_key", unit="leg"),
        kind("window_closed", 410, "Too late", "never"),
        kind("devices_exhausted", 409, "Too many devices", "never", unit="count"),
        kind("month_not_over", 409, "The month is not over", "never"),
        kind("earlier_month_open", 409, "An earlier month is open", "new_key"),
        kind("period_not_closed", 409, "Period not closed", "new_key"),
        kind("period_disputed", 409, "Period disputed", "new_key"),
        kind("period_not_approved", 409, "Period not approved", "new_key"),
        kind("period_paid", 409, "Period paid before", "never"),
        kind("period_altered", 409, "Period altered", "never"),
        kind("own_use", 409, "A business's own use", "never"),
        kind("agreement_conflict", 409, "Conflicts with an agreement", "new_key"),
        kind("already_disputed", 409, "Disputed already", "never"),
        kind("already_resolved", 409, "Resolved already", "never"),
        kind("too_many_redemptions", 409, "Too many redemptions", "new_key"),
    )
}
"""Kinds by code, in the contract's order."""

KIND_OF_OUTCOME: Final[dict[Outcome, Kind]] = {
    outcome: KINDS[outcome.name.lower()] for outcome in Outcome if outcome.name.lower() in KINDS
}


class Problem(RefusedError):
    """A request is not answered as requested.

    `extensions` become members of the document beside the fixed ones; the hint shows `figures` (asked, available)
    unchanged.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        unknown: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        retry_after: int = RETRY_AFTER_SECONDS,
        figures: tuple[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.kind = KINDS[code]
        self.detail = detail
        self.unknown = unknown
        self.headers = headers
        self.figures = figures
        self.extensions = extensions
        self.guess = False
        """True where it answers a guess: digits that nobody made, or the id of a member not scanned there."""
        if code in ("overloaded", "unavailable", "rate_limited"):
            self.headers += ((b"retry-after", str(retry_after).encode()),)

    def hint(self, accept_language: str | None) -> str:
        """Return the sentence for the cashier in the caller's language."""
        asked, available = self.figures or (None, None)
        return self.kind.hint(language_of(accept_language), asked, available)

    def body(self, accept_language: str | None) -> bytes:
        """Return the document as JSON in UTF-8."""
        kind = self.kind
        return orjson.dumps(
            {
                "type": kind.type_uri,
                "title": kind.title,
                "status": kind.status,
                "code": kind.code,
                "outcome": "unknown" if self.unknown else kind.outcome,
                "retry": kind.retry,
                "detail": self.detail,
                "operator_hint": self.hint(accept_language),
                **self.extensions,
            }
        )


def malformed(reason: str, place: str | None = None) -> Problem:
    """Return the problem of a request that cannot be read: where (`legs[0].points`, `header Idempotency-Key`) and
    why."""
    if place is None:
        return Problem("malformed", reason)
    return Problem("malformed", f"{place}: {reason}", errors=[{"field": place, "reason": reason}])


def refused(
    refusal: Refusal,
    *,
    retry_after: int = RETRY_AFTER_SECONDS,
    currency: str | None = None,
    legs: Sequence[Leg] | None = None,
) -> Problem:
    """Return the problem that tells a till why nothing was applied.

    `retry_after` is for a refusal by rate, in seconds. `currency` of the business and the requested `legs` let the hint
    show its figures.
    """
    extensions: dict[str, Any] = {}
    if refusal.outcome is Outcome.RATE_LIMITED:
        whose = _RATE_SUBJECTS[RateSubject(refusal.asked)]
        seconds = max(refusal.available, retry_after)
        rate_headers: tuple[tuple[bytes, bytes], ...] = ()
        if refusal.quota >= 0:
            rate_headers = (
                (b"ratelimit-policy", f'"{whose}";q={refusal.quota};w={RATE_WINDOW_SECONDS}'.encode()),
                (b"ratelimit", f'"{whose}";r=0;t={seconds}'.encode()),
            )
        detail = f"Too many calls of this {whose}; again in {seconds} s"
        return Problem(
            "rate_limited",
            detail,
            retry_after=seconds,
            headers=rate_headers,
            figures=("", number(seconds)),
            scope=whose,
        )
    if refusal.leg is not None:
        extensions["leg"] = refusal.leg
    if refusal.asked >= 0:
        extensions["asked"] = refusal.asked
    if refusal.available >= 0:
        extensions["available"] = refusal.available
    headers = ((b"idempotency-replayed", b"true"),) if refusal.replayed else ()
    kind = KIND_OF_OUTCOME[refusal.outcome]
    if refusal.outcome is Outcome.UNAVAILABLE and refusal.replayed:
        # The key was used before, or may have been: a frozen bucket does not tell whether its request was applied.
        return Problem(kind.code, "This part of the members is frozen until its data is restored", unknown=True)
    detail = refusal.detail or _detail(refusal)
    return Problem(kind.code, detail, headers=headers, figures=figures_of(refusal, currency, legs), **extensions)


def figures_of(refusal: Refusal, currency: str | None, legs: Sequence[Leg] | None = None) -> tuple[str, str] | None:
    """Return the figures asked and available as the hint shows them.

    Returns None where the refusal has no such figures, or where their unit cannot be known.
    """
    kind = KIND_OF_OUTCOME[refusal.outcome]
    if kind.figures is None or refusal.asked < 0 or refusal.available < 0 or refusal.asked == refusal.available:
        return None  # equal figures explain nothing: the rule needs a bill, and the request has none
    unit = "money" if refusal.is_money else kind.figures.unit
    if unit == "leg":
        found = _unit_of(refusal.asked, legs or ())
        if found is None:
            return None
        unit = found
    if unit == "money":
        return None if currency is None else (money(refusal.asked, currency), money(refusal.available, currency))
    return number(refusal.asked), number(refusal.available)


def _unit_of(asked: int, legs: Sequence[Leg]) -> Unit | None:
    """Return the unit of the only kind of leg with this requested amount; None where it could be several."""
    sums: dict[str, int] = {}
    units: dict[str, Unit] = {}
    for leg in legs:
        if isinstance(leg, PointsLeg):
            asset, amount, units["points"] = "points", leg.points, "points"
        elif isinstance(leg, BenefitLeg):
            asset, amount = f"benefit:{leg.benefit_id}", leg.uses
            units[asset] = "uses"
        else:
            asset, amount, units["money"] = "money", leg.amount_minor, "money"
        sums[asset] = sums.get(asset, 0) + amount
    found = {units[asset] for asset, total in sums.items() if total == asked}
    return found.pop() if len(found) == 1 else None


_RATE_SUBJECTS: Final[dict[RateSubject, str]] = {
    RateSubject.TERMINAL: "terminal",
    RateSubject.OUTLET: "outlet",
    RateSubject.MEMBER: "member",
    RateSubject.GUESSES: "terminal's guesses of digits",
    RateSubject.TOMBSTONES: "terminal's cancels of unknown keys",
    RateSubject.OFFICE_KEY: "key",
}


_DETAILS: Final[dict[Outcome, str]] = {
    Outcome.UNAVAILABLE: "This part of the members is frozen until its data is restored; nothing was applied",
    Outcome.IDEMPOTENCY_KEY_REUSED: "This Idempotency-Key was used by this terminal for a request with another body",
    Outcome.CANCELLED: "This key was cancelled; it can never be applied",
    Outcome.CODE_EXPIRED: "The code is no longer valid; the member's app shows a fresh one",
    Outcome.CODE_USED: "The code was used before; every code works once",
    Outcome.CODE_REVOKED: "The member's codes of that time were revoked",
    Outcome.MEMBER_BLOCKED: "The membership is blocked",
    Outcome.POSSIBLE_DUPLICATE: (
        "The same basket was taken from this member here within the last minute; confirm_duplicate lets it through"
    ),
    Outcome.BENEFIT_EXHAUSTED: "{asked} uses asked, {available} left",
    Outcome.TIER_TOO_LOW: "The member's level does not have this benefit",
    Outcome.STORED_VALUE_INSUFFICIENT: "{asked} minor units asked, {available} available",
    Outcome.HOLD_EXPIRED: "The hold's time ran out; what it held was released",
    Outcome.ALREADY_CAPTURED: "The hold was captured before; what was captured can be refunded",
    Outcome.ALREADY_VOIDED: "The hold was released before",
    Outcome.ALREADY_REFUNDED: "All of it was given back before",
    Outcome.EXCEEDS_HOLD: "{asked} asked, {available} held",
    Outcome.EXCEEDS_REDEMPTION: "{asked} asked, {available} can still be given back",
    Outcome.WINDOW_CLOSED: "The time in which this could be undone is over",
    Outcome.LEG_NOT_ALLOWED_HERE: "This business does not take this instrument",
    Outcome.POINTS_BELOW_MINIMUM: "{asked} points asked, the minimum here is {available}",
    Outcome.POINTS_INSUFFICIENT: "{asked} points asked, {available} available",
    Outcome.EXCEEDS_BILL: "{asked} would come off a bill of {available} minor units",
}


def _detail(refusal: Refusal) -> str:
    if refusal.asked < 0 and "{asked}" in _DETAILS.get(refusal.outcome, ""):
        return KIND_OF_OUTCOME[refusal.outcome].title
    template = _DETAILS.get(refusal.outcome, KIND_OF_OUTCOME[refusal.outcome].title)
    return template.format(asked=grouped(refusal.asked), available=grouped(refusal.available))


@lru_cache(maxsize=256)
def language_of(accept_language: str | None) -> Language:
    """Return the best of the three languages for an Accept-Language header (RFC 9110 §12.5.4).

    Without a header it is zh-Hant, the language of most of the staff.
    """
    if not accept_language:
        return "zh-Hant"
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language[:200].split(",")[:16]):
        name, _, parameter = part.strip().lower().partition(";")
        quality = 1.0
        if parameter.strip().startswith("q="):
            try:
                quality = float(parameter.strip()[2:])
            except ValueError:
                continue
        if quality > 0:
            ranked.append((-quality, position, name.strip()))
    for _, _, name in sorted(ranked):
        if name == "*" or name.startswith(("zh-hant", "zh-tw", "zh-hk", "zh-mo")):
            return "zh-Hant"
        if name == "zh" or name.startswith("zh-"):
            return "zh-Hans"
        if name == "en" or name.startswith("en-"):
            return "en"
    return "en"
