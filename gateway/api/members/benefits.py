"""A member's benefits as GET /v1/me/benefits shows them: where, when, how often still, and why not now.

Guarantees: `not_now` is what a till would be told first if the benefit alone were used at this moment at a place where
it may be used; what a bill decides (categories, minimum spend) is named beside it, not judged. Moments are wall-clock
time of the group's zone; an outlet in another zone goes by its own.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.problems.kinds import Language
from gateway.scans.serializers import month
from redemption.configuration.current import Configuration
from redemption.domain.outcomes import Outcome
from redemption.memberships import MemberState
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.offers import Holding, remaining_uses
from redemption.rules.schedule import is_open

_ASSET = "benefit:"


def member_benefits(
    member: MemberState, configuration: Configuration, language: Language, now: float
) -> list[dict[str, Any]]:
    """One entry per benefit that the member has and the catalogue still holds, in the order of the lots."""
    local = datetime.datetime.fromtimestamp(now, configuration.time_zone)
    ranks = {tier.tier_id: tier.rank for tier in configuration.tiers}
    holding = Holding(member.tier, {}, member.used_today, member.used_month, member.used_stay)
    found: dict[str, dict[str, Any]] = {}
    for held in member.lots:
        benefit_id = held.asset.removeprefix(_ASSET)
        definition = configuration.benefits.get(benefit_id)
        if definition is None or not held.asset.startswith(_ASSET):
            continue
        entry = found.setdefault(benefit_id, _terms(benefit_id, definition, member, language))
        entry["remaining_uses"] += held.amount
        entry["lots"].append({"uses": held.amount, "expires_month": month(held.expires_month)})
    for benefit_id, entry in found.items():
        definition = configuration.benefits[benefit_id]
        left = remaining_uses(benefit_id, definition, holding, entry["remaining_uses"])
        objection = _objection(definition, ranks, member.tier, left, local)
        entry["uses_now"] = 0 if objection is not None else left
        entry["not_now"] = None if objection is None else objection.name.lower()
    return list(found.values())


def _terms(benefit_id: str, definition: BenefitDefinition, member: MemberState, language: Language) -> dict[str, Any]:
    return {
        "benefit_id": benefit_id,
        "name": definition.name.get(language) or next(iter(definition.name.values())),
        "granted_by": definition.granted_by,
        "discount": msgspec.to_builtins(definition.discount),
        "remaining_uses": 0,
        "uses_now": 0,
        "not_now": None,
        "used_today": member.used_today.get(benefit_id, 0),
        "used_this_month": member.used_month.get(benefit_id, 0),
        "per_day": definition.per_day,
        "per_month": definition.per_month,
        "businesses": definition.businesses,
        "outlets": definition.outlets,
        "categories": definition.categories,
        "weekdays": definition.weekdays,
        "hours": msgspec.to_builtins(definition.hours),
        "first_day": None if definition.first_day is None else definition.first_day.isoformat(),
        "last_day": None if definition.last_day is None else definition.last_day.isoformat(),
        "minimum_spend_minor": definition.minimum_spend_minor,
        "minimum_tier": definition.minimum_tier,
        "lots": [],
    }


def _objection(
    definition: BenefitDefinition, ranks: Mapping[str, int], tier: str, left: int, local: datetime.datetime
) -> Outcome | None:
    """The first in the order of docs/reference/errors.md."""
    if not is_open(definition, local):
        return Outcome.BENEFIT_NOT_NOW
    if left == 0:
        return Outcome.BENEFIT_EXHAUSTED
    if definition.minimum_tier is not None and ranks.get(tier, -1) < ranks[definition.minimum_tier]:
        return Outcome.TIER_TOO_LOW
    return None
