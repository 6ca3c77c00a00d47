"""The use cases of a cancel: a till undoes a scan of which it does not know whether it was applied.

Guarantees: the scan of a key or an id is undone once, however often the cancel is repeated; an unknown key never
applies later (I12). The key comes before the code: a cancel by key finds the scan whatever became of its code, its
member or the terminal's place (ADR 0010).
"""

from dataclasses import dataclass
from typing import Any, Literal

from redemption.addresses import Addresses
from redemption.call_rates import CallRates, rate_refusal, tombstone_seconds
from redemption.configuration.current import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.limits import REDEMPTION_RETENTION_SECONDS, SLOT_SECONDS, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.records import record_fields
from redemption.domain.redemptions import (
    REDEMPTION_PREFIX,
    Redemption,
    after_step,
    bucket_of_id,
    new_id,
    redemption_told,
)
from redemption.hot import keys
from redemption.hot.faults import RecordMissing
from redemption.hot.store import HotStore
from redemption.known_keys import KeyRecord, KnownKeys
from redemption.legs import step_context
from redemption.service import check_same_call, step_arguments


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The effect of a cancel: `reversed` with the redemption, or `tombstoned`."""

    effect: Literal["reversed", "tombstoned"]
    redemption: Redemption | None


class Cancellations:
    """Use cases over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses
        self._rates = CallRates(store, addresses)
        self._known_keys = KnownKeys(store, addresses)

    async def by_id(self, terminal: Terminal, redemption_id: str) -> Cancelled | Refusal | None:
        """Undo the redemption of an id. Returns None where this business has no such redemption.

        Raises `HotStoreFault`, `ReplyCrossed`.
        """
        bucket = bucket_of_id(REDEMPTION_PREFIX, redemption_id, self._addresses.configuration.buckets)
        if bucket is None:
            return await self._rates.terminal(terminal)
        reply = await self._call(terminal, terminal.business.business_id, bucket, redemption_id=redemption_id)
        return self._result_of(reply)

    async def by_key(
        self, terminal: Terminal, key: str, behind: CodeUse | KeyRecord, *, good_until: float = 0
    ) -> Cancelled | Refusal | None:
        """Undo the scan of a key, at whatever business it was made, or keep a tombstone so that the key never applies.

        `behind` is the code that came with the cancel or, where it cannot be read, the key's record. `good_until` (Unix
        seconds) is when the code ends: a tombstone outlives it. Raises `HotStoreFault`, `RecordMissing`,
        `ReplyCrossed`.
        """
        if isinstance(behind, KeyRecord):
            if behind.is_scan:
                return await self._undo_own_scan(terminal, key, behind.subject)
            bucket = behind.bucket
        else:
            bucket = self._addresses.member(behind.member_number).bucket
            if self._is_older_than_any_key(behind) and await self._known_keys.find(terminal, key) is None:
                return await self._rates.terminal(terminal) or Refusal(Outcome.WINDOW_CLOSED)
        reply = await self._call(terminal, terminal.business.business_id, bucket, key=key, good_until=good_until)
        if reply[1] == Outcome.NOT_FOUND and reply[2]:
            # The scan is of another member than the code, or was made before the terminal moved to another business.
            return await self._undo_own_scan(terminal, key, reply[2].decode(), counts=False)
        return self._result_of(reply)

    def _is_older_than_any_key(self, code: CodeUse) -> bool:
        """Return whether the key of a scan with this code may have been forgotten by now."""
        return self._addresses.slot_now() * SLOT_SECONDS - code.made_at > REDEMPTION_RETENTION_SECONDS

    async def _undo_own_scan(
        self, terminal: Terminal, key: str, redemption_id: str, *, counts: bool = True
    ) -> Cancelled | Refusal | None:
        """Undo a redemption that was made under the terminal's own key, for the business it was made at.

        `counts` is False where the request was counted in the terminal's rate already.
        """
        bucket = bucket_of_id(REDEMPTION_PREFIX, redemption_id, self._addresses.configuration.buckets)
        if bucket is None:
            raise RecordMissing("a key names a redemption of no bucket")
        text = await self._store.read(
            key=keys.redemption(bucket, redemption_id), deadline_seconds=VERIFY_DEADLINE_SECONDS
        )
        if text is None:
            raise RecordMissing("a key names a redemption that is gone")
        business_id = record_fields(text)["business"]
        reply = await self._call(terminal, business_id, bucket, key=key, redemption_id=redemption_id, counts=counts)
        return self._result_of(reply)

    async def _call(
        self,
        terminal: Terminal,
        business_id: str,
        bucket: int,
        *,
        key: str = "",
        redemption_id: str = "",
        good_until: float = 0,
        counts: bool = True,
    ) -> list[Any]:
        """Call functions/cancel.lua for a redemption of `business_id`, by id, or by key where no id is given."""
        addresses = self._addresses
        configuration = addresses.configuration
        call_id = new_id(REDEMPTION_PREFIX, bucket)
        places = step_arguments(addresses, terminal, bucket)
        if business_id != terminal.business.business_id:
            made_at = configuration.businesses.get(business_id, terminal.business)
            places |= {"business": business_id, "currency": made_at.currency}
        till = addresses.till_keys(terminal, bucket)
        reply = await self._store.call(
            "cancel",
            idempotency=till.idempotency_prefix + key,
            holds=keys.holds(bucket),
            ledger=keys.ledger_stream(bucket),
            tombstones_terminal=till.tombstones_terminal,
            tombstones_outlet=till.tombstones_outlet,
            cancelled=till.cancelled,
            till=addresses.till_terms(terminal).words,
            till_key=key,
            lasts=tombstone_seconds(good_until - addresses.now),
            call_id=call_id,
            redemption_id=redemption_id,
            redemption_prefix=keys.redemption(bucket, ""),
            window_seconds=configuration.policy.cancel_window_seconds,
            context=step_context(terminal, configuration.version, key, business_id=business_id),
            counts=1 if counts else 0,
            **places,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        check_same_call(reply, call_id)
        return reply

    def _result_of(self, reply: list[Any]) -> Cancelled | Refusal | None:
        """Return the value of functions/cancel.lua's reply."""
        outcome = Outcome(reply[1])
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome is Outcome.RATE_LIMITED:
            return rate_refusal(self._addresses.configuration.policy, reply[3], reply[4])
        if outcome is not Outcome.APPLIED:
            return Refusal(outcome)
        if reply[2] == b"tombstoned":
            return Cancelled("tombstoned", None)
        return Cancelled("reversed", after_step(redemption_told(reply[3]), reply[4], replayed=False))
