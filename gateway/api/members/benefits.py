"""A member's benefits as GET /v1/me/benefits shows them: where, when, how often still, and why not now.

Guarantees: `not_now` is the first refusal that a till would get if the benefit alone were used at this moment at a
place where it may be used. Terms that depend on a bill (categories, minimum spend) are named beside it and not judged.
Moments are wall-clock time of the group's zone; an outlet in another zone goes by its own.
"""

import datetime
from collections.abc import Mapping

from gateway.api.members.schemas import MemberBenefit, NotNow
from gateway.problems.kinds import Language
from redemption.configuration.current import Configuration
from redemption.domain.redemptions import BENEFIT_PREFIX
from redemption.memberships import Lot, MemberState
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.offers import Holding, remaining_uses
from redemption.rules.schedule import is_open


def member_benefits(
    member: MemberState, configuration: Configuration, language: Language, now: float
) -> tuple[MemberBenefit, ...]:
    """Return one entry for each benefit that the member has and the catalogue still holds, in the order of the lots."""
    local = datetime.datetime.fromtimestamp(now, configuration.time_zone)
    ranks = {tier.tier_id: tier.rank for tier in configuration.tiers}
    holding = Holding(member.tier, {}, member.used_today, member.used_month, member.used_stay)
    lots_of: dict[str, list[Lot]] = {}
    for lot in member.lots:
        benefit_id = lot.asset.removeprefix(BENEFIT_PREFIX)
        if lot.asset.startswith(BENEFIT_PREFIX) and benefit_id in configuration.benefits:
            lots_of.setdefault(benefit_id, []).append(lot)
    found = []
    for benefit_id, lots in lots_of.items():
        definition = configuration.benefits[benefit_id]
        left = remaining_uses(benefit_id, definition, holding, sum(lot.amount for lot in lots))
        not_now = _objection(definition, ranks, member.tier, left, local)
        uses_now = 0 if not_now is not None else left
        found.append(
            MemberBenefit.of(benefit_id, definition, member, lots, language, uses_now=uses_now, not_now=not_now)
        )
    return tuple(found)


def _objection(
    definition: BenefitDefinition, ranks: Mapping[str, int], tier: str, left: int, local: datetime.datetime
) -> NotNow | None:
    """Return the first objection in the order of the contract's refusals; None where there is none."""
    if not is_open(definition, local):
        return "benefit_not_now"
    if left == 0:
        return "benefit_exhausted"
    if definition.minimum_tier is not None and ranks.get(tier, -1) < ranks[definition.minimum_tier]:
        return "tier_too_low"
    return None
