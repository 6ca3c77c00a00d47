"""The use cases of a redemption: verify, capture, void, refund, find.

Guarantees: an outcome (applied or refused) is a returned value; a raised fault says whether anything can have happened.
Each call of a use case is one round trip to one function, but for a capture with a bill, which reads its hold first. A
step that is refused without its function is counted like a look-up.
Knows no HTTP: the gateway makes these calls of requests and responses of their values.

`verify` is part of every scan and written for speed, measured by `python -m tests.measure_path`.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import orjson

from redemption.addresses import Addresses
from redemption.call_rates import CallRates, rate_refusal
from redemption.configuration.current import Configuration, Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import BenefitLeg, Bill, Leg
from redemption.domain.contexts import basket_text, place_text, restore_text
from redemption.domain.errors import StorageError
from redemption.domain.limits import VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal, detail_word, refusal_of_word
from redemption.domain.redemptions import (
    REDEMPTION_PREFIX,
    Redemption,
    Scanned,
    after_step,
    bucket_of_id,
    new_id,
    redemption_from_record,
    redemption_told,
)
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.known_keys import KnownKeys
from redemption.legs import (
    basket_digest,
    bill_context,
    captured_value,
    leg_words,
    step_context,
    wants,
)
from redemption.rules.eligibility import state_detail
from redemption.rules.pricing import price


class Scan(msgspec.Struct, frozen=True):
    """One authenticated scan and its basket. `hold_seconds` 0 captures at once; None is the policy's default hold."""

    terminal: Terminal
    code: CodeUse
    key: str
    fingerprint: str
    bill: Bill | None
    legs: tuple[Leg, ...]
    hold_seconds: int | None = 0
    confirm_duplicate: bool = False


class Rate(msgspec.Struct, frozen=True):
    """The rate of a terminal: the calls of a window, those left in this one, and the seconds until the next."""

    limit: int
    left: int
    reset_seconds: int


class Verified(msgspec.Struct, frozen=True):
    """The outcome of a scan and the terminal's rate."""

    result: Scanned | Refusal
    rate: Rate


@dataclass(frozen=True, slots=True)
class Step:
    """A capture, void or refund of a redemption: by which terminal, under which key (None: no key)."""

    terminal: Terminal
    redemption_id: str
    key: str | None
    fingerprint: str
    legs: tuple[Leg, ...] | None = None
    bill: Bill | None = None


class MemberMissing(StorageError):
    """The hot store has no such member: it was lost or never loaded. Nothing was applied."""


class ReplyCrossed(StorageError):
    """The hot store's reply belongs to another call. Never seen; the echoed id is checked so that it never is."""


class Redemptions:
    """Use cases over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses
        self._rates = CallRates(store, addresses)
        self.known_keys = KnownKeys(store, addresses)

    async def verify(self, scan: Scan, *, deadline_seconds: float = VERIFY_DEADLINE_SECONDS) -> Verified:
        """Apply the whole basket or nothing, once per (terminal, key).

        Raises `HotStoreFault` of redemption/hot/faults.py, `MemberMissing`, `ReplyCrossed`.
        """
        addresses, terminal, code = self._addresses, scan.terminal, scan.code
        configuration = addresses.configuration
        policy = configuration.policy
        who = addresses.member(code.member_number)
        bucket, member_id = who.bucket, who.member_id
        till = addresses.till_keys(terminal, bucket)
        redemption_id = new_id(REDEMPTION_PREFIX, bucket)
        priced = price(
            terminal.place, configuration.benefits, scan.legs, scan.bill, addresses.local_time(terminal.time_zone)
        )
        verdict = code.refusal or priced.verdict
        hold_seconds = policy.hold_seconds if scan.hold_seconds is None else scan.hold_seconds
        stay = scan.bill.stay if scan.bill is not None else None
        terms = addresses.till_terms(terminal)
        reply = await self._store.redeem(
            idempotency=till.idempotency_prefix + scan.key,
            member=keys.member(bucket, member_id),
            lots=keys.lots(bucket, member_id),
            code=keys.code(bucket, code.member_number, code.slot),
            redemption=keys.redemption(bucket, redemption_id),
            ledger=keys.ledger_stream(bucket),
            holds=keys.holds(bucket),
            recent=keys.recent(bucket, member_id, terminal.outlet_id),
            guess_terminal=till.guess_terminal,
            guess_outlet=till.guess_outlet,
            redemption_id=redemption_id,
            fingerprint=scan.fingerprint,
            verdict=_verdict_words(verdict),
            member_id=member_id,
            till=terms.words,
            marker=code.marker,
            code_time=code.made_at,
            hold_seconds=hold_seconds,
            confirmed=1 if scan.confirm_duplicate else 0,
            digest=basket_digest(terminal.business.currency, scan.bill, scan.legs) if scan.legs else "",
            uses=keys.uses(bucket, member_id),
            stay=keys.stay(bucket, member_id, terminal.business.business_id, stay) if stay else "",
            place=place_text(terms.place, scan.key),
            basket=basket_text(scan.bill, scan.legs, priced.values),
            restore=restore_text(
                scan.fingerprint, code.slot, code.marker, hold_seconds, terms.outlet_offset, stay or None
            ),
            legs=";".join([leg_words(leg, terminal, configuration) for leg in scan.legs]),
            deadline_seconds=deadline_seconds,
        )
        rate = Rate(policy.terminal_rate, reply[6], reply[7])
        return Verified(_with_detail(_result_of(reply, redemption_id, member_id), scan, configuration), rate)

    async def capture(self, step: Step) -> Redemption | Refusal | None:
        """Capture a hold, whole or in part, for the bill of the hold or a new one.

        Returns None where this business has no such redemption. Raises `HotStoreFault`, `ReplyCrossed`.
        """
        if step.bill is not None:
            held = await self.find(step.redemption_id, step.terminal.business.business_id)
            # What was taken and its value never change, so reading them before the call is no race. Where this business
            # has no such redemption the function is called all the same: it counts the call, and the key may stand for
            # a capture from before the terminal moved.
            if held is not None:
                value = captured_value(held, step.legs, step.terminal.business.currency)
                if value > step.bill.amount_minor:
                    too_much = Refusal(Outcome.EXCEEDS_BILL, None, value, step.bill.amount_minor)
                    return await self._rates.terminal(step.terminal) or too_much
        bill = orjson.dumps(bill_context(step.bill)) if step.bill is not None else b""
        return await self._step("capture", step, wants=wants(step.legs, step.terminal.business.currency), bill=bill)

    async def void(self, step: Step) -> Redemption | Refusal | None:
        """Release a hold. Returns and raises as `capture` does."""
        return await self._step("void", step)

    async def refund(self, step: Step) -> Redemption | Refusal | None:
        """Give back what was captured, whole or in part. Returns and raises as `capture` does."""
        policy = self._addresses.configuration.policy
        return await self._step(
            "refund",
            step,
            window_seconds=policy.refund_window_seconds,
            wants=wants(step.legs, step.terminal.business.currency),
        )

    async def find(self, redemption_id: str, business_id: str) -> Redemption | None:
        """Return a redemption as it is now; None where this business has no such redemption. Raises `HotStoreFault`."""
        bucket = bucket_of_id(REDEMPTION_PREFIX, redemption_id, self._addresses.configuration.buckets)
        if bucket is None:
            return None
        text = await self._store.read(
            key=keys.redemption(bucket, redemption_id), deadline_seconds=VERIFY_DEADLINE_SECONDS
        )
        if text is None:
            return None
        found = redemption_from_record(redemption_id, text)
        return found if found.business_id == business_id else None

    async def count_guesses(self, terminal: Terminal, guesses: int = 1) -> int | None:
        """Count `guesses` of 18 digits that nobody made; with 0 count nothing.

        Returns the seconds to wait where the terminal or its outlet guessed too often, else None. Raises
        `HotStoreFault`.
        """
        till = self._addresses.till_keys(terminal, 0)
        over, wait = await self._store.call(
            "guess",
            guess_terminal=till.guess_terminal,
            guess_outlet=till.guess_outlet,
            till=self._addresses.till_terms(terminal).words,
            guesses=guesses,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return wait if over else None

    async def sweep(self, bucket: int) -> tuple[int, int]:
        """Expire the holds of a bucket whose time has run out. Returns how many, and how many are still open."""
        addresses = self._addresses
        configuration = addresses.configuration
        expired, still_open = await self._store.call(
            "sweep",
            holds=keys.holds(bucket),
            ledger=keys.ledger_stream(bucket),
            redemption_prefix=keys.redemption(bucket, ""),
            lots_prefix=keys.lots(bucket, ""),
            member_prefix=keys.member(bucket, ""),
            utc_offset=addresses.utc_offset(configuration.time_zone),
            policy=configuration.policy.expired_lot,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return expired, still_open

    async def _step(self, function: str, step: Step, **special: str | int | bytes) -> Redemption | Refusal | None:
        """Call the function of a capture, void or refund; `special` are the arguments that the others do not take."""
        addresses = self._addresses
        configuration = addresses.configuration
        bucket = bucket_of_id(REDEMPTION_PREFIX, step.redemption_id, configuration.buckets)
        if bucket is None:
            return await self._rates.terminal(step.terminal)
        if function != "refund":
            special["holds"] = keys.holds(bucket)
        call_id = new_id(REDEMPTION_PREFIX, bucket)
        till = addresses.till_keys(step.terminal, bucket)
        reply = await self._store.call(
            function,
            redemption=keys.redemption(bucket, step.redemption_id),
            ledger=keys.ledger_stream(bucket),
            cancelled=till.cancelled,
            till=addresses.till_terms(step.terminal).words,
            till_key=step.key or "",
            call_id=call_id,
            idempotency=addresses.idempotency_record(step.terminal, bucket, step.key) if step.key else "",
            fingerprint=step.fingerprint,
            context=step_context(
                step.terminal, configuration.version, step.key, step.bill, {"fingerprint": step.fingerprint}
            ),
            **step_arguments(addresses, step.terminal, bucket),
            **special,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        check_same_call(reply, call_id)
        outcome, replayed = Outcome(reply[1]), reply[2] == 1
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome is Outcome.RATE_LIMITED:
            return rate_refusal(configuration.policy, reply[3], reply[4])
        if outcome is not Outcome.APPLIED:
            return Refusal(outcome, None, reply[3], reply[4], replayed=replayed)
        return after_step(redemption_told(reply[5]), reply[6], replayed=replayed)


def step_arguments(addresses: Addresses, terminal: Terminal, bucket: int) -> dict[str, str | int]:
    """Return the arguments of every function that changes a redemption: whose it is, where its member is."""
    configuration = addresses.configuration
    return {
        "business": terminal.business.business_id,
        "currency": terminal.business.currency,
        "lots_prefix": keys.lots(bucket, ""),
        "member_prefix": keys.member(bucket, ""),
        "utc_offset": addresses.utc_offset(configuration.time_zone),
        "policy": configuration.policy.expired_lot,
    }


def _verdict_words(verdict: Refusal) -> str:
    """Return the gateway's own verdict as functions/redeem.lua takes it."""
    if verdict.outcome is Outcome.APPLIED:
        return "0"
    leg = -1 if verdict.leg is None else verdict.leg
    return f"{int(verdict.outcome)},{leg},{verdict.asked},{verdict.available},{detail_word(verdict.detail)}"


def _with_detail(result: Scanned | Refusal, scan: Scan, configuration: Configuration) -> Scanned | Refusal:
    """Return the result; a refusal that the function found of a benefit gets the sentence that names the rule."""
    if isinstance(result, Refusal) and result.leg is not None and result.detail is None:
        leg = scan.legs[result.leg]
        if isinstance(leg, BenefitLeg):
            detail = state_detail(configuration.benefits.get(leg.benefit_id), leg.benefit_id, result)
            return replace(result, detail=detail)
    return result


def check_same_call(reply: list[Any], call_id: str) -> None:
    """Raise `ReplyCrossed` for a reply that does not echo the id of its call."""
    if reply[0] != call_id.encode():
        raise ReplyCrossed(call_id)


def _result_of(reply: list[Any], redemption_id: str, member_id: str) -> Scanned | Refusal:
    """Return the value of functions/redeem.lua's reply. Raises `MemberMissing`, `ReplyCrossed`."""
    check_same_call(reply, redemption_id)
    replayed = reply[2] == 1
    if reply[1] == 0:
        return Scanned(reply[9].decode() if replayed else redemption_id, reply[8], replayed)
    outcome = Outcome(reply[1])
    if outcome in (Outcome.MEMBER_MISSING, Outcome.LIMIT_REACHED):
        raise MemberMissing(member_id)
    leg = None if reply[3] < 0 else reply[3]
    word = reply[8] if len(reply) > 8 else b"-"
    return refusal_of_word(outcome, leg, reply[4], reply[5], word, replayed=replayed)
