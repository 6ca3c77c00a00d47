"""Definitions of points, benefits, earning and levels, as the group file and PostgreSQL have them.

Plain immutable values with their limits; msgspec refuses what breaks one, with its place. They say nothing about a
member. They are applied by eligibility.py, pricing.py, offers.py and earning.py; docs/reference/rules.md has examples.
What must hold between them (names that exist, one currency) is checked by catalogue.py.
"""

import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from redemption.domain.commands import BenefitId, Category
from redemption.domain.limits import AMOUNT_MINOR_MAX, POINTS_MAX

BENEFITS_MAX: Final = 500
"""Benefits of one group; every worker keeps them in memory and reads them again at a change."""
NAMES_MAX: Final = 200
"""Businesses, outlets, categories or exclusions that one rule may list."""
HOURS_MAX: Final = 8

Slug = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
OutletId = Annotated[str, Meta(pattern="^out_[a-z0-9_-]{1,40}$")]
Percent = Annotated[int, Meta(ge=1, le=100)]
Multiplier = Annotated[int, Meta(ge=0, le=1_000, description="percent; 100 changes nothing")]
Money = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX, description="minor units of the business's currency")]
TimeOfDay = Annotated[str, Meta(pattern="^(?:[01][0-9]|2[0-3]):[0-5][0-9]$", description="24 hours, in quotes in YAML")]
Uses = Annotated[int, Meta(ge=1, le=1_000)]
Categories = Annotated[tuple[Category, ...], Meta(min_length=1, max_length=NAMES_MAX)]


class PointRules(Struct, frozen=True, forbid_unknown_fields=True):
    """A business's terms for points: `worth_minor` minor units for every `worth_points` points.

    `share_percent` is the largest share of the whole bill that points may cover; `categories` are what they may be
    used for (None: for all of it). Both need a bill. `preselect` is for tills: whether the basket that
    prepare proposes contains points (`best`) or leaves them to the member's choice (`none`).
    """

    accepted: bool = True
    worth_minor: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    worth_points: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    minimum_points: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    share_percent: Percent = 100
    categories: Categories | None = None
    preselect: Literal["none", "best"] = "none"


class EarnRate(Struct, frozen=True, forbid_unknown_fields=True):
    """`points` for every `per_minor` minor units. No points at all: an excluded category."""

    points: Annotated[int, Meta(ge=0, le=100)] = 1
    per_minor: Annotated[int, Meta(ge=1, le=1_000_000)] = 100


class OwnEarnCeilings(Struct, frozen=True, forbid_unknown_fields=True):
    """A business's own ceilings on earning instead of the group's (redemption/rules/policy.py). None: the group's."""

    bill_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    bill_points: Annotated[int, Meta(ge=1, le=POINTS_MAX)] | None = None
    member_day_points: Annotated[int, Meta(ge=1, le=POINTS_MAX)] | None = None
    terminal_day_points: Annotated[int, Meta(ge=1, le=POINTS_MAX)] | None = None


class EarnRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of earning at a business: `points` for every `per_minor`, other rates for some categories, months the
    points are good for, and the bonus when the previous purchase, at most `crossing_days` ago, was at another business.
    """

    points: Annotated[int, Meta(ge=0, le=100)] = 1
    per_minor: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    categories: Annotated[dict[Category, EarnRate], Meta(max_length=NAMES_MAX)] = {}
    validity_months: Annotated[int, Meta(ge=0, le=120)] = 12
    crossing_bonus_percent: Annotated[int, Meta(ge=0, le=100)] = 10
    crossing_days: Annotated[int, Meta(ge=0, le=366)] = 30
    ceilings: OwnEarnCeilings = OwnEarnCeilings()


class TierRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of a level: earned points are multiplied by `earn_percent` / 100."""

    earn_percent: Multiplier = 100


class PercentOff(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="percent_off"):
    """`percent` of what is left of the eligible amount, at most `maximum_minor`. One use per bill."""

    percent: Percent
    maximum_minor: Money | None = None


class AmountOff(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="amount_off"):
    """Up to `amount_minor` off, per use."""

    amount_minor: Money


class Item(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="item"):
    """A free item worth up to `value_minor`, per use."""

    value_minor: Money


class NoDiscount(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="none"):
    """Takes no money off: a room upgrade, a pass."""


Discount = PercentOff | AmountOff | Item | NoDiscount


class Hours(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """From `from` until before `to`, wall-clock time of the outlet. `to` before `from` is on the next day."""

    start: TimeOfDay
    end: TimeOfDay


class BenefitDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """One benefit of the pool. None: no such restriction. All restrictions must hold together.

    `granted_by` is the business that puts it up. `exclusive`: with no other benefit and no points; stored value is
    money and may stand beside it. Of one `stacking_group` at most one benefit may be in a basket. `excludes` names
    benefits and, as `points`, all points; so no benefit may have that id.
    """

    name: Annotated[dict[str, str], Meta(min_length=1, max_length=20)]
    granted_by: Slug
    discount: Discount = NoDiscount()
    per_day: Uses | None = None
    per_month: Uses | None = None
    per_stay: Uses | None = None
    businesses: Annotated[tuple[Slug, ...], Meta(min_length=1, max_length=NAMES_MAX)] | None = None
    outlets: Annotated[tuple[OutletId, ...], Meta(min_length=1, max_length=NAMES_MAX)] | None = None
    categories: Categories | None = None
    weekdays: (
        Annotated[tuple[Annotated[int, Meta(ge=1, le=7)], ...], Meta(min_length=1, max_length=7, description="ISO")]
        | None
    ) = None
    hours: Annotated[tuple[Hours, ...], Meta(min_length=1, max_length=HOURS_MAX)] | None = None
    first_day: datetime.date | None = None
    last_day: datetime.date | None = None
    minimum_spend_minor: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] = 0
    minimum_tier: Slug | None = None
    stacking_group: Slug | None = None
    exclusive: bool = False
    excludes: Annotated[tuple[BenefitId, ...], Meta(max_length=NAMES_MAX)] = ()


Catalogue = Annotated[dict[BenefitId, BenefitDefinition], Meta(max_length=BENEFITS_MAX)]
"""The pool of benefits by id, as it is decoded. The rules read it as a Mapping and never change it."""
