"""Admission of scans: how many a worker has in flight, and when it refuses further ones early.

Guarantees:
  * A short burst waits: up to `VERIFY_IN_FLIGHT_MAX` scans are in flight at once.
  * A standing queue is cut: after `STANDING_SECONDS` with `VERIFY_STANDING_MAX` or more in flight the worker sheds. It
    admits only as many as keep it busy and refuses the rest (`overloaded`) at once. Those it admits are answered soon,
    instead of all of them late (Nichols and Jacobson, "Controlling Queue Delay", 2012: a standing queue brings no
    throughput, only delay).
  * It stops shedding `CALM_SECONDS` after the last refusal.

Its benchmark is `make bench-overload`. Not thread-safe; a worker has one event loop.
"""

from collections.abc import Callable
from typing import Final

from redemption.domain.limits import VERIFY_IN_FLIGHT_MAX, VERIFY_STANDING_MAX

STANDING_SECONDS: Final = 1.0
CALM_SECONDS: Final = 1.0


class Admission:
    """Counts the scans in flight. `clock` is monotonic, in seconds."""

    __slots__ = ("_clock", "_full_since", "_refused_at", "in_flight", "shedding")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_since: float | None = None
        self._refused_at = 0.0
        self.in_flight = 0
        self.shedding = False

    def refuses(self) -> bool:
        """Return whether to refuse a scan that comes now. The caller must refuse it then: the time is noted."""
        if self.in_flight < VERIFY_STANDING_MAX:
            self._full_since = None
            if self.shedding and self._clock() - self._refused_at > CALM_SECONDS:
                self.shedding = False
            return False
        now = self._clock()
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since > STANDING_SECONDS:
            self.shedding = True
        if self.shedding or self.in_flight >= VERIFY_IN_FLIGHT_MAX:
            self._refused_at = now
            return True
        return False

    def enter(self) -> None:
        """Count a scan that was admitted."""
        self.in_flight += 1

    def leave(self) -> None:
        """Count a scan that was answered."""
        self.in_flight -= 1
        if self.in_flight < VERIFY_STANDING_MAX:
            self._full_since = None
