"""The basket that saves most, from benefits and points; stored value is the member's money and saves nothing.

The largest saving wins; among equal ones fewer legs, then fewer points, then the smaller ids and uses. It is found by
trying every set of benefits that may be used together, with every number of uses, and the points that still fit; a
branch that cannot reach the best so far is not followed. A basket stays within `LEGS_MAX` legs.

Bounded: the `CANDIDATES_MAX` benefits that save most on their own are looked at, and at most `STEPS_MAX` uses of a
benefit are priced (docs/reference/rules.md says how long that takes). Where either cuts off something the answer says
that it is not exact; it is then still a basket that is granted, and never saves less than the greedy one (the dearest
benefits that may be used together, then points) or than points alone.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg
from redemption.domain.limits import LEGS_MAX, POINTS_MAX
from redemption.rules.definitions import BenefitDefinition, PointRules
from redemption.rules.eligibility import not_together
from redemption.rules.pricing import (
    Remainder,
    points_share,
    points_value,
    points_within,
    rank_of,
    remainder_of,
    uses_that_fit,
    value_on,
)

CANDIDATES_MAX: Final = 10
STEPS_MAX: Final = 500

Key = tuple[int, int, int, tuple[tuple[str, int], ...]]


class Candidate(NamedTuple):
    """A benefit that may be used alone, the uses that the bill has room for, and their value on their own."""

    benefit_id: str
    definition: BenefitDefinition
    uses: int
    alone: int


class PointsSupply(NamedTuple):
    """The points of a member that may be used at a place."""

    rules: PointRules
    balance: int

    def within(self, room: int) -> tuple[int, int]:
        """Return the fewest points that take off the most within `room` minor units, and their value."""
        rules = self.rules
        most = min(self.balance, POINTS_MAX, points_within(rules, room))
        value = points_value(rules, most)
        if most < rules.minimum_points or value == 0:
            return 0, 0
        fewest = -(-value * rules.worth_points // rules.worth_minor)
        return max(fewest, rules.minimum_points), value


def best_basket(
    catalogue: Mapping[str, BenefitDefinition], candidates: list[Candidate], supply: PointsSupply, bill: Bill
) -> tuple[tuple[Leg, ...], int, bool]:
    """Return the best basket's legs in canonical order, its saving, and whether no better one can exist."""
    ranked = sorted(candidates, key=lambda candidate: (-candidate.alone, candidate.benefit_id))
    search = _Search(catalogue, ranked[:CANDIDATES_MAX], supply, bill)
    exact = search.run() and len(ranked) <= CANDIDATES_MAX
    return search.legs(), -search.best[0], exact


class _Search:
    """Depth first over the candidates in canonical order. `best` is the smallest key so far."""

    def __init__(
        self,
        catalogue: Mapping[str, BenefitDefinition],
        ranked: list[Candidate],
        supply: PointsSupply,
        bill: Bill,
    ) -> None:
        self.ranked = ranked
        self.ordered = sorted(ranked, key=lambda one: (rank_of(one.definition.discount), one.benefit_id))
        self.supply = supply
        self.share = points_share(supply.rules, bill)
        rules = [one.definition.categories for one in ranked] + [supply.rules.categories]
        self.whole = remainder_of(bill, by_category=any(categories is not None for categories in rules))
        legs = {one.benefit_id: BenefitLeg(one.benefit_id) for one in ranked}
        self.apart = {(one, other) for one in legs for other in legs if not_together(catalogue, legs[one], legs[other])}
        self.without_points = {one for one in legs if not_together(catalogue, legs[one], PointsLeg(1))}
        self.chosen: list[tuple[str, int]] = []
        self.best: Key = (0, 0, 0, ())
        self.steps = 0

    def run(self) -> bool:
        """Try the sets with every benefit used as often as it fits, for a good bound; then all. False: out of steps."""
        self._close(self.whole, 0)
        self._greedy()
        self._descend(0, self.whole, 0, fewer_uses=False)
        self._descend(0, self.whole, 0, fewer_uses=True)
        return self.steps < STEPS_MAX

    def legs(self) -> tuple[Leg, ...]:
        place = {one.benefit_id: index for index, one in enumerate(self.ordered)}
        _, _, points, chosen = self.best
        benefits = sorted(chosen, key=lambda one: place[one[0]])
        taken: list[Leg] = [BenefitLeg(benefit_id, uses) for benefit_id, uses in benefits]
        return (*taken, PointsLeg(points)) if points else tuple(taken)

    def _greedy(self) -> None:
        picked: set[str] = set()
        for one in self.ranked:
            if len(picked) < LEGS_MAX - 1 and all((one.benefit_id, other) not in self.apart for other in picked):
                picked.add(one.benefit_id)
        remainder, saving = self.whole.copy(), 0
        for one in self.ordered:
            if one.benefit_id not in picked:
                continue
            categories = one.definition.categories
            eligible = remainder.eligible(categories)
            uses = min(one.uses, uses_that_fit(one.definition.discount, eligible))
            if uses:
                value = value_on(one.definition.discount, uses, eligible)
                remainder.take(value, categories)
                saving += value
                self.chosen.append((one.benefit_id, uses))
        self._close(remainder, saving)
        self.chosen.clear()

    def _descend(self, index: int, remainder: Remainder, saving: int, *, fewer_uses: bool) -> None:
        """Recursion no deeper than `CANDIDATES_MAX`."""
        if index == len(self.ordered):
            self._close(remainder, saving)
            return
        hope = self._hope(index, remainder)
        if (-saving - hope, len(self.chosen) + (hope > 0)) > self.best[:2]:
            return
        one = self.ordered[index]
        if len(self.chosen) < LEGS_MAX and self._fits(one):
            discount, categories = one.definition.discount, one.definition.categories
            eligible = remainder.eligible(categories)
            most = min(one.uses, uses_that_fit(discount, eligible))
            for uses in range(most, 0 if fewer_uses else max(0, most - 1), -1):
                if self.steps >= STEPS_MAX:
                    return
                self.steps += 1
                value = value_on(discount, uses, eligible)
                rest = remainder.copy()
                rest.take(value, categories)
                self.chosen.append((one.benefit_id, uses))
                self._descend(index + 1, rest, saving + value, fewer_uses=fewer_uses)
                self.chosen.pop()
        self._descend(index + 1, remainder, saving, fewer_uses=fewer_uses)

    def _hope(self, index: int, remainder: Remainder) -> int:
        """Return a bound on the saving still to come: each other benefit and the points, valued as if first."""
        hope = 0
        if len(self.chosen) < LEGS_MAX:
            for one in self.ordered[index:]:
                if self._fits(one):
                    discount, eligible = one.definition.discount, remainder.eligible(one.definition.categories)
                    hope += value_on(discount, min(one.uses, uses_that_fit(discount, eligible)), eligible)
            if not self._without_points():
                hope += self.supply.within(self._room(remainder))[1]
        return min(hope, remainder.left)

    def _fits(self, one: Candidate) -> bool:
        return not self.apart or all((one.benefit_id, other) not in self.apart for other, _ in self.chosen)

    def _without_points(self) -> bool:
        return any(one in self.without_points for one, _ in self.chosen)

    def _close(self, remainder: Remainder, saving: int) -> None:
        """Consider the chosen benefits without points and with the points that still fit."""
        self._keep(saving, 0)
        if len(self.chosen) < LEGS_MAX and not self._without_points():
            points, value = self.supply.within(self._room(remainder))
            if points:
                self._keep(saving + value, points)

    def _keep(self, saving: int, points: int) -> None:
        legs = len(self.chosen) + (points > 0)
        if (-saving, legs, points) <= self.best[:3]:
            self.best = min(self.best, (-saving, legs, points, tuple(sorted(self.chosen))))

    def _room(self, remainder: Remainder) -> int:
        return min(remainder.eligible(self.supply.rules.categories), self.share)
