"""Schemas of the operations page's snapshot, each with what builds it of the samples of gateway/observability/.

Guarantees: a view of one business holds scans of that business only; workers, ledger and hot store are the same for
all. Everything here is a pure function of its arguments.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct

from gateway.api.names import LocalizedNames, Name
from gateway.observability.alarms import FIGURES_STALE_SECONDS, MINUTE_SAMPLES, alarm_texts
from gateway.observability.metrics import APPLIED, REPLAYED
from gateway.observability.scan_counters import NOBODY
from gateway.observability.stats_format import (
    Alarmed,
    Outlet,
    Sample,
    Totals,
    Worker,
    accepted,
    add_outlets,
    latencies_of,
    of_business,
    outcomes_of,
    quantiles_ms,
    refused,
)
from gateway.problems.documents import KINDS
from gateway.problems.kinds import Language
from gateway.scans.schemas import Instant
from redemption.domain.clock import instant

Count = Annotated[int, Meta(ge=0)]
Figure = Annotated[float | None, Meta(description="null: not known")]


class WorkerFigures(Struct):
    """A worker that reported in the last seconds."""

    worker: str
    pid: Count
    host: str
    since: Instant
    in_flight: Annotated[Count, Meta(description="calls that wait for the hot store")]
    streams: Count

    @classmethod
    def of(cls, worker: Worker) -> Self:
        """Build it of a worker's report."""
        return cls(
            worker=worker.worker,
            pid=worker.pid,
            host=worker.host,
            since=instant(worker.since_ms),
            in_flight=worker.in_flight,
            streams=worker.member_streams + worker.operations_streams,
        )


class Workers(Struct):
    """The workers."""

    alive: Count
    list: tuple[WorkerFigures, ...]


class Redemptions(Struct):
    """Scans: now, and since the counters began. As tong_verify_total."""

    per_second: Annotated[float, Meta(description="accepted in the last second")]
    per_second_minute: Annotated[float, Meta(description="accepted a second, over the last minute")]
    accepted: Count
    replayed: Annotated[Count, Meta(description="answers given again under their key")]
    refused: Count
    unknown: Annotated[int | None, Meta(description="answers that could not say what happened; of the group only")]


class Latency(Struct):
    """Time from request to answer, over the last minute."""

    p50_ms: Figure
    p95_ms: Figure
    p99_ms: Figure
    window_seconds: Count


class RefusedByReason(Struct):
    """Scans refused for one reason."""

    code: str
    title: Name
    total: Count
    last_minute: Count

    @classmethod
    def all_of(cls, outcomes: Mapping[str, int], minute: Mapping[str, int], language: Language) -> tuple[Self, ...]:
        """Build one for each reason, the most frequent first."""
        found = [(count, code) for code, count in outcomes.items() if code not in (APPLIED, REPLAYED)]
        return tuple(
            cls(code=code, title=refusal_title(code, language), total=count, last_minute=minute.get(code, 0))
            for count, code in sorted(found, key=lambda each: (-each[0], each[1]))
        )


class AcceptedRefused(Struct):
    """Two counts."""

    accepted: Count
    refused: Count

    @classmethod
    def of(cls, outcomes: Mapping[str, int]) -> Self:
        """Build it of counts by outcome."""
        return cls(accepted=accepted(outcomes), refused=refused(outcomes))


class OutletFigures(Struct):
    """Of one outlet."""

    outlet_id: str
    name: Name
    accepted: Count
    refused: Count
    last_minute: AcceptedRefused

    @classmethod
    def of(cls, outlet_id: str, outlet: Outlet, in_minute: Outlet | None, names: LocalizedNames) -> Self:
        """Build it of an outlet's counts since the counters began and in the last minute."""
        return cls(
            outlet_id=outlet_id,
            name=names.outlets.get(outlet_id, outlet_id),
            accepted=accepted(outlet.outcomes),
            refused=refused(outlet.outcomes),
            last_minute=AcceptedRefused.of({} if in_minute is None else in_minute.outcomes),
        )


class BusinessFigures(Struct):
    """Of one business."""

    business_id: str
    name: Name
    accepted: Count
    refused: Count
    per_second: float
    last_minute: AcceptedRefused
    outlets: tuple[OutletFigures, ...]

    @classmethod
    def all_of(
        cls,
        outlets: Mapping[str, Outlet],
        in_minute: Mapping[str, Outlet],
        minute: Sequence[Sample],
        names: LocalizedNames,
    ) -> tuple[Self, ...]:
        """Build one for each business of these outlets, in the order of their ids."""
        by_business: dict[str, dict[str, Outlet]] = {}
        for outlet_id, outlet in outlets.items():
            if outlet.business != NOBODY:
                by_business.setdefault(outlet.business, {})[outlet_id] = outlet
        found = []
        for business_id, theirs in sorted(by_business.items()):
            sums = outcomes_of(theirs.values())
            last = outcomes_of(each for each in in_minute.values() if each.business == business_id)
            found.append(
                cls(
                    business_id=business_id,
                    name=names.businesses.get(business_id, business_id),
                    accepted=accepted(sums),
                    refused=refused(sums),
                    per_second=_per_second(last, minute),
                    last_minute=AcceptedRefused.of(last),
                    outlets=tuple(
                        OutletFigures.of(outlet_id, outlet, in_minute.get(outlet_id), names)
                        for outlet_id, outlet in sorted(theirs.items())
                    ),
                )
            )
        return tuple(found)


class LedgerFigures(Struct):
    """The ledger's distance behind the hot store. As tong_ledger_…"""

    lag_seconds: Figure
    backlog_entries: int | None
    stopped_buckets: int | None
    dead_letters: int | None

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """Build it of what the ledger writer reported in a second; all null where it did not."""
        writer = sample.writer
        if writer is None:
            return cls(lag_seconds=None, backlog_entries=None, stopped_buckets=None, dead_letters=None)
        return cls(
            lag_seconds=round(writer.lag_seconds, 3),
            backlog_entries=writer.backlog_entries,
            stopped_buckets=writer.stopped_buckets,
            dead_letters=writer.dead_letters,
        )


class HoldFigures(Struct):
    """Holds."""

    open: int | None


class HotStoreFigures(Struct):
    """The hot store."""

    connected: bool
    in_flight: Count
    memory_bytes: int | None
    memory_limit_bytes: int | None
    frozen_buckets: tuple[int, ...]


class StreamFigures(Struct):
    """Streams of server-sent events that are open."""

    members: Count
    operations: Count


class Alarm(Struct):
    """An alarm: something to look at now."""

    code: str
    severity: Literal["warning", "critical"]
    title: Name
    text: Annotated[str, Meta(description="what it means and what to do")]
    value: float
    threshold: float
    unit: str
    since: Instant

    @classmethod
    def of(cls, code: str, alarmed: Alarmed, language: Language) -> Self:
        """Build it of the figure that set it on, in words."""
        texts = alarm_texts(code, alarmed, language)
        return cls(
            code=code,
            severity="critical" if alarmed.critical else "warning",
            title=texts.title,
            text=texts.text,
            value=alarmed.value,
            threshold=alarmed.threshold,
            unit=texts.unit,
            since=instant(alarmed.since_ms),
        )

    @classmethod
    def all_of(cls, newest: Sample, language: Language, now: float, *, connected: bool, seen: bool) -> tuple[Self, ...]:
        """Build those of the newest sample and those that only this worker can see once no sample comes any more.

        Critical ones come first, then the oldest. `seen`: there was a sample in the last minute.
        """
        alarms = dict(newest.alarms)
        age = now - newest.at
        if not connected and "hot_store_disconnected" not in alarms:
            alarms["hot_store_disconnected"] = Alarmed(round(now * 1000), 1, 0, True)
        if seen and age > FIGURES_STALE_SECONDS:
            alarms["figures_stale"] = Alarmed(newest.at * 1000, round(age), FIGURES_STALE_SECONDS, True)
        found = [cls.of(code, alarmed, language) for code, alarmed in alarms.items()]
        return tuple(sorted(found, key=lambda each: (each.severity != "critical", each.since, each.code)))


class SnapshotAnswer(Struct):
    """The state of the installation, over all workers."""

    at: Instant
    scope: Annotated[str | None, Meta(description="the one business that the key is for")]
    workers: Workers
    redemptions: Redemptions
    latency: Latency
    refused_by_reason: tuple[RefusedByReason, ...]
    by_business: tuple[BusinessFigures, ...]
    ledger: LedgerFigures
    holds: HoldFigures
    hot_store: HotStoreFigures
    streams: StreamFigures
    alarms: tuple[Alarm, ...]

    @classmethod
    def of(
        cls,
        totals: Totals,
        recent: Sequence[Sample],
        scope: str | None,
        names: LocalizedNames,
        now: float,
        *,
        connected: bool,
    ) -> Self:
        """Build it of all counts and the last samples, the newest last. `connected`: this worker has the hot store."""
        minute = list(recent)[-MINUTE_SAMPLES:]
        newest = minute[-1] if minute else Sample(int(now), "0-0")
        in_minute: dict[str, Outlet] = {}
        for sample in minute:
            add_outlets(in_minute, of_business(sample.outlets, scope), latencies=True)
        all_outlets = of_business(totals.outlets, scope)
        outcomes, minute_outcomes = outcomes_of(all_outlets.values()), outcomes_of(in_minute.values())
        last_second = outcomes_of(of_business(newest.outlets, scope).values()) if minute else {}
        p50, p95, p99 = quantiles_ms(latencies_of(in_minute.values()))
        return cls(
            at=instant(newest.at * 1000),
            scope=scope,
            workers=Workers(alive=len(newest.workers), list=tuple(WorkerFigures.of(each) for each in newest.workers)),
            redemptions=Redemptions(
                per_second=float(accepted(last_second)),
                per_second_minute=_per_second(minute_outcomes, minute),
                accepted=accepted(outcomes),
                replayed=outcomes.get(REPLAYED, 0),
                refused=refused(outcomes),
                unknown=totals.unknown if scope is None else None,
            ),
            latency=Latency(p50_ms=p50, p95_ms=p95, p99_ms=p99, window_seconds=MINUTE_SAMPLES),
            refused_by_reason=RefusedByReason.all_of(outcomes, minute_outcomes, names.language),
            by_business=BusinessFigures.all_of(all_outlets, in_minute, minute, names),
            ledger=LedgerFigures.of(newest),
            holds=HoldFigures(open=None if newest.writer is None else newest.writer.open_holds),
            hot_store=HotStoreFigures(
                connected=connected and all(each.connected for each in newest.workers),
                in_flight=sum(each.in_flight for each in newest.workers),
                memory_bytes=newest.memory_bytes,
                memory_limit_bytes=newest.memory_limit_bytes,
                frozen_buckets=tuple(sorted({bucket for worker in newest.workers for bucket in worker.frozen})),
            ),
            streams=StreamFigures(
                members=sum(each.member_streams for each in newest.workers),
                operations=sum(each.operations_streams for each in newest.workers),
            ),
            alarms=Alarm.all_of(newest, names.language, now, connected=connected, seen=bool(minute)),
        )


def _per_second(outcomes: Mapping[str, int], minute: Sequence[Sample]) -> float:
    """Return how many scans were accepted each second of the samples."""
    seconds = minute[-1].at - minute[0].at + 1 if minute else 0
    return round(accepted(outcomes) / max(1, seconds), 2)


def refusal_title(code: str, language: Language) -> str:
    """Return the cashier's sentence for a refusal; the code itself where it is none of the kinds."""
    return KINDS[code].hints[language] if code in KINDS else code
