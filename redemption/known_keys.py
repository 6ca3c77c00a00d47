"""Look-ups of a terminal's Idempotency-Key without the code of its request (ADR 0010).

Guarantees: a known key is found whatever became of its code, its member or its terminal's place, because only the
terminal and the key name it. An unknown key is refused and the refusal is kept, in one step, so that an original which
is still under way is either found or refused, never applied after a refusal was answered.

No other module looks for a key without its code. On a single server the record is in the terminal's bucket (ADR 0003).
On a cluster it is in the member's, which only the code names: there every bucket is asked, in one pipeline, and a
refusal is kept only after none of them knew the key.
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
"""Takes the place of a request's fingerprint in a tombstone; `settle` with this fingerprint keeps a tombstone."""
_WORDS_OF_SCAN: Final = 4
"""Of a refused scan: leg, asked, available, detail. A refused step has the middle two, a refused accrual none."""


class KeyRecord(msgspec.Struct, frozen=True):
    """An idempotency record as the hot store keeps it: `<fingerprint> <outcome> <words>`, and the bucket it is in."""

    bucket: int
    fingerprint: str
    outcome: Outcome
    words: tuple[str, ...]

    @classmethod
    def parse(cls, bucket: int, text: bytes) -> "KeyRecord":
        """Return the record that a text holds. Raises ValueError for any other text."""
        fingerprint, outcome, *words = text.decode().split(" ")
        return cls(bucket, fingerprint, Outcome(int(outcome)), tuple(words))

    @property
    def applied(self) -> bool:
        """Return whether a request was applied under this key."""
        return self.outcome is Outcome.APPLIED

    @property
    def subject(self) -> str:
        """Return the id of the redemption or accrual, where a scan or an accrual was applied."""
        return self.words[0]

    @property
    def is_scan(self) -> bool:
        """Return whether a scan was applied: a step's record has more words after the id, a reversal's has no id."""
        return self.applied and len(self.words) == 1 and self.subject.startswith(REDEMPTION_PREFIX)

    def refusal(self, fingerprint: str) -> Refusal | None:
        """Return the refusal of a request with this fingerprint; None where it was applied."""
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
        """Return the record of a terminal's key; None when the key is not known.

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
        """Return the record of a key whose code cannot be read; of an unknown key keep and return `refusal`.

        With the fingerprint `TOMBSTONE` a tombstone is kept instead. `is_guess`: 18 digits that nobody made, counted
        where the key is not known. Another refusal is returned where the call exceeds a rate (`RATE_LIMITED`, with the
        seconds to wait as `available`) or where the record may be in a bucket that is being rebuilt (`UNAVAILABLE`);
        `was_ever_taken` False says that no gateway ever took the text, so no such bucket can have known the key.
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

    async def find_scan(self, record: KeyRecord) -> Scanned | Refusal:
        """Return the scan that was applied under a key, or its refusal now. Raises `HotStoreFault`, `RecordMissing`."""
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

    async def find_accrual(self, record: KeyRecord) -> Accrual | Refusal:
        """Return the accrual that was applied under a key. Raises `HotStoreFault`, `RecordMissing`."""
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
            raise RecordMissing("a key names a record of no bucket")
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
        till = self._addresses.till_keys(terminal, place.bucket)
        outcome, wait, record, whose = await self._store.call(
            "reject",
            idempotency=place.name,
            guess_terminal=till.guess_terminal,
            guess_outlet=till.guess_outlet,
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
    """Return the record that counts of one key's: an applied one before a tombstone, that before a refusal.

    Only a cluster can have several. None where there is none.
    """
    if not found:
        return None
    return min(found, key=lambda record: (not record.applied, record.fingerprint != TOMBSTONE))
