"""Lists of redemptions for a business's tills: found through the ledger, each in its present state in the hot store.

Guarantees: a page holds redemptions of one business only, each once, in one order over all pages (open holds by
deadline, everything else newest first). A redemption is listed as soon as it is made, although the ledger is a moment
behind: entries that the ledger does not have yet are read from the streams (not on a cluster). Bounded: a page looks at
`LISTED_ROUNDS_MAX` x `LISTED_CANDIDATES_MAX` candidates at most, so a page may hold fewer than asked for and still have
a page behind it.
Does not guarantee: redemptions that the hot store has forgotten (`REDEMPTION_RETENTION_SECONDS`), nor, while the ledger
writer is behind by more than `UNLEDGERED_ENTRIES_MAX` entries of a bucket, the newest of that bucket.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from redemption.domain.limits import LISTED_CANDIDATES_MAX, LISTED_ROUNDS_MAX, UNLEDGERED_ENTRIES_MAX
from redemption.domain.redemptions import Redemption
from redemption.ledger.entries import Entry
from redemption.ledger.reader import Candidate, LedgerReader, Place, RedemptionFilter
from redemption.ledger.streams import ValkeyAway
from redemption.live.tail import LedgerTail

FindRedemption = Callable[[str, str], Awaitable[Redemption | None]]
"""Reads a redemption of a business from the hot store, by its id and the id of the business."""
_LAST_PLACE_MS: Final = 4_000_000_000_000  # the year 2096: newest first begins behind it


@dataclass(frozen=True, slots=True)
class ListedRedemption:
    """One redemption of a list, and the outlet it was made at (None where the entry names none)."""

    redemption: Redemption
    outlet_id: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `next_place` is where the next one begins; None on the last."""

    items: tuple[ListedRedemption, ...]
    next_place: Place | None


class RedemptionLists:
    """Reads over the ledger and the streams of one worker."""

    def __init__(self, ledger: LedgerReader, tail: LedgerTail) -> None:
        self._ledger = ledger
        self._tail = tail

    async def page(
        self, wanted: RedemptionFilter, after: Place | None, limit: int, now_ms: int, find: FindRedemption
    ) -> Page:
        """Return the next at most `limit` redemptions behind `after` (None: from the beginning).

        Raises `LedgerAway` and what `find` raises.
        """
        place = after or (Place(now_ms, "") if wanted.by_deadline else Place(_LAST_PLACE_MS, ""))
        unledgered = await self._unledgered(wanted, now_ms)
        found: list[tuple[Place, ListedRedemption]] = []
        for _ in range(LISTED_ROUNDS_MAX):
            stored = await self._ledger.candidates(wanted, place, LISTED_CANDIDATES_MAX)
            is_last = len(stored) < LISTED_CANDIDATES_MAX
            until = None if is_last else stored[-1].place
            candidates = _merged(wanted, stored, unledgered, place, until)
            states = await asyncio.gather(
                *(find(candidate.place.redemption_id, wanted.business_id) for candidate in candidates)
            )
            found += [
                (candidate.place, ListedRedemption(state, candidate.outlet_id))
                for candidate, state in zip(candidates, states, strict=True)
                if state is not None and wanted.status in (None, state.status)
            ]
            if len(found) > limit or (len(found) == limit and not is_last):
                return Page(tuple(item for _, item in found[:limit]), found[limit - 1][0])
            if is_last:
                return Page(tuple(item for _, item in found), None)
            assert until is not None
            place = until
        return Page(tuple(item for _, item in found), place)

    async def _unledgered(self, wanted: RedemptionFilter, now_ms: int) -> list[Candidate]:
        """Return the entries that the filter wants and the ledger does not have yet.

        The watermarks are read first: an entry that reaches the ledger meanwhile is found there, and one that is found
        twice is listed once. Where the streams cannot be read (one client cannot on a cluster) the list is the
        ledger's.
        """
        watermarks = await self._ledger.watermarks()
        try:
            entries = await self._tail.behind(watermarks, UNLEDGERED_ENTRIES_MAX)
        except ValkeyAway:
            return []
        return [
            Candidate(Place(at_ms, entry.subject_id), entry.outlet)
            for entry in entries
            if (at_ms := _place_of(wanted, entry, now_ms)) is not None
        ]


def _place_of(wanted: RedemptionFilter, entry: Entry, now_ms: int) -> int | None:
    """Return the place of a stream entry in the list; None where the filter does not want it."""
    if entry.kind not in ("redeem", "hold") or entry.business != wanted.business_id:
        return None
    if not wanted.from_ms <= entry.at_ms < wanted.to_ms:
        return None
    for value, narrowed in (
        (entry.outlet, wanted.outlet_id),
        (entry.bill_reference, wanted.bill_reference),
        (entry.member_id, wanted.member_id),
    ):
        if narrowed is not None and value != narrowed:
            return None
    if not wanted.by_deadline:
        return entry.at_ms
    if entry.kind != "hold":
        return None
    hold_seconds = entry.context.get("restore", {}).get("hold_seconds", 0)
    until_ms = entry.at_ms + 1_000 * int(hold_seconds)
    return until_ms if until_ms > now_ms else None


def _merged(
    wanted: RedemptionFilter,
    stored: list[Candidate],
    unledgered: list[Candidate],
    after: Place,
    until: Place | None,
) -> list[Candidate]:
    """Merge both sources in the order of the list, each redemption once, behind `after` and up to `until` (None: no
    end)."""

    def key(place: Place) -> tuple[int, str]:
        return place.at_ms, place.redemption_id

    def is_between(place: Place) -> bool:
        if wanted.by_deadline:
            return key(after) < key(place) and (until is None or key(place) <= key(until))
        return key(after) > key(place) and (until is None or key(place) >= key(until))

    by_id = {candidate.place.redemption_id: candidate for candidate in unledgered if is_between(candidate.place)}
    by_id |= {candidate.place.redemption_id: candidate for candidate in stored}
    return sorted(by_id.values(), key=lambda candidate: key(candidate.place), reverse=not wanted.by_deadline)
