"""Metrics for Prometheus: everything that is counted and measured.

Children are bound once, so that a count asks no dictionary of labels. Scans are added up in the process and told at
the next `flush`, ten times a second and before every exposition of that process: written for speed (`make bench`),
because each count in the files that the processes share costs more. A worker that is killed takes the last tenth of a
second with it. With several processes the exposition sums over all: `PROMETHEUS_MULTIPROC_DIR` is set by whoever starts
them, and its folder is emptied at start.
"""

import os
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.problems.documents import KINDS

VERIFY_SECONDS_BUCKETS: Final = (
    *(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
)
Mode = Literal["livemax", "livemin", "livesum", "mostrecent"]
"""How the exposition joins the values of several processes."""
APPLIED: Final = "applied"
REPLAYED: Final = "replayed"


class Metrics:
    """Every metric of a gateway worker and of the ledger writer. One instance a process."""

    def __init__(self) -> None:
        multiprocess = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self.registry = CollectorRegistry()
        self._own = None if multiprocess else self.registry
        verify = self._counter(
            "tong_verify", "Answers of POST /v1/verify by outcome: applied, replayed or a refusal's code", ["outcome"]
        )
        self.verify_outcome = {name: verify.labels(name) for name in (APPLIED, REPLAYED, *KINDS)}
        self.verify_unknown = self._counter(
            "tong_verify_unknown", "Answers of POST /v1/verify that could not say what happened"
        )
        self.verify_seconds = Histogram(
            "tong_verify_seconds",
            "Time from request to answer of POST /v1/verify",
            buckets=VERIFY_SECONDS_BUCKETS,
            registry=self._own,
        )
        self.outlet_scans = self._counter(
            "tong_outlet_verify",
            "Answers of POST /v1/verify by business and outlet, added up once a second: accepted "
            "or refused (replays are neither)",
            ["business", "outlet", "result"],
        )
        self.hot_memory_bytes = self._gauge(
            "tong_hot_store_memory_bytes", "mostrecent", "Memory the hot store uses, as the elected worker read it"
        )
        self.hot_memory_limit_bytes = self._gauge(
            "tong_hot_store_memory_limit_bytes", "mostrecent", "Memory the hot store may use; 0: no limit is set"
        )
        self.streams = self._gauge(
            "tong_event_streams", "livesum", "Streams of server-sent events that are open", ["kind"]
        )
        self.hot_in_flight = self._gauge(
            "tong_hot_store_in_flight", "livesum", "Calls that wait for the hot store, sampled each second"
        )
        self.steps = self._counter(
            "tong_steps", "Calls on redemptions and accruals, by kind and outcome", ["call", "outcome"]
        )
        self.points_issued = self._counter(
            "tong_points_issued", "Points that purchases earned, by business", ["business"]
        )
        self.guesses = self._counter(
            "tong_guesses", "Digits that nobody made and ids of members whom the outlet had not scanned"
        )
        self.rate_limited = self._counter(
            "tong_rate_limited", "Calls beside verify that were refused because of a rate, by whose it is", ["scope"]
        )
        self.open_holds = self._gauge("tong_open_holds", "mostrecent", "Holds that have not ended")
        self.holds_expired = self._counter("tong_holds_expired", "Holds whose time ran out")
        self.codes_issued = self._counter("tong_codes_issued", "Member codes made")
        self.faults = self._counter("tong_faults", "Requests that ended in an unforeseen fault")
        self.hot_connected = self._gauge(
            "tong_hot_store_connected", "livemin", "1 while a worker has its connection to the hot store"
        )
        self.configuration_stale_seconds = self._gauge(
            "tong_configuration_stale_seconds", "livemax", "Age of the configuration a worker works with"
        )
        self._of_the_ledger()
        if multiprocess:
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]

    def _of_the_ledger(self) -> None:
        """Make the metrics of the ledger, its writer and its sealer."""
        self.ledger_backlog = self._gauge(
            "tong_ledger_backlog_entries", "mostrecent", "Stream entries not yet in PostgreSQL"
        )
        self.backlog_full = self._gauge(
            "tong_backlog_full", "livemax", "1 while new scans are refused because the ledger is too far behind"
        )
        # A writer that is gone leaves its last figures behind, so the elected worker says whether it reports.
        self.writer_silent = self._gauge(
            "tong_ledger_writer_silent", "mostrecent", "1 while the ledger writer has not reported for ten seconds"
        )
        self.ledger_lag_seconds = self._gauge(
            "tong_ledger_lag_seconds", "mostrecent", "Age of the oldest stream entry not yet in PostgreSQL"
        )
        self.ledger_entries = self._counter("tong_ledger_entries", "Stream entries written to PostgreSQL")
        self.ledger_dead_letters = self._counter("tong_ledger_dead_letters", "Stream entries not understood")
        self.ledger_stopped_buckets = self._gauge(
            "tong_ledger_stopped_buckets", "mostrecent", "Buckets the writer does not follow, see its log"
        )
        self.frozen_buckets = self._gauge(
            "tong_frozen_buckets",
            "mostrecent",
            "Buckets in which no value moves until a rebuild (docs/reference/ledger.md)",
        )
        self.sealed_rows = self._counter("tong_sealed_rows", "Rows of the ledger that were sealed")
        self.seal_stopped_buckets = self._gauge(
            "tong_seal_stopped_buckets", "mostrecent", "Buckets the sealer does not seal any further, see its log"
        )
        self.projected_rows = self._counter("tong_projected_rows", "Rows of the ledger that projections were fed with")
        self.projection_lag_seconds = self._gauge(
            "tong_projection_lag_seconds",
            "mostrecent",
            "Age of the oldest row not read by a projection",
            ["projection"],
        )
        self.projection_stopped = self._gauge(
            "tong_projection_stopped", "mostrecent", "1 while a projection is stopped, see its log", ["projection"]
        )
        self._observed = [0] * (len(VERIFY_SECONDS_BUCKETS) + 1)
        self._observed_seconds = 0.0
        self._outcomes = dict.fromkeys(self.verify_outcome, 0)

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self._own)

    def _gauge(self, name: str, mode: Mode, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self._own, multiprocess_mode=mode)

    def count_verify(self, outcome: str, seconds: float) -> None:
        """Count an answer of `POST /v1/verify`: its outcome and its time."""
        self._outcomes[outcome] += 1
        self._observed[bisect_left(VERIFY_SECONDS_BUCKETS, seconds)] += 1
        self._observed_seconds += seconds

    def count_turned_away(self) -> None:
        """Count a scan refused before it was parsed."""
        self._outcomes["overloaded"] += 1

    def flush(self) -> None:
        """Put what was counted since the last flush where an exposition finds it."""
        for outcome, count in self._outcomes.items():
            if count:
                self._outcomes[outcome] = 0
                self.verify_outcome[outcome].inc(count)
        if self._observed_seconds == 0.0:
            return
        observed, self._observed = self._observed, [0] * len(self._observed)
        seconds, self._observed_seconds = self._observed_seconds, 0.0
        histogram: Any = self.verify_seconds  # its `observe` takes one value at a time
        for bucket, count in zip(histogram._buckets, observed, strict=True):
            if count:
                bucket.inc(count)
        histogram._sum.inc(seconds)

    def exposition(self) -> bytes:
        """Return the text format of Prometheus over all processes, of others up to their latest `flush`."""
        self.flush()
        return generate_latest(self.registry)
