"""What is counted and measured, for Prometheus.

Children are bound once, so that a count asks no dictionary of labels. Scans are added up in the process and told at
the next `flush`, ten times a second and before every exposition of that process: written for speed (`make bench`),
because each count in the files that the processes share costs more. A worker that is killed takes the last tenth of a
second with it. With several processes the exposition sums over all: `PROMETHEUS_MULTIPROC_DIR` is set by whoever starts
them, and its folder is emptied at start.
"""

import os
from bisect import bisect_left
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.problems.documents import KINDS

VERIFY_SECONDS_BUCKETS: Final = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0,
)  # fmt: skip
APPLIED: Final = "applied"
REPLAYED: Final = "replayed"


class Metrics:
    """Every metric of a gateway worker and of the ledger writer. One instance a process."""

    def __init__(self) -> None:
        multiprocess = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self.registry = CollectorRegistry()
        own = None if multiprocess else self.registry
        verify = Counter(
            "tong_verify", "Answers of POST /v1/verify by outcome: applied, replayed or a refusal's code", ["outcome"],
            registry=own,
        )  # fmt: skip
        self.verify_outcome = {name: verify.labels(name) for name in (APPLIED, REPLAYED, *KINDS)}
        self.verify_unknown = Counter(
            "tong_verify_unknown", "Answers of POST /v1/verify that could not say what happened", registry=own
        )
        self.verify_seconds = Histogram(
            "tong_verify_seconds", "Time from request to answer of POST /v1/verify",
            buckets=VERIFY_SECONDS_BUCKETS, registry=own,
        )  # fmt: skip
        self.outlet_scans = Counter(
            "tong_outlet_verify", "Answers of POST /v1/verify by business and outlet, added up once a second: accepted "
            "or refused (replays are neither)", ["business", "outlet", "result"], registry=own,
        )  # fmt: skip
        self.hot_memory_bytes = Gauge(
            "tong_hot_store_memory_bytes", "Memory the hot store uses, as the elected worker was told", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.hot_memory_limit_bytes = Gauge(
            "tong_hot_store_memory_limit_bytes", "Memory the hot store may use; 0: no limit is set", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.streams = Gauge(
            "tong_event_streams", "Streams of server-sent events that are open", ["kind"], registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.hot_in_flight = Gauge(
            "tong_hot_store_in_flight", "Calls that wait for the hot store, sampled each second", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.steps = Counter(
            "tong_steps", "Calls on redemptions and accruals, by kind and outcome", ["call", "outcome"],
            registry=own,
        )  # fmt: skip
        self.points_issued = Counter(
            "tong_points_issued", "Points that purchases earned, by business", ["business"], registry=own
        )
        self.guesses = Counter(
            "tong_guesses", "Digits that nobody made and ids of members whom the outlet had not scanned", registry=own
        )
        self.rate_limited = Counter(
            "tong_rate_limited", "Calls beside verify that were refused because of a rate, by whose it is", ["scope"],
            registry=own,
        )  # fmt: skip
        self.open_holds = Gauge(
            "tong_open_holds", "Holds that have not ended", registry=own, multiprocess_mode="mostrecent"
        )
        self.holds_expired = Counter("tong_holds_expired", "Holds whose time ran out", registry=own)
        self.codes_issued = Counter("tong_codes_issued", "Member codes made", registry=own)
        self.faults = Counter("tong_faults", "Requests that ended in an unforeseen fault", registry=own)
        self.hot_connected = Gauge(
            "tong_hot_store_connected", "1 while a worker has its connection to the hot store", registry=own,
            multiprocess_mode="livemin",
        )  # fmt: skip
        self.configuration_stale_seconds = Gauge(
            "tong_configuration_stale_seconds", "Age of the configuration a worker works with", registry=own,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self._of_the_ledger(own)
        if multiprocess:
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]

    def _of_the_ledger(self, own: CollectorRegistry | None) -> None:
        """What tells how far the ledger, its writer and its sealer are."""
        self.ledger_backlog = Gauge(
            "tong_ledger_backlog_entries", "Stream entries not yet in PostgreSQL", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.backlog_full = Gauge(
            "tong_backlog_full", "1 while new scans are refused because the ledger is too far behind", registry=own,
            multiprocess_mode="livemax",
        )  # fmt: skip
        # A writer that is gone leaves its last figures behind, so the elected worker says whether it reports.
        self.writer_silent = Gauge(
            "tong_ledger_writer_silent", "1 while the ledger writer has not reported for ten seconds", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.ledger_lag_seconds = Gauge(
            "tong_ledger_lag_seconds", "Age of the oldest stream entry not yet in PostgreSQL", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.ledger_entries = Counter("tong_ledger_entries", "Stream entries written to PostgreSQL", registry=own)
        self.ledger_dead_letters = Counter("tong_ledger_dead_letters", "Stream entries not understood", registry=own)
        self.ledger_stopped_buckets = Gauge(
            "tong_ledger_stopped_buckets", "Buckets the writer does not follow, see its log", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.frozen_buckets = Gauge(
            "tong_frozen_buckets", "Buckets in which no value moves until a rebuild (docs/ledger.md)", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.sealed_rows = Counter("tong_sealed_rows", "Rows of the ledger that were sealed", registry=own)
        self.seal_stopped_buckets = Gauge(
            "tong_seal_stopped_buckets", "Buckets the sealer does not seal any further, see its log", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self._observed = [0] * (len(VERIFY_SECONDS_BUCKETS) + 1)
        self._observed_seconds = 0.0
        self._outcomes = dict.fromkeys(self.verify_outcome, 0)

    def count_verify(self, outcome: str, seconds: float) -> None:
        """One answer of `POST /v1/verify`: its outcome and its time."""
        self._outcomes[outcome] += 1
        self._observed[bisect_left(VERIFY_SECONDS_BUCKETS, seconds)] += 1
        self._observed_seconds += seconds

    def count_turned_away(self) -> None:
        """A scan refused before it was looked at."""
        self._outcomes["overloaded"] += 1

    def flush(self) -> None:
        """Puts what was counted since the last flush where an exposition finds it."""
        for outcome, count in self._outcomes.items():
            if count:
                self._outcomes[outcome] = 0
                self.verify_outcome[outcome].inc(count)
        if self._observed_seconds == 0.0:
            return
        observed, self._observed = self._observed, [0] * len(self._observed)
        seconds, self._observed_seconds = self._observed_seconds, 0.0
        histogram: Any = self.verify_seconds  # its `observe` takes one at a time
        for bucket, count in zip(histogram._buckets, observed, strict=True):
            if count:
                bucket.inc(count)
        histogram._sum.inc(seconds)

    def exposition(self) -> bytes:
        """The text format of Prometheus, over all processes; of others what `flush` puts there, up to their last."""
        self.flush()
        return generate_latest(self.registry)
