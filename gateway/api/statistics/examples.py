"""Examples of live statistics."""

from typing import Any, Final

from gateway.api.members.examples import _AT, _HOTEL, _LOBBY
from gateway.api.statistics.history_schemas import SERIES_COLUMNS

SNAPSHOT: Final[dict[str, Any]] = {
    "at": "2026-11-22T03:04:05.000Z",
    "scope": None,
    "workers": {
        "alive": 1,
        "list": [{"worker": "w-1f2e3d4c", "pid": 4711, "host": "tong-1", "since": _AT, "in_flight": 3, "streams": 12}],
    },
    "redemptions": {
        "per_second": 41.0,
        "per_second_minute": 38.2,
        "accepted": 120345,
        "replayed": 12,
        "refused": 123,
        "unknown": 0,
    },
    "latency": {"p50_ms": 1.4, "p95_ms": 3.1, "p99_ms": 6.0, "window_seconds": 60},
    "refused_by_reason": [{"code": "points_insufficient", "title": "積分不足，請減少", "total": 123, "last_minute": 4}],
    "by_business": [
        {
            "business_id": "hotel",
            "name": "通逸酒店",
            "accepted": 120345,
            "refused": 123,
            "per_second": 38.2,
            "last_minute": {"accepted": 2292, "refused": 4},
            "outlets": [
                {
                    "outlet_id": "out_hotel_lobby",
                    "name": "大堂前台",
                    "accepted": 120345,
                    "refused": 123,
                    "last_minute": {"accepted": 2292, "refused": 4},
                }
            ],
        }
    ],
    "ledger": {"lag_seconds": 14.2, "backlog_entries": 580, "stopped_buckets": 0, "dead_letters": 0},
    "holds": {"open": 17},
    "hot_store": {
        "connected": True,
        "in_flight": 3,
        "memory_bytes": 12345678,
        "memory_limit_bytes": None,
        "frozen_buckets": [],
    },
    "streams": {"members": 10, "operations": 2},
    "alarms": [
        {
            "code": "ledger_lag",
            "severity": "warning",
            "title": "入帳延遲",
            "text": "最舊的未入帳紀錄已等待 14.2 秒（上限 10）。檢查 PostgreSQL 是否繁忙或中斷",
            "value": 14.2,
            "threshold": 10,
            "unit": "seconds",
            "since": _AT,
        }
    ],
}

SERIES: Final[dict[str, Any]] = {
    "from": "2026-11-22T02:04:05.000Z",
    "to": "2026-11-22T03:04:05.000Z",
    "step_seconds": 1,
    "columns": list(SERIES_COLUMNS),
    "rows": [[1795316645, 41, 2, 1.4, 3.1, 6.0, 0.2, 12, 17, 12345678, 2]],
}

REFUSALS: Final[dict[str, Any]] = {
    "refusals": [
        {
            "at": _AT,
            "business": _HOTEL,
            "outlet": _LOBBY,
            "terminal_id": "trm_hotel_lobby_1",
            "code": "code_expired",
            "title": "此碼已失效，請掃 App 上的新碼",
            "path": "/v1/verify",
        }
    ]
}

FIGURES: Final = """\
id: 1795316645300
event: snapshot
data: {"at": "2026-11-22T03:04:05.000Z", "…": "…"}

event: refusals
data: {"refusals": [{"code": "code_expired", "…": "…"}]}
"""
