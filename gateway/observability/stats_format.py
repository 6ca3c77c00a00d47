"""Statistics of verify over all workers: a worker's report, a second's sample, and their sums.

Guarantees: pure functions over values; a report counts once, however often it is sent (its number identifies it);
quantiles are estimated within a histogram's bucket as Prometheus does it (histogram_quantile, linear), from the same
buckets as tong_verify_seconds.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct, field

from gateway.observability.metrics import APPLIED, REPLAYED, VERIFY_SECONDS_BUCKETS


class Outlet(Struct, array_like=True):
    """The counts of an outlet.

    Scans by outcome, and how many took how long (index of the bucket); points issued by purchases, and guesses.
    """

    business: str
    outcomes: dict[str, int]
    latencies: dict[int, int] = field(default_factory=dict)
    points: int = 0
    guesses: int = 0


class Worker(Struct, array_like=True):
    """The state of a worker."""

    worker: str
    pid: int
    host: str
    since_ms: int
    in_flight: int
    member_streams: int
    operations_streams: int
    connected: bool
    stale_seconds: float
    frozen: list[int]


class Report(Struct, array_like=True):
    """The counts of a worker since its report before. `number` grows by one with each."""

    number: int
    worker: Worker
    unknown: int
    outlets: dict[str, Outlet]


class Writer(Struct, array_like=True):
    """The state of the ledger writer, as /metrics exports it."""

    lag_seconds: float
    backlog_entries: int
    open_holds: int
    stopped_buckets: int
    dead_letters: int


class Alarmed(Struct, array_like=True):
    """An alarm: since when it is on (Unix milliseconds), and the figure that set it on."""

    since_ms: int
    value: float
    threshold: float
    critical: bool


class Sample(Struct):
    """A second of all workers. `last_report` and `seen` say which reports are in it or in one before."""

    at: int
    last_report: str
    seen: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    outlets: dict[str, Outlet] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    writer: Writer | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    alarms: dict[str, Alarmed] = field(default_factory=dict)


class Totals(Struct):
    """Sums of everything up to a sample. Kept as the checkpoint, brought forward by the samples after it."""

    at: int = 0
    last_report: str = "0-0"
    seen: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    outlets: dict[str, Outlet] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Add the next sample."""
        self.at, self.last_report = sample.at, sample.last_report
        self.seen |= sample.seen
        self.unknown += sample.unknown
        add_outlets(self.outlets, sample.outlets, latencies=False)

    def forget(self, workers: Iterable[str]) -> None:
        """Forget workers that are gone for good: their reports cannot come again."""
        for worker in workers:
            self.seen.pop(worker, None)


encode: Final = msgspec.json.Encoder().encode
decode_report: Final = msgspec.json.Decoder(Report).decode
decode_sample: Final = msgspec.json.Decoder(Sample).decode
decode_totals: Final = msgspec.json.Decoder(Totals).decode
decode_writer: Final = msgspec.json.Decoder(Writer).decode


def add_outlets(into: dict[str, Outlet], more: Mapping[str, Outlet], *, latencies: bool) -> None:
    """Add `more` to `into`."""
    for name, outlet in more.items():
        known = into.get(name)
        if known is None:
            known = into[name] = Outlet(outlet.business, {})
        known.points += outlet.points
        known.guesses += outlet.guesses
        for outcome, count in outlet.outcomes.items():
            known.outcomes[outcome] = known.outcomes.get(outcome, 0) + count
        if latencies:
            for bucket, count in outlet.latencies.items():
                known.latencies[bucket] = known.latencies.get(bucket, 0) + count


def of_business(outlets: Mapping[str, Outlet], business: str | None) -> dict[str, Outlet]:
    """Return the outlets of one business; all for None."""
    return {name: each for name, each in outlets.items() if business is None or each.business == business}


def outcomes_of(outlets: Iterable[Outlet]) -> dict[str, int]:
    """Return sums by outcome."""
    sums: dict[str, int] = {}
    for outlet in outlets:
        for outcome, count in outlet.outcomes.items():
            sums[outcome] = sums.get(outcome, 0) + count
    return sums


def points_by_business(outlets: Iterable[Outlet]) -> dict[str, int]:
    """Return the points issued, by business."""
    sums: dict[str, int] = {}
    for outlet in outlets:
        if outlet.points:
            sums[outlet.business] = sums.get(outlet.business, 0) + outlet.points
    return sums


def accepted(outcomes: Mapping[str, int]) -> int:
    return outcomes.get(APPLIED, 0)


def refused(outcomes: Mapping[str, int]) -> int:
    return sum(count for outcome, count in outcomes.items() if outcome not in (APPLIED, REPLAYED))


def latencies_of(outlets: Iterable[Outlet]) -> dict[int, int]:
    """Return sums by bucket."""
    sums: dict[int, int] = {}
    for outlet in outlets:
        for bucket, count in outlet.latencies.items():
            sums[bucket] = sums.get(bucket, 0) + count
    return sums


def quantiles_ms(latencies: Mapping[int, int]) -> tuple[float | None, float | None, float | None]:
    """Return p50, p95 and p99 in milliseconds; None where nothing was counted."""
    return quantile_ms(latencies, 0.5), quantile_ms(latencies, 0.95), quantile_ms(latencies, 0.99)


def quantile_ms(latencies: Mapping[int, int], share: float) -> float | None:
    """Estimate one quantile, as Prometheus does. Values beyond the last bucket count as its bound."""
    total = sum(latencies.values())
    if total == 0:
        return None
    rank, below = share * total, 0
    for bucket in sorted(latencies):
        count = latencies[bucket]
        if below + count >= rank:
            if bucket >= len(VERIFY_SECONDS_BUCKETS):
                return VERIFY_SECONDS_BUCKETS[-1] * 1000
            lower = VERIFY_SECONDS_BUCKETS[bucket - 1] if bucket else 0.0
            width = VERIFY_SECONDS_BUCKETS[bucket] - lower
            return round((lower + width * max(0.0, rank - below) / count) * 1000, 3)
        below += count
    return VERIFY_SECONDS_BUCKETS[-1] * 1000
