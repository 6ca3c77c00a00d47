"""What a terminal's Idempotency-Key stands for, looked up without the code of the request (ADR 0010).

Guarantees: a key that is known is found whatever became of its code, its member or its terminal's place: only the
terminal and the key name it. A key that is not known is refused and the refusal is kept, in one step, so that an
original which is still on its way is either found or refused, never applied after a refusal was told.

This is the one place that looks for a key without its code. On a single server the record lies in the terminal's
bucket (ADR 0003). On a cluster it lies in the member's, which only the code tells: there every bucket is asked, in one
pipeline, and a refusal is kept only after none of them knew the key.
"""

import asyncio
from typing import Final

import msgspec

from redemption.addresses import Addresses, KeyPlace
from redemption.call_rates import rate_refusal
from redemption.configuration.current import Terminal
from redemption.domain.limits import VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal, detail_word, refusal_of_word
from redemption.domain.records import record_fields
from redemption.domain.redemptions import (
    ACCRUAL_PREFIX,
    REDEMPTION_PREFIX,
    Accrual,
    Scanned,
    accrual_from_record,
    bucket_of_id,
)
from redemption.hot import keys
from redemption.hot.faults import RecordMissing
from redemption.hot.store import HotStore

TOMBSTONE: Final = "-"
"""Stands where a record has the fingerprint of its request; as the fingerprint of a refusal it asks for a tombstone."""
_WORDS_OF_SCAN: Final = 4
"""Of a refused scan: leg, asked, available, detail. A refused step has the middle two, a refused accrual none."""


class KeyRecord(msgspec.Struct, frozen=True):
    """An idempotency record as the hot store keeps it: `<fingerprint> <outcome> <words>`, and the bucket it lies in."""

    bucket: int
    fingerprint: str
    outcome: Outcome
    words: tuple[str, ...]

    @classmethod
    def parse(cls, bucket: int, text: bytes) -> "KeyRecord":
        """Reads a record. Raises ValueError for a text that is none."""
        fingerprint, outcome, *words = text.decode().split(" ")
        return cls(bucket, fingerprint, Outcome(int(outcome)), tuple(words))

    @property
    def applied(self) -> bool:
        """Whether a request was applied under this key."""
        return self.outcome is Outcome.APPLIED

    @property
    def subject(self) -> str:
        """The id of what was made, where a scan or an accrual was applied."""
        return self.words[0]

    @property
    def is_scan(self) -> bool:
        """Whether a scan was applied: a step's record goes on behind the id, a reversal's has no id."""
        return self.applied and len(self.words) == 1 and self.subject.startswith(REDEMPTION_PREFIX)

    def refusal(self, fingerprint: str) -> Refusal | None:
        """What a request with this fingerprint is refused with; None where it was applied."""
        if self.fingerprint == TOMBSTONE:
            return Refusal(Outcome.CANCELLED, replayed=True)
        if self.fingerprint != fingerprint:
            return Refusal(Outcome.IDEMPOTENCY_KEY_REUSED)
        if self.applied:
            return None
        if len(self.words) >= _WORDS_OF_SCAN:
            leg, asked, available, detail = self.words[:_WORDS_OF_SCAN]
            return refusal_of_word(
                self.outcome,
                None if leg == "-1" else int(leg),
                int(asked),
                int(available),
                detail.encode(),
                replayed=True,
            )
        asked, available = self.words[:2] if len(self.words) > 1 else ("-1", "-1")
        return Refusal(self.outcome, None, int(asked), int(available), replayed=True)


class KnownKeys:
    """Look-ups of keys over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def find(self, terminal: Terminal, key: str) -> KeyRecord | None:
        """The record of a terminal's key; None when the key is not known.

        Raises `HotStoreFault` of redemption/hot/faults.py.
        """
        places = self._addresses.key_places(terminal, key)
        texts = await asyncio.gather(
            *(self._store.read(key=place.name, deadline_seconds=VERIFY_DEADLINE_SECONDS) for place in places)
        )
        found = [
            KeyRecord.parse(place.bucket, text) for place, text in zip(places, texts, strict=True) if text is not None
        ]
        return _strongest(found)

    async def settle(
        self,
        terminal: Terminal,
        key: str,
        fingerprint: str,
        refusal: Refusal,
        *,
        is_guess: bool,
        was_ever_taken: bool = True,
    ) -> KeyRecord | Refusal:
        """What a key stands for whose code cannot be read; where it stands for nothing, this refusal, kept under it.

        With the fingerprint `TOMBSTONE` a tombstone is kept instead. `is_guess`: 18 digits that nobody made, counted
        where the key is not known; a `RATE_LIMITED` refusal has the seconds to wait as `available`. `was_ever_taken`
        is False for a text that no gateway ever took: then no bucket that is being rebuilt can have known the key.
        Raises `HotStoreFault` of redemption/hot/faults.py.
        """
        places = self._addresses.key_places(terminal, key)
        if len(places) > 1:
            found = await self.find(terminal, key)
            if found is not None:
                return found
        settled = await asyncio.gather(
            *(
                self._settle_at(
                    place,
                    terminal,
                    fingerprint,
                    refusal,
                    counts=is_guess and place is places[0],
                    frozen_names=place.frozen_names if was_ever_taken else "",
                )
                for place in places
            )
        )
        record = _strongest([each for each in settled if isinstance(each, KeyRecord)])
        if record is not None:
            return record
        refusals = [each for each in settled if isinstance(each, Refusal)]
        return min(refusals, key=lambda each: each.outcome)

    async def scan_of(self, record: KeyRecord) -> Scanned | Refusal:
        """The answer that the scan behind a key was given. Raises `HotStoreFault`, `RecordMissing`."""
        bucket = self._bucket_of(REDEMPTION_PREFIX, record)
        frozen, text = await self._store.read_many(
            keys.frozen(bucket), keys.redemption(bucket, record.subject), deadline_seconds=VERIFY_DEADLINE_SECONDS
        )
        if frozen is not None:
            return Refusal(Outcome.UNAVAILABLE, replayed=True)
        if text is None:
            raise RecordMissing("a key names a redemption that is gone")
        if "cancelled" in record_fields(text):
            return Refusal(Outcome.CANCELLED, replayed=True)
        return Scanned(record.subject, text, replayed=True)

    async def accrual_of(self, record: KeyRecord) -> Accrual | Refusal:
        """The answer that the accrual behind a key was given. Raises `HotStoreFault`, `RecordMissing`."""
        bucket = self._bucket_of(ACCRUAL_PREFIX, record)
        (frozen,) = await self._store.read_many(keys.frozen(bucket), deadline_seconds=VERIFY_DEADLINE_SECONDS)
        if frozen is not None:
            return Refusal(Outcome.UNAVAILABLE, replayed=True)
        flat = await self._store.read_fields(
            key=keys.accrual(bucket, record.subject), deadline_seconds=VERIFY_DEADLINE_SECONDS
        )
        if not flat:
            raise RecordMissing("a key names an accrual that is gone")
        return accrual_from_record(flat, replayed=True)

    def _bucket_of(self, prefix: str, record: KeyRecord) -> int:
        bucket = bucket_of_id(prefix, record.subject, self._addresses.configuration.buckets)
        if bucket is None:
            raise RecordMissing("a key names what is in no bucket")
        return bucket

    async def _settle_at(
        self,
        place: KeyPlace,
        terminal: Terminal,
        fingerprint: str,
        refusal: Refusal,
        *,
        counts: bool,
        frozen_names: str,
    ) -> KeyRecord | Refusal:
        till = self._addresses.till(terminal, place.bucket)
        outcome, wait, record, whose = await self._store.call(
            "reject",
            idempotency=place.name,
            guess_terminal=till.guess_terminal,
            guess_outlet=till.guess_outlet,
            rate_terminal=till.rate_terminal,
            rate_outlet=till.rate_outlet,
            till=self._addresses.till_terms(terminal).words,
            fingerprint=fingerprint,
            outcome=int(refusal.outcome),
            detail=detail_word(refusal.detail),
            guesses=1 if counts else 0,
            frozen_names=frozen_names,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if record:
            return KeyRecord.parse(place.bucket, record)
        if outcome == Outcome.RATE_LIMITED:
            return rate_refusal(self._addresses.configuration.policy, whose, wait)
        if outcome == Outcome.UNAVAILABLE:
            return Refusal(Outcome.UNAVAILABLE, replayed=True)
        return refusal


def _strongest(found: list[KeyRecord]) -> KeyRecord | None:
    """Of several records of one key, which only a cluster can have, the one that says most: what was applied comes
    before a tombstone, that before a refusal."""
    if not found:
        return None
    return min(found, key=lambda record: (not record.applied, record.fingerprint != TOMBSTONE))
