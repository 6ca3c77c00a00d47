"""What GET /v1/me/benefits says of each benefit at a moment: how many uses there are now, and why none."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.api.members.benefits import member_benefits
from gateway.api.members.schemas import BenefitLot, MemberBenefit
from redemption.configuration.current import Configuration, Tier
from redemption.memberships import Lot, MemberState
from redemption.rules.definitions import BenefitDefinition, Hours, Item, TierRules
from redemption.rules.policy import Policy

ZONE = ZoneInfo("Asia/Shanghai")


def shown(at: str, *, tier: str = "gold", today: int = 0, **terms: Any) -> MemberBenefit:
    """The one benefit of a member at a wall-clock time of the group."""
    definition = msgspec.convert(
        {"name": {"en": "Tea", "zh-Hant": "茶"}, "granted_by": "hotel", **terms}, BenefitDefinition
    )
    configuration = Configuration(
        version=1,
        buckets=64,
        time_zone=ZONE,
        policy=Policy(),
        tiers=(Tier("standard", 0, TierRules()), Tier("gold", 2, TierRules())),
        benefits={"tea": definition},
        terms={},
        businesses={},
        keys={},
    )
    member = MemberState(
        member_id="mem_0000001",
        tier=tier,
        display_name="陳**",
        status="active",
        codes_valid_from=0,
        points_held=0,
        growth=0,
        owed=0,
        lots=(Lot("benefit:tea", "hotel", 202703, 5), Lot("benefit:gone", "hotel", 202703, 1)),
        code_used=False,
        used_today={"tea": today},
        used_month={},
        used_stay={},
    )
    now = datetime.fromisoformat(f"2026-11-{at}").replace(tzinfo=ZONE).timestamp()
    (found,) = member_benefits(member, configuration, "en", now)
    return found


BREAKFAST: dict[str, Any] = {"hours": [{"from": "06:00", "to": "10:30"}], "weekdays": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("at", "given", "uses_now", "not_now"),
    [
        ("23T09:00", {}, 5, None),
        ("23T09:00", {"per_day": 2}, 2, None),
        ("23T09:00", {"per_day": 2, "today": 2}, 0, "benefit_exhausted"),
        ("23T10:29", BREAKFAST, 5, None),
        ("23T10:30", BREAKFAST, 0, "benefit_not_now"),
        ("22T09:00", BREAKFAST, 0, "benefit_not_now"),  # a Sunday
        ("23T09:00", {"last_day": "2026-11-22"}, 0, "benefit_not_now"),
        ("23T09:00", {"minimum_tier": "gold"}, 5, None),
        ("23T09:00", {"minimum_tier": "gold", "tier": "standard"}, 0, "tier_too_low"),
        # Several hold: the first of the contract's order.
        ("23T11:00", {**BREAKFAST, "minimum_tier": "gold", "tier": "standard"}, 0, "benefit_not_now"),
        ("23T09:00", {"per_day": 1, "today": 1, "minimum_tier": "gold", "tier": "standard"}, 0, "benefit_exhausted"),
    ],
)
def test_a_benefit_says_what_is_left_of_it_now_or_why_nothing_is(
    at: str, given: dict[str, Any], uses_now: int, not_now: str | None
) -> None:
    found = shown(at, **given)
    assert (found.uses_now, found.not_now) == (uses_now, not_now)
    assert found.remaining_uses == 5


def test_a_benefit_is_shown_with_its_terms() -> None:
    found = shown("23T09:00", **BREAKFAST, discount={"kind": "item", "value_minor": 8_800}, businesses=["hotel"])
    assert found.name == "Tea"
    assert found.discount == Item(value_minor=8_800)
    assert found.hours == (Hours(start="06:00", end="10:30"),)
    assert found.weekdays == (1, 2, 3, 4, 5)
    assert found.businesses == ("hotel",)
    assert found.lots == (BenefitLot(uses=5, expires_month="2027-03"),)
