"""Places, pools, baskets and bills for the tests of the rules, given and random; and the member's side of a verdict.

The random numbers are small, so that categories, caps and shares meet often. `granted_to` is written from
docs/reference/rules.md alone: it re-checks what the hot-store function will decide (uses, level, points, stored value).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from redemption.domain.commands import BenefitLeg, Bill, BillLine, Leg, PointsLeg, StoredValueLeg
from redemption.rules.definitions import (
    AmountOff,
    BenefitDefinition,
    Discount,
    Hours,
    Item,
    NoDiscount,
    PercentOff,
    PointRules,
)
from redemption.rules.eligibility import Place
from redemption.rules.offers import Holding

IDS = ("alpha", "beta", "gamma", "delta")
CATEGORIES = ("dining", "spa")
RANKS = {"standard": 0, "gold": 1}
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Friday

PLACE = Place("restaurant", "out_restaurant_peak", "CNY", PointRules())


def with_points(**rules: Any) -> Place:
    """`PLACE` with other terms for points."""
    return Place(PLACE.business_id, PLACE.outlet_id, PLACE.currency, PointRules(**rules))


def benefit(discount: Discount | None = None, **rules: Any) -> BenefitDefinition:
    """A benefit with these rules and no others."""
    return BenefitDefinition(
        name={"en": "A benefit"}, granted_by="hotel", discount=NoDiscount() if discount is None else discount, **rules
    )


def bill(amount: int = 25_800, stay: str | None = None, **lines: int) -> Bill:
    """A bill of `amount`; `lines` are amounts by category."""
    return Bill("T-1", amount, "CNY", stay, tuple(BillLine(category, part) for category, part in lines.items()))


some_categories = st.none() | st.sampled_from([("dining",), ("spa",), ("dining", "spa")])
seldom = st.sampled_from([False] * 9 + [True])
discounts: st.SearchStrategy[Discount] = st.one_of(
    st.builds(PercentOff, st.integers(1, 100), st.none() | st.integers(1, 30)),
    st.builds(AmountOff, st.integers(1, 30)),
    st.builds(Item, st.integers(1, 30)),
    st.just(NoDiscount()),
)
benefits = st.builds(
    BenefitDefinition,
    name=st.just({"en": "A benefit"}),
    granted_by=st.just("hotel"),
    discount=discounts,
    per_day=st.none() | st.integers(1, 3),
    per_month=st.none() | st.integers(1, 3),
    per_stay=st.sampled_from([None] * 8 + [2]),
    businesses=st.sampled_from([None] * 8 + [("spa",)]),
    outlets=st.sampled_from([None] * 8 + [("out_here",), ("out_other",)]),
    categories=some_categories,
    weekdays=st.sampled_from([None] * 8 + [(5,), (6, 7)]),
    hours=st.sampled_from([None] * 8 + [(Hours("11:00", "13:00"),), (Hours("22:00", "02:00"),)]),
    minimum_spend_minor=st.sampled_from([0] * 6 + [10, 40]),
    minimum_tier=st.sampled_from([None] * 6 + ["standard", "gold"]),
    stacking_group=st.sampled_from([None] * 4 + ["group"]),
    exclusive=seldom,
    excludes=st.sampled_from([()] * 6 + [("alpha",), ("points",), ("beta", "points")]),
)
catalogues = st.dictionaries(st.sampled_from(IDS), benefits, max_size=4)
point_rules = st.builds(
    PointRules,
    accepted=st.sampled_from([True] * 9 + [False]),
    worth_minor=st.integers(1, 4),
    worth_points=st.integers(1, 4),
    minimum_points=st.sampled_from([1] * 4 + [3, 10]),
    share_percent=st.sampled_from([100] * 3 + [50, 33]),
    categories=some_categories,
)
places = st.builds(Place, st.just("hotel"), st.just("out_here"), st.just("CNY"), point_rules)
legs_of_any_kind: st.SearchStrategy[Leg] = st.one_of(
    st.builds(PointsLeg, st.integers(1, 60)),
    st.builds(BenefitLeg, st.sampled_from(IDS), st.sampled_from([1, 1, 1, 2, 3])),
    st.builds(StoredValueLeg, st.integers(1, 40)),
)
baskets = st.lists(legs_of_any_kind, max_size=5).map(tuple)


@st.composite
def bills(draw: st.DrawFn, largest: int = 120) -> Bill:
    """A bill whose lines name all of it, a part of it or nothing."""
    parts = draw(st.lists(st.integers(0, largest // 4), max_size=4))
    lines = tuple(BillLine(draw(st.sampled_from((*CATEGORIES, "other"))), part) for part in parts)
    unnamed = draw(st.sampled_from([0, 0, 1, 17]))
    return Bill("T-1", sum(parts) + unnamed, "CNY", draw(st.sampled_from([None, "STAY-7"])), lines)


@st.composite
def holdings(draw: st.DrawFn, largest: int = 30) -> Holding:
    uses = st.dictionaries(st.sampled_from(IDS), st.integers(0, 3))
    lots = {(f"benefit:{name}", "-.hotel"): left for name, left in draw(uses).items()}
    lots |= {(f"benefit:{name}", "202612.spa"): left for name, left in draw(uses).items()}
    lots |= {("points", f"20261{month}.hotel"): draw(st.integers(0, largest)) for month in (1, 2)}
    lots[("CNY", "-.hotel")] = draw(st.integers(0, largest))
    return Holding(draw(st.sampled_from(list(RANKS))), lots, draw(uses), draw(uses), draw(uses))


def granted_to(holding: Holding, catalogue: Mapping[str, BenefitDefinition], legs: tuple[Leg, ...]) -> bool:
    """Return whether the member has the balance and the level that the legs ask for."""
    wanted: dict[str, int] = {}
    for leg in legs:
        if isinstance(leg, PointsLeg):
            wanted["points"] = wanted.get("points", 0) + leg.points
        elif isinstance(leg, StoredValueLeg):
            wanted["CNY"] = wanted.get("CNY", 0) + leg.amount_minor
        else:
            asset = f"benefit:{leg.benefit_id}"
            wanted[asset] = wanted.get(asset, 0) + leg.uses
            rules = catalogue[leg.benefit_id]
            if rules.minimum_tier is not None and RANKS[holding.tier] < RANKS[rules.minimum_tier]:
                return False
            caps = (rules.per_day, rules.per_month, rules.per_stay)
            for cap, used in zip(caps, (holding.used_today, holding.used_month, holding.used_stay), strict=True):
                if cap is not None and used.get(leg.benefit_id, 0) + wanted[asset] > cap:
                    return False
    return all(
        amount <= sum(left for (held, _), left in holding.lots.items() if held == asset)
        for asset, amount in wanted.items()
    )
