"""Groups of kinds of problems, each named after the step that finds them; operations list their refusals by these."""

from typing import Final

BODY: Final = ("body_too_large", "unsupported_media_type", "malformed")
KEY_OF_CALLER: Final = ("unauthenticated", "terminal_revoked", "forbidden", "rate_limited")
MEMBER: Final = ("unauthenticated", "rate_limited")
STORE: Final = ("overloaded", "unavailable")
IDEMPOTENCY: Final = ("idempotency_key_missing", "idempotency_key_reused")
SCANNED: Final = ("code_malformed", "code_forged")
CODE: Final = (*SCANNED, "code_expired", "code_used", "code_revoked", "member_blocked")
BASKET: Final = (
    "possible_duplicate",
    "leg_not_allowed_here",
    "benefit_unknown",
    "benefit_not_now",
    "benefit_exhausted",
    "tier_too_low",
    "bill_below_minimum",
    "not_stackable",
    "points_below_minimum",
    "points_insufficient",
    "stored_value_insufficient",
    "exceeds_bill",
)
STEP: Final = (*BODY, *KEY_OF_CALLER, *STORE, *IDEMPOTENCY, "not_found")
ENDED: Final = ("cancelled", "hold_expired", "already_voided", "already_refunded")
SETTLEMENT_OF_GROUP: Final = (*KEY_OF_CALLER, *STORE)
SETTLEMENT: Final = (*SETTLEMENT_OF_GROUP, "not_found")

ANYWHERE: Final = ("not_found", "method_not_allowed")
"""Answered at any path that is not there, or to a method that its path does not take."""
