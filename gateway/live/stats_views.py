"""The figures as pages of operations are shown them: of the whole group, or of the one business that a key is for.

Guarantees: a view of one business holds scans of that business only; how workers, ledger and hot store stand is the
same for all. Pure functions over the keeper's values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from gateway.live.notices import LocalizedNames
from gateway.observability.alarms import FIGURES_STALE_SECONDS, MINUTE_SAMPLES, alarm_document
from gateway.observability.metrics import APPLIED, REPLAYED
from gateway.observability.scan_counters import NOBODY
from gateway.observability.stats_format import (
    Alarmed,
    Outlet,
    Sample,
    Totals,
    accepted,
    add_outlets,
    latencies_of,
    of_business,
    outcomes_of,
    quantiles_ms,
    refused,
)
from gateway.problems.documents import KINDS
from redemption.domain.clock import instant

SERIES_COLUMNS: Final = (
    "at", "accepted", "refused", "p50_ms", "p95_ms", "p99_ms", "lag_seconds", "backlog_entries", "open_holds",
    "memory_bytes", "workers",
)  # fmt: skip


def snapshot(
    totals: Totals, recent: Sequence[Sample], scope: str | None, names: LocalizedNames, now: float, *, connected: bool
) -> dict[str, Any]:
    """How things stand. `recent` are the last samples, the newest last; `connected`: this worker has the hot store."""
    minute = list(recent)[-MINUTE_SAMPLES:]
    newest = minute[-1] if minute else Sample(int(now), "0-0")
    in_minute: dict[str, Outlet] = {}
    for sample in minute:
        add_outlets(in_minute, of_business(sample.outlets, scope), latencies=True)
    all_outlets = of_business(totals.outlets, scope)
    outcomes, minute_outcomes = outcomes_of(all_outlets.values()), outcomes_of(in_minute.values())
    last_second = outcomes_of(of_business(newest.outlets, scope).values()) if minute else {}
    p50, p95, p99 = quantiles_ms(latencies_of(in_minute.values()))
    writer = newest.writer
    frozen = sorted({bucket for worker in newest.workers for bucket in worker.frozen})
    return {
        "at": instant(newest.at * 1000),
        "scope": scope,
        "workers": {
            "alive": len(newest.workers),
            "list": [
                {
                    "worker": each.worker,
                    "pid": each.pid,
                    "host": each.host,
                    "since": instant(each.since_ms),
                    "in_flight": each.in_flight,
                    "streams": each.member_streams + each.operations_streams,
                }
                for each in newest.workers
            ],
        },
        "redemptions": {
            "per_second": float(accepted(last_second)),
            "per_second_minute": round(accepted(minute_outcomes) / max(1, _seconds(minute)), 2),
            "accepted": accepted(outcomes),
            "replayed": outcomes.get(REPLAYED, 0),
            "refused": refused(outcomes),
            "unknown": totals.unknown if scope is None else None,
        },
        "latency": {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "window_seconds": MINUTE_SAMPLES},
        "refused_by_reason": _reasons(outcomes, minute_outcomes, names),
        "by_business": _businesses(all_outlets, in_minute, minute, names),
        "ledger": {
            "lag_seconds": None if writer is None else round(writer.lag_seconds, 3),
            "backlog_entries": None if writer is None else writer.backlog_entries,
            "stopped_buckets": None if writer is None else writer.stopped_buckets,
            "dead_letters": None if writer is None else writer.dead_letters,
        },
        "holds": {"open": None if writer is None else writer.open_holds},
        "hot_store": {
            "connected": connected and all(each.connected for each in newest.workers),
            "in_flight": sum(each.in_flight for each in newest.workers),
            "memory_bytes": newest.memory_bytes,
            "memory_limit_bytes": newest.memory_limit_bytes,
            "frozen_buckets": frozen,
        },
        "streams": {
            "members": sum(each.member_streams for each in newest.workers),
            "operations": sum(each.operations_streams for each in newest.workers),
        },
        "alarms": _alarms(newest, names, now, connected=connected, seen=bool(minute)),
    }


def _seconds(minute: Sequence[Sample]) -> int:
    return minute[-1].at - minute[0].at + 1 if minute else 0


def _reasons(outcomes: Mapping[str, int], minute: Mapping[str, int], names: LocalizedNames) -> list[dict[str, Any]]:
    """The most frequent first."""
    found = [(count, code) for code, count in outcomes.items() if code not in (APPLIED, REPLAYED)]
    return [
        {
            "code": code,
            "title": KINDS[code].hints[names.language] if code in KINDS else code,
            "total": count,
            "last_minute": minute.get(code, 0),
        }
        for count, code in sorted(found, key=lambda each: (-each[0], each[1]))
    ]


def _businesses(
    outlets: Mapping[str, Outlet], in_minute: Mapping[str, Outlet], minute: Sequence[Sample], names: LocalizedNames
) -> list[dict[str, Any]]:
    by_business: dict[str, dict[str, Outlet]] = {}
    for outlet_id, outlet in outlets.items():
        if outlet.business != NOBODY:
            by_business.setdefault(outlet.business, {})[outlet_id] = outlet
    found = []
    for business_id, theirs in sorted(by_business.items()):
        sums = outcomes_of(theirs.values())
        last = outcomes_of(each for each in in_minute.values() if each.business == business_id)
        found.append(
            {
                "business_id": business_id,
                "name": names.businesses.get(business_id, business_id),
                "accepted": accepted(sums),
                "refused": refused(sums),
                "per_second": round(accepted(last) / max(1, _seconds(minute)), 2),
                "last_minute": {"accepted": accepted(last), "refused": refused(last)},
                "outlets": [
                    {
                        "outlet_id": outlet_id,
                        "name": names.outlets.get(outlet_id, outlet_id),
                        "accepted": accepted(outlet.outcomes),
                        "refused": refused(outlet.outcomes),
                        "last_minute": _last_of(in_minute.get(outlet_id)),
                    }
                    for outlet_id, outlet in sorted(theirs.items())
                ],
            }
        )
    return found


def _last_of(outlet: Outlet | None) -> dict[str, int]:
    outcomes = outlet.outcomes if outlet is not None else {}
    return {"accepted": accepted(outcomes), "refused": refused(outcomes)}


def _alarms(newest: Sample, names: LocalizedNames, now: float, *, connected: bool, seen: bool) -> list[dict[str, Any]]:
    """The sample's, and what only this worker can see when no sample comes any more."""
    alarms = dict(newest.alarms)
    age = now - newest.at
    if not connected and "hot_store_disconnected" not in alarms:
        alarms["hot_store_disconnected"] = Alarmed(round(now * 1000), 1, 0, True)
    if seen and age > FIGURES_STALE_SECONDS:
        alarms["figures_stale"] = Alarmed(newest.at * 1000, round(age), FIGURES_STALE_SECONDS, True)
    documents = [alarm_document(code, alarmed, names.language) for code, alarmed in alarms.items()]
    return sorted(documents, key=lambda each: (each["severity"] != "critical", each["since"], each["code"]))


def series_row(sample: Sample, scope: str | None) -> list[float | int | None]:
    """A second, in the order of SERIES_COLUMNS."""
    outlets = of_business(sample.outlets, scope).values()
    outcomes = outcomes_of(outlets)
    writer = sample.writer
    return [
        sample.at,
        accepted(outcomes),
        refused(outcomes),
        *quantiles_ms(latencies_of(outlets)),
        None if writer is None else round(writer.lag_seconds, 3),
        None if writer is None else writer.backlog_entries,
        None if writer is None else writer.open_holds,
        sample.memory_bytes,
        len(sample.workers),
    ]


def refusal_document(text: bytes, names: LocalizedNames, scope: str | None) -> dict[str, Any] | None:
    """A refusal as gateway/observability/scan_counters.py kept it; None where it is not in the scope."""
    at_ms, business, outlet, terminal, code, path = orjson.loads(text)
    if scope is not None and business != scope:
        return None
    return {
        "at": instant(at_ms),
        "business": names.business(business),
        "outlet": names.outlet(outlet),
        "terminal_id": terminal,
        "code": code,
        "title": KINDS[code].hints[names.language] if code in KINDS else code,
        "path": path,
    }
