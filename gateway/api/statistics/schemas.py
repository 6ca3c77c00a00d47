"""What operations are answered, as types: the figures of gateway/live/stats_views.py."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.api.members.live_schemas import BusinessName, Count, Figure, Name, OutletName
from gateway.scans.schemas import Instant


class WorkerFigures(Struct):
    """A worker that reported in the last seconds."""

    worker: str
    pid: Count
    host: str
    since: Instant
    in_flight: Annotated[Count, Meta(description="calls that wait for the hot store")]
    streams: Count


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
    """From request to answer, of the last minute."""

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


class AcceptedRefused(Struct):
    """Two counts."""

    accepted: Count
    refused: Count


class OutletFigures(AcceptedRefused):
    """Of one outlet."""

    outlet_id: str
    name: Name
    last_minute: AcceptedRefused


class BusinessFigures(AcceptedRefused):
    """Of one business."""

    business_id: str
    name: Name
    per_second: float
    last_minute: AcceptedRefused
    outlets: tuple[OutletFigures, ...]


class LedgerFigures(Struct):
    """How far the ledger is behind the hot store. As tong_ledger_…"""

    lag_seconds: Figure
    backlog_entries: int | None
    stopped_buckets: int | None
    dead_letters: int | None


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
    """What should be looked at now."""

    code: str
    severity: Literal["warning", "critical"]
    title: Name
    text: Annotated[str, Meta(description="what it means and what to do")]
    value: float
    threshold: float
    unit: str
    since: Instant


class SnapshotAnswer(Struct):
    """How things stand, over all workers."""

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


class SeriesAnswer(Struct, rename={"since": "from"}):
    """One row a second, oldest first; a second that is missing was not sampled."""

    since: Instant
    to: Instant
    step_seconds: Count
    columns: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]


class LastRefusal(Struct):
    """A call of a till that was refused."""

    at: Instant
    business: BusinessName | None
    outlet: OutletName | None
    terminal_id: str | None
    code: str
    title: Name
    path: Annotated[str, Meta(examples=["/v1/verify"])]


class RefusalsAnswer(Struct):
    """The last of them, newest first."""

    refusals: tuple[LastRefusal, ...]
