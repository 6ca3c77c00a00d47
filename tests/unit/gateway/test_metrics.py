"""What a worker counts of scans reaches the exposition, none of it twice."""

import pytest

from gateway.observability.metrics import APPLIED, Metrics


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Metrics()


def samples(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_scans_are_told_by_outcome_and_time_with_the_next_exposition_and_once(metrics: Metrics) -> None:
    for seconds in (0.0004, 0.004, 0.004):
        metrics.count_verify(APPLIED, seconds)
    metrics.count_verify("overloaded", 0.5)
    metrics.count_turned_away()
    for _ in range(2):
        found = samples(metrics)
        assert found['tong_verify_total{outcome="applied"}'] == 3
        assert found['tong_verify_total{outcome="overloaded"}'] == 2
        assert found['tong_verify_total{outcome="replayed"}'] == 0
        assert found["tong_verify_seconds_count"] == 4  # one that was turned away took no time
        assert found['tong_verify_seconds_bucket{le="0.0005"}'] == 1
        assert found["tong_verify_seconds_sum"] == pytest.approx(0.5084)


def test_a_flush_tells_what_was_counted_since_the_one_before(metrics: Metrics) -> None:
    metrics.count_verify(APPLIED, 0.001)
    assert metrics.verify_outcome[APPLIED]._value.get() == 0
    for already in (1, 2):
        metrics.flush()
        assert metrics.verify_outcome[APPLIED]._value.get() == already
        metrics.count_verify(APPLIED, 0.001)
