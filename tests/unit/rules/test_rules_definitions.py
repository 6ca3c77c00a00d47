"""Definitions as they stand in the group file and in jsonb, and what check_catalogue finds wrong in a pool."""

from datetime import date
from typing import Any

import msgspec
import orjson
import pytest
import yaml

from redemption.domain.limits import BILL_LINES_MAX
from redemption.rules.catalogue import categories_at, check_catalogue
from redemption.rules.definitions import (
    AmountOff,
    BenefitDefinition,
    Catalogue,
    EarnRate,
    EarnRules,
    Hours,
    NoDiscount,
    PercentOff,
    PointRules,
    TierRules,
)
from redemption.rules.eligibility import Place

CURRENCIES = {"hotel": "CNY", "spa": "CNY", "casino": "HKD"}
OUTLETS = {"out_hotel": "hotel", "out_spa": "spa"}
TIERS = ("standard", "gold")


def read(text: str) -> dict[str, BenefitDefinition]:
    return msgspec.convert(yaml.safe_load(text), Catalogue)


def wrong(benefit_id: str = "one", **rules: Any) -> list[str]:
    definition = BenefitDefinition(name={"en": "One"}, **({"granted_by": "hotel"} | rules))
    catalogue = {benefit_id: definition, "other": BenefitDefinition(name={"en": "Other"}, granted_by="spa")}
    return check_catalogue(catalogue, currencies=CURRENCIES, outlets=OUTLETS, tiers=TIERS)


def test_definition_is_read_from_yaml_and_survives_jsonb() -> None:
    catalogue = read(
        """
        dining-80:
          name: {zh-Hant: 晚餐八折, en: 20 % off dinner}
          granted_by: hotel
          discount: {kind: percent_off, percent: 20, maximum_minor: 5000}
          per_day: 1
          businesses: [hotel]
          categories: [dining]
          weekdays: [1, 2, 3, 4, 5]
          hours: [{from: "17:30", to: "22:00"}]
          first_day: 2026-11-01
          last_day: 2026-12-31
          minimum_spend_minor: 10000
          minimum_tier: gold
          stacking_group: dinner
          excludes: [points]
        """
    )
    definition = catalogue["dining-80"]
    assert definition.discount == PercentOff(20, 5_000)
    assert definition.hours == (Hours("17:30", "22:00"),)
    assert definition.first_day == date(2026, 11, 1)
    stored = orjson.loads(orjson.dumps(msgspec.to_builtins(catalogue)))
    assert stored["dining-80"]["hours"] == [{"from": "17:30", "to": "22:00"}]
    assert msgspec.convert(stored, Catalogue) == catalogue


def test_least_definition_is_a_benefit_without_money() -> None:
    definition = read("upgrade: {name: {en: Upgrade}, granted_by: hotel}")["upgrade"]
    assert definition.discount == NoDiscount()
    assert not definition.exclusive


@pytest.mark.parametrize(
    "rules",
    [
        "discount: {kind: percent_off, percent: 0}",
        "discount: {kind: percent_off, percent: 101}",
        "discount: {kind: amount_off}",
        "discount: {kind: amount_off, amount_minor: 1.5}",
        "discount: {kind: gift}",
        "hours: [{from: 17:30, to: 22:00}]",  # YAML reads 17:30 without quotes as a number of base 60
        'hours: [{from: "24:00", to: "25:00"}]',
        "hours: []",
        "weekdays: [0]",
        "weekdays: [8]",
        "businesses: []",
        "per_day: 0",
        "minimum_spend: 100",
        "excludes: [Points]",
    ],
)
def test_definition_that_breaks_a_limit_is_refused(rules: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(f"one:\n  name: {{en: One}}\n  granted_by: hotel\n  {rules}")


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (PointRules, {"share_percent": 0}),
        (PointRules, {"share_percent": 101}),
        (PointRules, {"worth_points": 0}),
        (EarnRules, {"per_minor": 0}),
        (EarnRules, {"categories": {"Dining": {}}}),
        (EarnRules, {"bonus": 10}),
        (TierRules, {"earn_percent": -1}),
    ],
)
def test_terms_that_break_a_limit_are_refused(kind: type[Any], rules: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(rules, kind)


def test_thin_margin_retail_and_an_excluded_category_can_be_written() -> None:
    rules = msgspec.convert({"per_minor": 200, "categories": {"tobacco": {"points": 0}}}, EarnRules)
    assert rules == EarnRules(points=1, per_minor=200, categories={"tobacco": EarnRate(0)})


def test_sound_benefit_has_no_findings() -> None:
    assert (
        wrong(
            discount=AmountOff(100),
            businesses=("hotel", "spa"),
            outlets=("out_hotel",),
            minimum_tier="gold",
            excludes=("other", "points"),
            first_day=date(2026, 1, 1),
            last_day=date(2026, 1, 1),
        )
        == []
    )


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"granted_by": "zoo"}, "there is no business zoo"),
        ({"businesses": ("zoo",)}, "there is no business zoo"),
        ({"outlets": ("out_zoo",)}, "there is no outlet out_zoo"),
        ({"minimum_tier": "diamond"}, "there is no tier diamond"),
        ({"excludes": ("gone",)}, "there is no benefit gone"),
        ({"excludes": ("one",)}, "excludes itself"),
        ({"first_day": date(2026, 2, 1), "last_day": date(2026, 1, 31)}, "is before first_day"),
        ({"hours": (Hours("12:00", "12:00"),)}, "is no time"),
        ({"businesses": ("hotel",), "outlets": ("out_spa",)}, "not among businesses"),
        ({"categories": ("a", "a")}, "a is a duplicate"),
        ({"discount": AmountOff(5)}, "CNY and as HKD"),
        ({"minimum_spend_minor": 5, "businesses": ("spa", "casino")}, "CNY and as HKD"),
    ],
)
def test_each_fault_of_a_pool_is_told(rules: dict[str, Any], sentence: str) -> None:
    (found,) = wrong(**rules)
    assert found.startswith("benefit one: ")
    assert sentence in found


def test_no_benefit_may_be_called_points() -> None:
    assert wrong("points") == ["benefit points: the id stands for points themselves; take another"]


def test_the_categories_of_a_place_are_those_that_its_rules_name_in_order() -> None:
    def of(*categories: str, **rules: Any) -> BenefitDefinition:
        return BenefitDefinition(name={"en": "One"}, granted_by="spa", categories=categories or None, **rules)

    place = Place("hotel", "out_hotel", "CNY", PointRules(categories=("room",)))
    pool = {
        "everywhere": of("dining", "drinks"),
        "here": of("spa", businesses=("hotel",), outlets=("out_hotel",)),
        "elsewhere": of("golf", businesses=("spa",)),
        "other-outlet": of("gym", outlets=("out_spa",)),
        "anything": of(),
    }
    assert categories_at(place, EarnRules(categories={"gift": EarnRate()}), pool) == (
        *("dining", "drinks", "gift", "room", "spa"),
    )
    assert categories_at(Place("hotel", "out_hotel", "CNY", PointRules()), EarnRules(), {}) == ()
    many = {"many": of(*(f"c{number:03}" for number in range(BILL_LINES_MAX + 1)))}
    assert len(categories_at(place, EarnRules(), many)) == BILL_LINES_MAX
