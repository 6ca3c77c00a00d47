"""Examples of readiness, the group and the terminal."""

from typing import Any, Final

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

READY: Final[dict[str, Any]] = {
    "status": "ready",
    "configuration_version": 66,
    "configuration_stale": False,
    "frozen_buckets": [],
    "weaknesses": [],
}
