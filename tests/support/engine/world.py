"""A small group in memory for the engine's state machine: three businesses, four terminals, four benefits, two levels.

Numbers are small, so that funds, caps and windows are met often. Two terminals share an outlet; the outlets lie in
different time zones, so that days end at different moments; one business bills in another currency.
"""

from typing import Final
from zoneinfo import ZoneInfo

from redemption.configuration.current import Business, Configuration, Terminal, Tier
from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.rules.definitions import (
    BenefitDefinition,
    EarnRules,
    Item,
    NoDiscount,
    PercentOff,
    PointRules,
    TierRules,
)
from redemption.rules.eligibility import Place
from redemption.rules.policy import EarnCeilings, Policy

GROUP_ZONE: Final = ZoneInfo("Asia/Shanghai")
BUCKETS: Final = 2
MEMBERS: Final = (1, 2, 3)
"""Numbers; 1 and 3 share a bucket."""

TIERS: Final = (Tier("standard", 0, TierRules()), Tier("gold", 1, TierRules(earn_percent=150)))
BUSINESSES: Final = {
    "hotel": Business("hotel", "CNY", PointRules(), EarnRules(points=1, per_minor=100, validity_months=0)),
    "mall": Business(
        "mall",
        "CNY",
        PointRules(minimum_points=2, share_percent=50),
        EarnRules(points=1, per_minor=70, validity_months=2, crossing_days=3),
    ),
    "harbour": Business(
        "harbour", "HKD", PointRules(worth_minor=3, worth_points=2), EarnRules(crossing_days=0, validity_months=0)
    ),
}


def _terminal(name: str, outlet: str, business: str, zone: str) -> Terminal:
    place = Place(business, outlet, BUSINESSES[business].currency, BUSINESSES[business].points)
    return Terminal(name, outlet, BUSINESSES[business], ZoneInfo(zone), place)


TERMINALS: Final = (
    _terminal("trm_hotel_1", "out_hotel_desk", "hotel", "Asia/Shanghai"),
    _terminal("trm_hotel_2", "out_hotel_desk", "hotel", "Asia/Shanghai"),
    _terminal("trm_mall_1", "out_mall", "mall", "Asia/Tokyo"),
    _terminal("trm_harbour_1", "out_harbour", "harbour", "UTC"),
)

NAME: Final = {"en": "A benefit"}
BENEFITS: Final = {
    "breakfast": BenefitDefinition(
        name=NAME, granted_by="hotel", discount=Item(50), per_stay=1, minimum_tier="gold", businesses=("hotel",)
    ),
    "dinner": BenefitDefinition(
        name=NAME, granted_by="mall", discount=PercentOff(20, 60), per_month=1, stacking_group="table"
    ),
    "parking": BenefitDefinition(name=NAME, granted_by="mall", discount=Item(10), per_day=3, per_month=5),
    "upgrade": BenefitDefinition(
        name=NAME, granted_by="hotel", discount=NoDiscount(), per_month=1, excludes=("points",)
    ),
}
TERMS: Final = {
    "breakfast": "0,0,1,gold",
    "dinner": "0,1,0,*",
    "parking": "3,5,0,*",
    "upgrade": "0,1,0,*",
}
POLICIES: Final = {
    "grace": Policy(hold_seconds=120, cancel_window_seconds=3_600, refund_window_seconds=86_400),
    "ceilings": Policy(
        hold_seconds=120,
        cancel_window_seconds=3_600,
        refund_window_seconds=86_400,
        earn_ceilings=EarnCeilings(bill_minor=3_332, bill_points=14, member_day_points=30, terminal_day_points=45),
    ),
    "forfeit": Policy(
        hold_seconds=900, cancel_window_seconds=600, refund_window_seconds=20 * 86_400, expired_lot="forfeit"
    ),
    "few calls": Policy(hold_seconds=60, terminal_rate=4, outlet_rate=6, member_rate=5),
}


def configuration(policy: Policy) -> Configuration:
    """The group under a policy."""
    return Configuration(1, BUCKETS, GROUP_ZONE, policy, TIERS, BENEFITS, TERMS, BUSINESSES, {})


def _benefit(name: str, uses: int = 1) -> BenefitLeg:
    return BenefitLeg(benefit_id=name, uses=uses)


BASKETS: Final[tuple[tuple[Leg, ...], ...]] = (
    (),
    *((PointsLeg(points=points),) for points in (1, 2, 5, 8, 12, 20, 33, 60)),
    *((_benefit("parking", uses),) for uses in (1, 2, 3, 4)),
    (_benefit("dinner"),),
    *[(_benefit("breakfast"),)] * 4,
    (_benefit("breakfast", 2),),
    (_benefit("upgrade"),),
    (_benefit("nothing"),),
    *((StoredValueLeg(amount_minor=amount),) for amount in (1, 10, 25, 70)),
    (PointsLeg(points=7), PointsLeg(points=9)),
    (PointsLeg(points=15), _benefit("parking", 2)),
    (_benefit("dinner"), PointsLeg(points=11), StoredValueLeg(amount_minor=10)),
    (StoredValueLeg(amount_minor=15), StoredValueLeg(amount_minor=20)),
    (_benefit("parking"), _benefit("parking")),
    (_benefit("parking"), _benefit("dinner"), _benefit("breakfast"), PointsLeg(points=3)),
    (_benefit("upgrade"), PointsLeg(points=3)),
    (_benefit("upgrade"), StoredValueLeg(amount_minor=5)),
    (PointsLeg(points=10), StoredValueLeg(amount_minor=30), PointsLeg(points=4), _benefit("parking")),
)
PARTS: Final[tuple[tuple[Leg, ...] | None, ...]] = (
    None,
    None,
    *((PointsLeg(points=points),) for points in (1, 3, 6, 10, 25)),
    (_benefit("parking"),),
    (_benefit("parking", 2),),
    (_benefit("dinner"),),
    (StoredValueLeg(amount_minor=7),),
    (StoredValueLeg(amount_minor=25),),
    (PointsLeg(points=4), PointsLeg(points=4)),
    (PointsLeg(points=2), _benefit("parking"), StoredValueLeg(amount_minor=5)),
    (_benefit("breakfast"), PointsLeg(points=1)),
)
"""What a capture or refund asks for; None is all."""

AMOUNTS: Final = (1_000, 3_333, 3_333, 250, None, 70, 0)
"""Of the bill; None is no bill."""
STAYS: Final = (None, "STAY-1", "STAY 2")


def bill(amount: int | None, stay: str | None, currency: str) -> Bill | None:
    return None if amount is None else Bill("T-1", amount, currency, stay)
