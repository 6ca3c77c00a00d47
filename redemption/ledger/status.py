"""The status of a ledger writer, and the disagreements of a stream with its watermark."""

from dataclasses import dataclass, field

from redemption.ledger.entries import Position
from redemption.ledger.store import Watermark
from redemption.ledger.streams import Sight


@dataclass(slots=True)
class WriterFigures:
    """Counts since the start of this writer; the composition exports them."""

    transactions: int = 0
    dead_letters: int = 0
    batches: int = 0
    batches_fenced: int = 0
    entries_trimmed: int = 0
    postgres_faults: int = 0
    valkey_faults: int = 0
    buckets_stopped: int = 0


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """One bucket: `backlog` entries of its stream are not in the ledger, the oldest for `behind_seconds`."""

    bucket: int
    epoch: int
    watermark: Position
    rows: int
    backlog: int
    behind_seconds: float
    stopped: str | None
    waiting: bool


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """The status of all buckets. A stopped bucket's backlog counts: nobody takes it in."""

    buckets: tuple[BucketStatus, ...] = field(default=())

    @property
    def backlog(self) -> int:
        return sum(bucket.backlog for bucket in self.buckets)

    @property
    def behind_seconds(self) -> float:
        return max((bucket.behind_seconds for bucket in self.buckets), default=0.0)

    @property
    def stopped(self) -> dict[int, str]:
        return {bucket.bucket: bucket.stopped for bucket in self.buckets if bucket.stopped is not None}


def disagreement_of_ends(mark: Watermark, sight: Sight) -> str | None:
    """Return why a bucket's stream cannot be the one of its watermark, from epoch and end alone."""
    if sight.poisoned:
        return "the key of the stream holds something that is no stream"
    if sight.epoch != mark.epoch:
        return f"the hot store is in epoch {sight.epoch}, the ledger in {mark.epoch}"
    if sight.last < mark.position:
        return "the stream ends before the watermark: an old backup of the hot store?"
    return None


def disagreement(mark: Watermark, sight: Sight, behind: int) -> str | None:
    """Return why stream and watermark disagree, also by count: `behind` entries at or below the watermark are still in
    it (I7)."""
    reason = disagreement_of_ends(mark, sight)
    passed = sight.added - (sight.length - behind)
    if reason is None and passed != mark.rows:
        return f"the stream counts {passed} entries up to the watermark, the ledger {mark.rows} rows"
    return reason
