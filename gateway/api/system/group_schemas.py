"""What GET /v1/group answers, as types: names for tills and apps to show."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gateway.api.members.schemas import BusinessId
from gateway.api.schemas import Tier
from redemption.domain.commands import BenefitId, Category, Currency

Names = Annotated[dict[str, str], Meta(description="by language: zh-Hant, zh-Hans, en; at least one of them")]


class GroupTier(Struct):
    """A level, lowest first."""

    tier: Tier
    rank: int
    name: Names


class GroupOutlet(Struct):
    """An outlet of a business."""

    outlet_id: str
    name: Names


class GroupBusiness(Struct):
    """A business."""

    business_id: BusinessId
    currency: Currency
    name: Names
    outlets: tuple[GroupOutlet, ...]


class GroupBenefit(Struct):
    """A benefit of the pool."""

    benefit_id: BenefitId
    name: Names


class GroupAnswer(Struct):
    """What everything is called."""

    version: Annotated[int, Meta(description="of the configuration; names are the same while it is")]
    tiers: tuple[GroupTier, ...]
    businesses: tuple[GroupBusiness, ...]
    benefits: tuple[GroupBenefit, ...]


class TerminalBusiness(Struct):
    """The business a terminal belongs to."""

    business_id: BusinessId
    currency: Currency
    name: Names


class TerminalHolds(Struct):
    """How long holds may last."""

    default_seconds: Annotated[int, Meta(ge=1, description="of a hold without `hold_seconds`")]
    maximum_seconds: Annotated[int, Meta(ge=1, description="the longest `hold_seconds`")]


class TerminalAnswer(Struct):
    """Which till this key is of."""

    terminal_id: Annotated[str, Meta(examples=["trm_hotel_1"])]
    outlet: GroupOutlet
    business: TerminalBusiness
    categories: Annotated[
        tuple[Category, ...], Meta(description="that rules name here: what the lines of a bill may be told as")
    ]
    time_zone: Annotated[str, Meta(description="of the outlet, IANA", examples=["Asia/Shanghai"])]
    counts_stays: Annotated[
        bool, Meta(description="whether a benefit that may be used here is counted per stay and wants `bill.stay`")
    ]
    holds: TerminalHolds


TERMINAL_EXAMPLE: Final[dict[str, Any]] = {
    "terminal_id": "trm_hotel_1",
    "outlet": {"outlet_id": "out_hotel_lobby", "name": {"zh-Hant": "大堂前台", "en": "Front desk"}},
    "business": {
        "business_id": "hotel",
        "currency": "CNY",
        "name": {"zh-Hant": "通逸酒店", "zh-Hans": "通逸酒店", "en": "Tong Hotel"},
    },
    "categories": ["dining"],
    "time_zone": "Asia/Shanghai",
    "counts_stays": True,
    "holds": {"default_seconds": 900, "maximum_seconds": 1209600},
}

EXAMPLE: Final[dict[str, Any]] = {
    "version": 66,
    "tiers": [{"tier": "gold", "rank": 2, "name": {"zh-Hant": "金卡", "zh-Hans": "金卡", "en": "Gold"}}],
    "businesses": [
        {
            "business_id": "hotel",
            "currency": "CNY",
            "name": {"zh-Hant": "通逸酒店", "zh-Hans": "通逸酒店", "en": "Tong Hotel"},
            "outlets": [{"outlet_id": "out_hotel_lobby", "name": {"zh-Hant": "大堂前台", "en": "Front desk"}}],
        }
    ],
    "benefits": [{"benefit_id": "dining-80", "name": {"zh-Hant": "餐飲八折", "en": "20 % off dinner"}}],
}
