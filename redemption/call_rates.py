"""Rates of calls that no other function of the hot store counts: till look-ups, calls of members and of the back
office.

Guarantees: a till's look-ups share the count of its scans and steps (functions of redemption/hot/functions count those
themselves), whichever worker they reach; a member's own calls are counted apart from what tills do with the member, so
that neither can use up the other's.

Not guaranteed: while the hot store does not answer nothing is counted and calls go on; what they need of it is then
unavailable anyway, and what PostgreSQL answers has its own bound of calls in hand.
"""

import math
from typing import Final

from redemption.addresses import Addresses
from redemption.configuration.current import Terminal
from redemption.domain.limits import REDEMPTION_RETENTION_SECONDS, TOMBSTONE_SECONDS
from redemption.domain.members import member_id
from redemption.domain.outcomes import Outcome, RateSubject, Refusal
from redemption.hot.faults import HotStoreFault
from redemption.hot.store import HotStore
from redemption.rules.policy import Policy

COUNT_DEADLINE_SECONDS: Final = 0.5


def tombstone_seconds(code_left_seconds: float) -> int:
    """Return how long a tombstone is kept, in seconds.

    As long as the mark of a used code, and at least until the code of the cancelled call has expired (a device may have
    made it for a later moment).
    """
    left = min(math.ceil(code_left_seconds) + TOMBSTONE_SECONDS, REDEMPTION_RETENTION_SECONDS)
    return max(TOMBSTONE_SECONDS, left)


def rate_refusal(policy: Policy, whose: int, seconds: int) -> Refusal:
    """Return the refusal of a call that exceeds a rate. `whose` is a `RateSubject`, `seconds` the time to wait."""
    quotas: dict[int, int] = {
        RateSubject.TERMINAL: policy.terminal_rate,
        RateSubject.OUTLET: policy.outlet_rate,
        RateSubject.MEMBER: policy.member_rate,
    }
    quota = quotas.get(whose, -1)
    return Refusal(Outcome.RATE_LIMITED, None, whose, seconds, quota=quota)


class CallRates:
    """Counters over one hot store. Each method returns the refusal of a call that is one too many, or None."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def terminal(self, terminal: Terminal) -> Refusal | None:
        """Count a call of a terminal and its outlet."""
        whose, seconds = await self._count(till=self._addresses.till_terms(terminal).words)
        return rate_refusal(self._addresses.configuration.policy, whose, seconds) if whose else None

    async def member(self, number: int) -> Refusal | None:
        """Count a call of a member's app."""
        policy = self._addresses.configuration.policy
        whose, seconds = await self._count(subject=own_calls(number), rate=policy.member_rate)
        return rate_refusal(policy, RateSubject.MEMBER, seconds) if whose else None

    async def office(self, key_id: str) -> Refusal | None:
        """Count a call with a key of the back office, operations or settlement."""
        policy = self._addresses.configuration.policy
        whose, seconds = await self._count(subject=f"key:{key_id}", rate=policy.office_rate)
        if not whose:
            return None
        return Refusal(Outcome.RATE_LIMITED, None, RateSubject.OFFICE_KEY, seconds, quota=policy.office_rate)

    async def _count(self, *, till: str = "", subject: str = "", rate: int = 0) -> tuple[int, int]:
        try:
            exceeded, seconds = await self._store.call(
                "count", till=till, subject=subject, rate=rate, deadline_seconds=COUNT_DEADLINE_SECONDS
            )
        except (HotStoreFault, TimeoutError):
            return 0, 0
        return exceeded, seconds


def own_calls(number: int) -> str:
    """Return the subject whose count is of the calls of a member's app."""
    return f"app:{member_id(number)}"
