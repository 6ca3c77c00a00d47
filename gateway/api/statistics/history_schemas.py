"""Schemas of the last minutes of the operations page: seconds and refusals, each with what builds it."""

from collections.abc import Sequence
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta, Struct

from gateway.api.names import BusinessName, LocalizedNames, Name, OutletName
from gateway.api.statistics.schemas import Count, refusal_title
from gateway.observability.stats_format import (
    Sample,
    accepted,
    latencies_of,
    of_business,
    outcomes_of,
    quantiles_ms,
    refused,
)
from gateway.scans.schemas import Instant
from redemption.domain.clock import instant

SERIES_COLUMNS: Final = (
    "at",
    "accepted",
    "refused",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "lag_seconds",
    "backlog_entries",
    "open_holds",
    "memory_bytes",
    "workers",
)

SeriesRow = tuple[float | None, ...]


def series_row(sample: Sample, scope: str | None) -> SeriesRow:
    """Build the row of a second, in the order of SERIES_COLUMNS."""
    outlets = of_business(sample.outlets, scope).values()
    outcomes = outcomes_of(outlets)
    writer = sample.writer
    return (
        sample.at,
        accepted(outcomes),
        refused(outcomes),
        *quantiles_ms(latencies_of(outlets)),
        None if writer is None else round(writer.lag_seconds, 3),
        None if writer is None else writer.backlog_entries,
        None if writer is None else writer.open_holds,
        sample.memory_bytes,
        len(sample.workers),
    )


class SeriesAnswer(Struct, rename={"since": "from"}):
    """One row a second, oldest first; a second that is missing was not sampled."""

    since: Instant
    to: Instant
    step_seconds: Count
    columns: tuple[str, ...]
    rows: tuple[SeriesRow, ...]

    @classmethod
    def of(cls, rows: Sequence[SeriesRow], since: int, now: int) -> Self:
        """Build it of the seconds after `since`, Unix seconds."""
        return cls(
            since=instant(since * 1000),
            to=instant(now * 1000),
            step_seconds=1,
            columns=SERIES_COLUMNS,
            rows=tuple(rows),
        )


_decode_refusal: Final = msgspec.json.Decoder(tuple[int, str | None, str | None, str | None, str, str]).decode


class LastRefusal(Struct):
    """A call of a till that was refused."""

    at: Instant
    business: BusinessName | None
    outlet: OutletName | None
    terminal_id: str | None
    code: str
    title: Name
    path: Annotated[str, Meta(examples=["/v1/verify"])]

    @classmethod
    def of(cls, text: bytes, names: LocalizedNames, scope: str | None) -> Self | None:
        """Build it of a refusal as gateway/observability/scan_counters.py kept it; None outside the scope."""
        at_ms, business, outlet, terminal, code, path = _decode_refusal(text)
        if scope is not None and business != scope:
            return None
        return cls(
            at=instant(at_ms),
            business=names.business(business),
            outlet=names.outlet(outlet),
            terminal_id=terminal,
            code=code,
            title=refusal_title(code, names.language),
            path=path,
        )


class RefusalsAnswer(Struct):
    """The last refusals, newest first."""

    refusals: tuple[LastRefusal, ...]
