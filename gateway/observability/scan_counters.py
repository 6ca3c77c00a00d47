"""One worker's counters of its scans by outlet: plain integers in memory, reported once a second.

The reports go through gateway/observability/stats_aggregator.py.

Guarantees: a scan is counted once, under the same outcome as in tong_verify_total (gateway/observability/metrics.py);
memory is bounded by the outlets of the group; of a refusal only time, place, reason and path are kept: no member, no
code. Counting is part of every scan and written for speed, measured by `python -m tests.measure_path`.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.observability.metrics import VERIFY_SECONDS_BUCKETS
from redemption.configuration.current import Terminal
from redemption.domain.clock import Clock
from redemption.domain.limits import REFUSALS_PER_SECOND_MAX

LATENCIES: Final = len(VERIFY_SECONDS_BUCKETS) + 1
NOBODY: Final = ""
"""Business and outlet of a call whose terminal is not known."""


@dataclass(slots=True)
class Counted:
    """The counts of one outlet since the last report."""

    business: str
    outcomes: dict[str, int] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=lambda: [0] * LATENCIES)
    points: int = 0
    """Points issued to members by purchases."""
    guesses: int = 0


class Refused(NamedTuple):
    """A refused call of a till. `at_ms` is Unix time."""

    at_ms: int
    business: str | None
    outlet: str | None
    terminal: str | None
    code: str
    path: str


class ScanCounters:
    """The counters of one worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._outlets: dict[str, Counted] = {}
        self._refused: deque[Refused] = deque(maxlen=REFUSALS_PER_SECOND_MAX)
        self._unknown = 0

    def scan(self, terminal: Terminal | None, outcome: str, seconds: float) -> None:
        """Count an answer of POST /v1/verify."""
        counted = self._of(terminal)
        outcomes = counted.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        counted.latencies[bisect_left(VERIFY_SECONDS_BUCKETS, seconds)] += 1

    def issued(self, terminal: Terminal, points: int) -> None:
        """Count points that a purchase earned."""
        self._of(terminal).points += points

    def guess(self, terminal: Terminal) -> None:
        """Count a guess: unknown digits, or the id of a member whom the outlet had not scanned."""
        self._of(terminal).guesses += 1

    def turned_away(self) -> None:
        """Count a scan that was refused before it was parsed: its outlet is unknown, and it took no time."""
        outcomes = self._of(None).outcomes
        outcomes["overloaded"] = outcomes.get("overloaded", 0) + 1

    def unknown(self) -> None:
        """Count a scan whose outcome could not be answered."""
        self._unknown += 1

    def refused(self, terminal: Terminal | None, code: str, path: str) -> None:
        """Keep a refused call of a till for the list of the latest ones."""
        at_ms = round(self._clock() * 1000)
        if terminal is None:
            self._refused.append(Refused(at_ms, None, None, None, code, path))
        else:
            place = (terminal.business.business_id, terminal.outlet_id, terminal.terminal_id)
            self._refused.append(Refused(at_ms, *place, code, path))

    def take(self) -> tuple[dict[str, Counted], int]:
        """Return the counts since the last call of this, by outlet, and how many scans ended unknown."""
        taken = self._outlets, self._unknown
        self._outlets, self._unknown = {}, 0
        return taken

    def take_refused(self) -> list[Refused]:
        """Return the refusals since the last call of this, the latest ones where there were too many."""
        taken = list(self._refused)
        self._refused.clear()
        return taken

    def _of(self, terminal: Terminal | None) -> Counted:
        outlet = NOBODY if terminal is None else terminal.outlet_id
        counted = self._outlets.get(outlet)
        if counted is None:
            counted = Counted(NOBODY if terminal is None else terminal.business.business_id)
            self._outlets[outlet] = counted
        return counted
