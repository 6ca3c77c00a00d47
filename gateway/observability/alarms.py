"""Alarms over a second's sample and those before it, with words that explain them.

Guarantees: an alarm says which figure went over which threshold, since when, what it means and what to do; what is
wrong stays an alarm for as long as it is wrong, however long that is. The thresholds are those of
deploy/prometheus/tong.rules.yml (tests/truth/test_alarm_thresholds.py holds them equal); the page looks at the last
minute where Prometheus takes rates over some.
"""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.observability.stats_format import (
    Alarmed,
    Sample,
    accepted,
    latencies_of,
    outcomes_of,
    points_by_business,
    quantile_ms,
    refused,
)
from gateway.problems.kinds import Language

LAG_SECONDS: Final = (10.0, 60.0)
BACKLOG_ENTRIES: Final = (10_000, 100_000)
MEMORY_SHARE: Final = (0.80, 0.95)
STALE_SECONDS: Final = 60.0
"""Configuration older than this is also named on /readyz; scans go on with it."""
LATENCY_P99_MS: Final = 100.0
LATENCY_SCANS_MIN: Final = 20
REFUSED_SHARE: Final = 0.3
"""The share of the last five minutes. Too many refusals are an alarm even where it has been so for hours."""
REFUSED_MIN: Final = 20
REFUSED_JUMP_SHARE: Final = 0.15
"""The share of the last minute, where it is also this many times the share before."""
REFUSED_TIMES_BEFORE: Final = 3.0
POINTS_ISSUED_MIN: Final = 50_000
POINTS_ISSUED_TIMES_BEFORE: Final = 5
GUESSES_PER_MINUTE: Final = 30
MINUTE_SAMPLES: Final = 60
LATELY_SAMPLES: Final = 300
WRITER_SILENT_SECONDS: Final = 10.0
FIGURES_STALE_SECONDS: Final = 5.0


_WORDS: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("alarms.toml").read_text(encoding="utf-8"))
"""By code: the unit of the figures, and by language `title` and `text` with {value} and {threshold} to fill in."""
CODES: Final = tuple(_WORDS)


class _Found(NamedTuple):
    code: str
    value: float
    threshold: float
    critical: bool


class Earlier(NamedTuple):
    """A second that is over a minute ago: scans accepted and refused, points issued by business."""

    accepted: int
    refused: int
    points: dict[str, int]


def judge(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> dict[str, Alarmed]:
    """Return the alarms of a sample.

    `before` are the samples of the minute before it, the newest last; `earlier` the seconds of the minutes before
    those, oldest first. An alarm keeps the moment at which it began.
    """
    known = before[-1].alarms if before else {}
    return {
        found.code: Alarmed(
            known[found.code].since_ms if found.code in known else sample.at * 1000,
            found.value,
            found.threshold,
            found.critical,
        )
        for found in (
            *_of_stores(sample, before),
            *_of_scans(sample, before, earlier),
            *_of_insiders(sample, before, earlier),
        )
    }


def _of_stores(sample: Sample, before: Sequence[Sample]) -> Iterable[_Found]:
    cut_off = sum(not worker.connected for worker in sample.workers)
    if cut_off:
        yield _Found("hot_store_disconnected", cut_off, 0, True)
    frozen = {bucket for worker in sample.workers for bucket in worker.frozen}
    if frozen:
        yield _Found("frozen", len(frozen), 0, True)
    writer = sample.writer
    if writer is None:
        yield _Found("writer_silent", WRITER_SILENT_SECONDS, WRITER_SILENT_SECONDS, True)
    else:
        if writer.stopped_buckets:
            yield _Found("ledger_stopped", writer.stopped_buckets, 0, True)
        dead = writer.dead_letters - min((each.writer.dead_letters for each in before if each.writer), default=0)
        if dead > 0 and before:
            yield _Found("dead_letters", dead, 0, True)
        yield from _over("ledger_lag", writer.lag_seconds, LAG_SECONDS)
        yield from _over("ledger_backlog", writer.backlog_entries, BACKLOG_ENTRIES)
    if sample.memory_limit_bytes and sample.memory_bytes is not None:
        share = 100 * sample.memory_bytes / sample.memory_limit_bytes
        yield from _over("memory", round(share, 1), (100 * MEMORY_SHARE[0], 100 * MEMORY_SHARE[1]))
    stale = max((worker.stale_seconds for worker in sample.workers), default=0.0)
    if stale > STALE_SECONDS:
        yield _Found("configuration_stale", round(stale), STALE_SECONDS, False)


def _of_scans(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> Iterable[_Found]:
    minute = [*before[-(MINUTE_SAMPLES - 1) :], sample]
    outcomes = outcomes_of(outlet for each in minute for outlet in each.outlets.values())
    counted = [(each.accepted, each.refused) for each in earlier]
    yield from _of_refusals((accepted(outcomes), refused(outcomes)), counted)
    unknown = sum(each.unknown for each in minute)
    if unknown:
        yield _Found("outcome_unknown", unknown, 0, True)
    if outcomes.get("overloaded"):
        yield _Found("overloaded", outcomes["overloaded"], 0, False)
    latencies = latencies_of(outlet for each in minute for outlet in each.outlets.values())
    p99 = quantile_ms(latencies, 0.99)
    if p99 is not None and p99 > LATENCY_P99_MS and sum(latencies.values()) >= LATENCY_SCANS_MIN:
        yield _Found("latency", p99, LATENCY_P99_MS, False)


def _of_insiders(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> Iterable[_Found]:
    """Find points issued far above those of the minutes before in a business, and guesses over the whole group."""
    minute = [*before[-(MINUTE_SAMPLES - 1) :], sample]
    usual: dict[str, int] = {}
    for each in earlier:
        for business, points in each.points.items():
            usual[business] = usual.get(business, 0) + points
    jumps = [
        points
        for business, points in points_by_business(
            outlet for each in minute for outlet in each.outlets.values()
        ).items()
        if points > POINTS_ISSUED_MIN
        and points * len(earlier) > POINTS_ISSUED_TIMES_BEFORE * usual.get(business, 0) * MINUTE_SAMPLES
    ]
    if jumps:
        yield _Found("points_issued_jump", max(jumps), POINTS_ISSUED_MIN, False)
    guesses = sum(outlet.guesses for each in minute for outlet in each.outlets.values())
    if guesses > GUESSES_PER_MINUTE:
        yield _Found("guesses", guesses, GUESSES_PER_MINUTE, False)


def _of_refusals(minute: tuple[int, int], earlier: Sequence[tuple[int, int]]) -> Iterable[_Found]:
    """Find a sudden rise of refusals, or, where there is none, simply too many."""
    now, then = _refused_share(*minute), _refused_share(*_sums(earlier))
    if minute[1] >= REFUSED_MIN and now > REFUSED_JUMP_SHARE and now > REFUSED_TIMES_BEFORE * then:
        yield _Found("refusals_jump", round(100 * now, 1), 100 * REFUSED_JUMP_SHARE, False)
        return
    lately = _sums([*earlier[-(LATELY_SAMPLES - MINUTE_SAMPLES) :], minute])
    share = _refused_share(*lately)
    if lately[1] >= REFUSED_MIN and share > REFUSED_SHARE:
        yield _Found("refusals_high", round(100 * share, 1), 100 * REFUSED_SHARE, False)


def _sums(seconds: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(each[0] for each in seconds), sum(each[1] for each in seconds)


def _refused_share(were_accepted: int, were_refused: int) -> float:
    all_scans = were_accepted + were_refused
    return were_refused / all_scans if all_scans else 0.0


def _over(code: str, value: float, thresholds: tuple[float, float]) -> Iterable[_Found]:
    warning, critical = thresholds
    if value > critical:
        yield _Found(code, value, critical, True)
    elif value > warning:
        yield _Found(code, value, warning, False)


class AlarmTexts(NamedTuple):
    """The words of an alarm in one language."""

    title: str
    text: str
    unit: str


def alarm_texts(code: str, alarmed: Alarmed, language: Language) -> AlarmTexts:
    """Explain an alarm: which figure went over which threshold, what it means and what to do."""
    words = _WORDS[code]
    value, threshold = _figure(alarmed.value), _figure(alarmed.threshold)
    text = words[language]["text"].format(value=value, threshold=threshold)
    return AlarmTexts(words[language]["title"], text, words["unit"])


def _figure(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"
