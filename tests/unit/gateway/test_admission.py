"""Who is let in: bursts wait, standing queues are cut, and calm ends it."""

from collections.abc import Iterator

import pytest

from gateway.hot_path.admission import CALM_SECONDS, STANDING_SECONDS, Admission
from redemption.domain.limits import VERIFY_IN_FLIGHT_MAX, VERIFY_STANDING_MAX


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def admission(watch: Watch) -> Iterator[Admission]:
    admission = Admission(watch)
    yield admission
    assert admission.in_flight >= 0


def fill(admission: Admission, wanted: int) -> int:
    """So many scans come at once; how many are let in."""
    taken = 0
    for _ in range(wanted):
        if not admission.refuses():
            admission.enter()
            taken += 1
    return taken


def shed(admission: Admission, watch: Watch) -> None:
    fill(admission, VERIFY_STANDING_MAX)
    assert not admission.refuses()
    watch.now += STANDING_SECONDS + 0.001
    assert admission.refuses()
    assert admission.shedding


def test_a_burst_is_let_in_up_to_the_bound(admission: Admission) -> None:
    assert fill(admission, VERIFY_IN_FLIGHT_MAX + 50) == VERIFY_IN_FLIGHT_MAX
    assert not admission.shedding


def test_a_queue_that_stands_is_cut_and_a_worker_is_kept_busy(admission: Admission, watch: Watch) -> None:
    shed(admission, watch)
    admission.leave()
    assert fill(admission, 10) == 1


def test_a_queue_that_goes_away_in_time_cuts_nothing(admission: Admission, watch: Watch) -> None:
    fill(admission, VERIFY_STANDING_MAX + 10)
    watch.now += STANDING_SECONDS * 0.9
    for _ in range(11):
        admission.leave()
    watch.now += STANDING_SECONDS
    assert fill(admission, 100) == 100
    assert not admission.shedding


def test_shedding_ends_after_a_calm_while(admission: Admission, watch: Watch) -> None:
    shed(admission, watch)
    for _ in range(VERIFY_STANDING_MAX):
        admission.leave()
    watch.now += CALM_SECONDS * 0.9
    assert not admission.refuses()
    assert admission.shedding, "it was not calm for long enough"
    watch.now += CALM_SECONDS * 0.2
    assert fill(admission, VERIFY_STANDING_MAX * 2) == VERIFY_STANDING_MAX * 2
    assert not admission.shedding


def test_each_refusal_begins_the_calm_anew(admission: Admission, watch: Watch) -> None:
    shed(admission, watch)
    for _ in range(5):
        watch.now += CALM_SECONDS * 0.9
        assert admission.refuses()
    admission.leave()
    watch.now += CALM_SECONDS * 0.9
    assert fill(admission, 5) == 1
    assert admission.shedding
