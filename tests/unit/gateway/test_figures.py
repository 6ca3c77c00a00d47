"""Figures of operations: quantiles, totals, and the alarms that explain themselves."""

import pytest

from gateway.observability.alarms import CODES, Earlier, alarm_texts, judge
from gateway.observability.metrics import VERIFY_SECONDS_BUCKETS
from gateway.observability.stats_format import (
    Outlet,
    Sample,
    Totals,
    Worker,
    Writer,
    decode_sample,
    decode_totals,
    encode,
    quantile_ms,
    quantiles_ms,
)
from gateway.problems.kinds import LANGUAGES

WRITER = Writer(0.1, 3, 0, 0, 0)
WORKER = Worker("w-1", 1, "host", 0, 0, 0, 0, True, 0.2, [])


def sample(at: int = 1_000, *, applied: int = 0, refused: int = 0, **more: object) -> Sample:
    outlets = {"out_a": Outlet("hotel", {"applied": applied, "code_used": refused}, {3: applied + refused})}
    return Sample(at, "0-0", outlets=outlets, **{"writer": WRITER, "workers": [WORKER], **more})  # type: ignore[arg-type]


def test_quantiles_are_those_of_prometheus() -> None:
    """histogram_quantile(0.5, …) of 100 observations, 40 of them up to 1 ms and 60 up to 1.5 ms: 1 + 0.5 * 10 / 60."""
    assert VERIFY_SECONDS_BUCKETS[1:3] == (0.001, 0.0015)
    assert quantile_ms({1: 40, 2: 60}, 0.5) == pytest.approx(1 + 0.5 * 10 / 60, abs=0.001)
    assert quantile_ms({0: 10}, 0.5) == pytest.approx(0.25)
    assert quantile_ms({len(VERIFY_SECONDS_BUCKETS): 5}, 0.5) == VERIFY_SECONDS_BUCKETS[-1] * 1000
    assert quantiles_ms({}) == (None, None, None)


def test_totals_brought_forward_by_samples_are_the_same_over_the_wire() -> None:
    totals = Totals()
    for at in range(3):
        one = sample(at, applied=2, refused=1, seen={"w-1": at})
        totals.add(decode_sample(encode(one)))
    assert totals.outlets["out_a"].outcomes == {"applied": 6, "code_used": 3}
    assert totals.seen == {"w-1": 2}
    assert decode_totals(encode(totals)) == totals


def test_nothing_is_alarming_about_a_quiet_second() -> None:
    assert judge(sample(), [sample(999)], ()) == {}
    assert judge(sample(applied=100, refused=5), [], [Earlier(1_000, 50, {})]) == {}


@pytest.mark.parametrize(
    ("found", "code", "critical"),
    [
        (sample(writer=None), "writer_silent", True),
        (sample(writer=Writer(11.0, 0, 0, 0, 0)), "ledger_lag", False),
        (sample(writer=Writer(61.0, 0, 0, 0, 0)), "ledger_lag", True),
        (sample(writer=Writer(0.0, 10_001, 0, 0, 0)), "ledger_backlog", False),
        (sample(writer=Writer(0.0, 0, 0, 1, 0)), "ledger_stopped", True),
        (sample(memory_bytes=81, memory_limit_bytes=100), "memory", False),
        (sample(memory_bytes=96, memory_limit_bytes=100), "memory", True),
        (sample(workers=[Worker("w", 1, "h", 0, 0, 0, 0, False, 0.0, [])]), "hot_store_disconnected", True),
        (sample(workers=[Worker("w", 1, "h", 0, 0, 0, 0, True, 61.0, [])]), "configuration_stale", False),
        (sample(workers=[Worker("w", 1, "h", 0, 0, 0, 0, True, 0.0, [7])]), "frozen", True),
        (sample(applied=10, refused=30), "refusals_jump", False),
        (sample(unknown=1), "outcome_unknown", True),
        (Sample(1, "0-0", outlets={"": Outlet("", {"overloaded": 1})}, writer=WRITER), "overloaded", False),
        (Sample(1, "0-0", outlets={"o": Outlet("b", {"applied": 30}, {13: 30})}, writer=WRITER), "latency", False),
        (Sample(1, "0-0", outlets={"o": Outlet("b", {}, {}, 50_001)}, writer=WRITER), "points_issued_jump", False),
        (Sample(1, "0-0", outlets={"o": Outlet("b", {}, {}, 0, 31)}, writer=WRITER), "guesses", False),
    ],
)
def test_each_alarm_is_seen_and_says_what_and_what_to_do(found: Sample, code: str, critical: bool) -> None:
    alarms = judge(found, [], [Earlier(100, 1, {})])
    assert list(alarms) == [code]
    assert alarms[code].critical is critical
    for language in LANGUAGES:
        texts = alarm_texts(code, alarms[code], language)
        assert "{" not in texts.text + texts.title


def test_refusals_that_were_as_many_before_are_no_jump_but_still_too_many() -> None:
    assert list(judge(sample(applied=10, refused=30), [], [Earlier(100, 300, {})])) == ["refusals_high"]
    assert list(judge(sample(applied=10, refused=30), [], [Earlier(300, 10, {})])) == ["refusals_jump"]


def test_points_that_a_business_issues_every_minute_are_no_jump_and_another_businesses_say_nothing() -> None:
    found = Sample(1, "0-0", outlets={"o": Outlet("b", {}, {}, 60_000)}, writer=WRITER)
    usual = [Earlier(0, 0, {"b": 1_000})] * 540
    assert judge(found, [], usual) == {}
    assert list(judge(found, [], [Earlier(0, 0, {"b": 100})] * 540)) == ["points_issued_jump"]
    assert list(judge(found, [], [Earlier(0, 0, {"other": 1_000})] * 540)) == ["points_issued_jump"]


def test_a_third_refused_for_an_hour_is_an_alarm_from_the_first_minutes_to_the_last() -> None:
    """65 accepted and 35 refused each second: what was a jump at first is too many for as long as it lasts."""
    before: list[Sample] = []
    counts: list[Earlier] = []
    for second in range(3_600):
        found = sample(second, applied=65, refused=35)
        found.alarms = judge(found, before, counts[-600:-60])
        assert {"refusals_jump", "refusals_high"} & found.alarms.keys(), second
        before = [*before[-59:], found]
        counts.append(Earlier(65, 35, {}))
    assert before[-1].alarms["refusals_high"].value == 35.0


def test_new_records_that_were_not_understood_are_an_alarm_and_old_ones_are_not() -> None:
    old = sample(999, writer=Writer(0.1, 3, 0, 0, 4))
    assert judge(sample(writer=Writer(0.1, 3, 0, 0, 4)), [old], []) == {}
    assert list(judge(sample(writer=Writer(0.1, 3, 0, 0, 5)), [old], [])) == ["dead_letters"]


def test_an_alarm_keeps_since_when_it_is_on() -> None:
    first = sample(1_000, writer=None)
    first.alarms = judge(first, [], ())
    later = judge(sample(1_007, writer=None), [first], ())
    assert later["writer_silent"].since_ms == 1_000_000
    assert set(CODES) >= set(later)
