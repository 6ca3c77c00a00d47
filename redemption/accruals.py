"""The use cases of earning: a purchase earns points, and an accrual is reversed."""

from dataclasses import dataclass, replace
from typing import Final

from redemption.addresses import Addresses, MemberAddress
from redemption.call_rates import CallRates, rate_refusal
from redemption.configuration.current import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill
from redemption.domain.limits import VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import EarnCeiling, Outcome, Refusal
from redemption.domain.redemptions import ACCRUAL_PREFIX, Accrual, accrual_from_record, bucket_of_id, new_id
from redemption.domain.text import grouped
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.known_keys import KeyRecord
from redemption.legs import step_context
from redemption.rules.earning import ceilings_of, earned, growth_value, points_by_tier
from redemption.service import MemberMissing, check_same_call


@dataclass(frozen=True, slots=True)
class Purchase:
    """One authenticated purchase by the member of a code, or by a member named by number (`code` None)."""

    terminal: Terminal
    member_number: int
    code: CodeUse | None
    key: str
    fingerprint: str
    bill: Bill
    confirm_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Reversed:
    """A reversed accrual: the points taken back from its lot, and those the member owes since."""

    accrual: Accrual
    taken_back: int
    owed: int
    balance_points: int
    replayed: bool


_CEILINGS: Final = {
    EarnCeiling.NONE: "",
    EarnCeiling.BILL_MINOR: "The bill is {asked} minor units; a bill that earns may be {available} here at most",
    EarnCeiling.BILL_POINTS: "The bill would earn {asked} points; one bill earns {available} here at most",
    EarnCeiling.MEMBER_DAY_POINTS: "{asked} points asked, {available} left of what this member may earn today",
    EarnCeiling.TERMINAL_DAY_POINTS: "{asked} points asked, {available} left of what this terminal may issue today",
}
"""The sentence for each ceiling that functions/accrue.lua finds reached."""
_EARNED_BEFORE: Final = (
    "This bill has earned already; confirm_duplicate lets another amount of it through, never the same one"
)


def _detail(outcome: Outcome, asked: int, available: int, which: int) -> str | None:
    """Return the sentence for a refusal that only accruals have; None for every other."""
    if outcome is Outcome.POSSIBLE_DUPLICATE:
        return _EARNED_BEFORE
    if outcome is Outcome.EARNING_LIMIT_REACHED:
        return _CEILINGS[EarnCeiling(which)].format(asked=grouped(asked), available=grouped(available))
    return None


def _explained(refusal: Refusal, which: int) -> Refusal:
    """Return the refusal with the sentence that only accruals have. `which`: an `EarnCeiling`."""
    detail = _detail(refusal.outcome, refusal.asked, refusal.available, which)
    is_money = refusal.outcome is Outcome.EARNING_LIMIT_REACHED and which == EarnCeiling.BILL_MINOR
    return replace(refusal, detail=detail, is_money=is_money)


def refusal_of_key(record: KeyRecord, fingerprint: str) -> Refusal | None:
    """Return the refusal that a purchase was answered with under a key; None where it was applied."""
    refusal = record.refusal(fingerprint)
    if refusal is None:
        return None
    return _explained(refusal, int(record.words[2]) if len(record.words) > 2 else 0)


class Accruals:
    """Use cases over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def accrue(self, purchase: Purchase) -> Accrual | Refusal | None:
        """Credit the points that the bill earns, once per (terminal, key).

        Returns None where there is no such member, or where the member was named by number and this outlet did not scan
        that member within `SEEN_SECONDS`. Raises `HotStoreFault`, `MemberMissing`, `ReplyCrossed`.
        """
        addresses, code = self._addresses, purchase.code
        configuration = addresses.configuration
        who = addresses.member(purchase.member_number)
        accrual_id = new_id(ACCRUAL_PREFIX, who.bucket)
        reply = await self._store.call(
            "accrue",
            accrual=keys.accrual(who.bucket, accrual_id),
            accrual_id=accrual_id,
            till=addresses.till_terms(purchase.terminal).words,
            till_key=purchase.key,
            fingerprint=purchase.fingerprint,
            member_id=who.member_id,
            confirmed=1 if purchase.confirm_duplicate else 0,
            amount=purchase.bill.amount_minor,
            marker=code.marker if code else "",
            code_time=code.made_at if code else 0,
            code_refusal=int(code.refusal.outcome) if code and code.refusal else 0,
            utc_offset=addresses.utc_offset(configuration.time_zone),
            **self._keys(purchase, who),
            **self._terms(purchase),
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        check_same_call(reply, accrual_id)
        outcome, replayed = Outcome(reply[1]), reply[2] == 1
        if outcome is Outcome.APPLIED:
            return accrual_from_record(reply[5], replayed=replayed)
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome in (Outcome.MEMBER_MISSING, Outcome.LIMIT_REACHED):
            raise MemberMissing(who.member_id)
        if outcome is Outcome.RATE_LIMITED:
            return rate_refusal(configuration.policy, reply[3], reply[4])
        refusal = Refusal(outcome, None, reply[3], reply[4], replayed=replayed)
        return _explained(refusal, reply[5]) if len(reply) > 5 else refusal

    def _keys(self, purchase: Purchase, who: MemberAddress) -> dict[str, str]:
        """Return the keys of functions/accrue.lua but the accrual's own."""
        addresses, terminal = self._addresses, purchase.terminal
        till = addresses.till_keys(terminal, who.bucket)
        outlet_bucket = addresses.outlet_bucket(terminal, who.bucket)
        return {
            "idempotency": till.idempotency_prefix + purchase.key,
            "member": keys.member(who.bucket, who.member_id),
            "lots": keys.lots(who.bucket, who.member_id),
            "code": keys.code(who.bucket, who.number, purchase.code.slot if purchase.code else 0),
            "ledger": keys.ledger_stream(who.bucket),
            "recent": keys.recent(who.bucket, who.member_id, terminal.outlet_id),
            "guess_terminal": till.guess_terminal,
            "guess_outlet": till.guess_outlet,
            "bill": keys.bill(outlet_bucket, terminal.outlet_id, purchase.bill.reference),
            "cancelled": till.cancelled,
            "earned_member": keys.earned(who.bucket, who.member_id),
            "earned_terminal": till.earned_terminal,
        }

    def _terms(self, purchase: Purchase) -> dict[str, str | int | bytes]:
        """Return what the purchase earns by the rules in force, and the context that the ledger keeps of it."""
        configuration, terminal, code = self._addresses.configuration, purchase.terminal, purchase.code
        rules = terminal.business.earn
        most = ceilings_of(configuration.policy.earn_ceilings, rules.ceilings)
        base = earned(rules, purchase.bill)
        by_tier = points_by_tier(rules, base, {tier.tier_id: tier.rules for tier in configuration.tiers})
        restore = {
            "fingerprint": purchase.fingerprint,
            "code": [code.slot, code.marker] if code else None,
            "growth": growth_value(base),
            "validity_months": rules.validity_months,
            "crossing_days": rules.crossing_days,
        }
        return {
            "ceilings": f"{most.bill_minor},{most.bill_points},{most.member_day_points},{most.terminal_day_points}",
            "validity_months": rules.validity_months,
            "crossing_days": rules.crossing_days,
            "growth": growth_value(base),
            "by_tier": ";".join(f"{tier},{plain},{bonus}" for tier, (plain, bonus) in by_tier.items()),
            "context": step_context(terminal, configuration.version, purchase.key, purchase.bill, restore),
        }

    async def reverse(
        self, terminal: Terminal, accrual_id: str, *, key: str | None, fingerprint: str
    ) -> Reversed | Refusal | None:
        """Take back what is left of an accrual's points, once.

        Returns None where this business has no such accrual. Raises `HotStoreFault`, `ReplyCrossed`.
        """
        addresses = self._addresses
        configuration = addresses.configuration
        bucket = bucket_of_id(ACCRUAL_PREFIX, accrual_id, configuration.buckets)
        if bucket is None:
            return await CallRates(self._store, addresses).terminal(terminal)
        call_id = new_id(ACCRUAL_PREFIX, bucket)
        till = addresses.till_keys(terminal, bucket)
        reply = await self._store.call(
            "reverse_accrual",
            cancelled=till.cancelled,
            till=addresses.till_terms(terminal).words,
            till_key=key or "",
            accrual=keys.accrual(bucket, accrual_id),
            ledger=keys.ledger_stream(bucket),
            call_id=call_id,
            idempotency=addresses.idempotency_record(terminal, bucket, key) if key else "",
            fingerprint=fingerprint,
            business=terminal.business.business_id,
            lots_prefix=keys.lots(bucket, ""),
            member_prefix=keys.member(bucket, ""),
            utc_offset=addresses.utc_offset(configuration.time_zone),
            window_seconds=configuration.policy.refund_window_seconds,
            context=step_context(terminal, configuration.version, key, restore={"fingerprint": fingerprint}),
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        check_same_call(reply, call_id)
        outcome, replayed = Outcome(reply[1]), reply[2] == 1
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome is Outcome.RATE_LIMITED:
            return rate_refusal(configuration.policy, reply[3], reply[4])
        if outcome is not Outcome.APPLIED:
            return Refusal(outcome, replayed=replayed)
        return Reversed(accrual_from_record(reply[5]), reply[6], reply[7], reply[8], replayed)
