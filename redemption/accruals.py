"""The use cases of earning: a purchase earns points, and an accrual is reversed."""

from dataclasses import dataclass

from redemption.addresses import Addresses
from redemption.directory import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill
from redemption.domain.limits import VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.redemptions import ACCRUAL_PREFIX, Accrual, accrual_from_record, bucket_of_id, new_id
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.legs import step_context
from redemption.rules.earning import earned, growth_value, points_by_tier
from redemption.service import MemberMissing, ReplyCrossed


@dataclass(frozen=True, slots=True)
class Purchase:
    """One authenticated purchase: of the member of a code, or of a member named by number."""

    terminal: Terminal
    member_number: int
    code: CodeUse | None
    key: str
    fingerprint: str
    bill: Bill


@dataclass(frozen=True, slots=True)
class Reversed:
    """An accrual taken back: what was left in its lot, and what the member owes since."""

    accrual: Accrual
    taken_back: int
    owed: int
    balance_points: int
    replayed: bool


class Accruals:
    """Use cases over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def accrue(self, purchase: Purchase) -> Accrual | Refusal | None:
        """Credits what the bill earns, once per (terminal, key). None: there is no such member.

        Raises the hot store's faults, `MemberMissing`.
        """
        addresses, terminal, code = self._addresses, purchase.terminal, purchase.code
        directory = addresses.directory
        who = addresses.member(purchase.member_number)
        rules = terminal.business.earn
        base = earned(rules, purchase.bill)
        by_tier = points_by_tier(rules, base, {tier.tier_id: tier.rules for tier in directory.tiers})
        accrual_id = new_id(ACCRUAL_PREFIX, who.bucket)
        reply = await self._store.call(
            "accrue",
            idempotency=addresses.idempotency(terminal, who.bucket, purchase.key),
            member=keys.member(who.bucket, who.member_id),
            lots=keys.lots(who.bucket, who.member_id),
            code=keys.code(who.bucket, who.number, code.slot if code else 0),
            accrual=keys.accrual(who.bucket, accrual_id),
            ledger=keys.ledger_stream(who.bucket),
            accrual_id=accrual_id,
            fingerprint=purchase.fingerprint,
            member_id=who.member_id,
            business=terminal.business.business_id,
            marker=code.marker if code else "",
            code_time=code.made_at if code else 0,
            code_refusal=int(code.refusal.outcome) if code and code.refusal else 0,
            utc_offset=addresses.utc_offset(directory.time_zone),
            validity_months=rules.validity_months,
            crossing_days=rules.crossing_days,
            growth=growth_value(base),
            by_tier=";".join(f"{tier},{plain},{bonus}" for tier, (plain, bonus) in by_tier.items()),
            context=step_context(
                terminal,
                directory.version,
                purchase.key,
                purchase.bill,
                {
                    "fingerprint": purchase.fingerprint,
                    "code": [code.slot, code.marker] if code else None,
                    "growth": growth_value(base),
                    "validity_months": rules.validity_months,
                    "crossing_days": rules.crossing_days,
                },
            ),
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if reply[0] != accrual_id.encode():
            raise ReplyCrossed(accrual_id)
        outcome, replayed = Outcome(reply[1]), reply[2] == 1
        if outcome is Outcome.APPLIED:
            return accrual_from_record(reply[5], replayed=replayed)
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome in (Outcome.MEMBER_MISSING, Outcome.LIMIT_REACHED):
            raise MemberMissing(who.member_id)
        return Refusal(outcome, replayed=replayed)

    async def reverse(
        self, terminal: Terminal, accrual_id: str, *, key: str | None, fingerprint: str
    ) -> Reversed | Refusal | None:
        """Takes back what is left of an accrual's points. None: this business has no such accrual."""
        addresses = self._addresses
        directory = addresses.directory
        bucket = bucket_of_id(ACCRUAL_PREFIX, accrual_id, directory.buckets)
        if bucket is None:
            return None
        call_id = new_id(ACCRUAL_PREFIX, bucket)
        reply = await self._store.call(
            "unaccrue",
            accrual=keys.accrual(bucket, accrual_id),
            ledger=keys.ledger_stream(bucket),
            call_id=call_id,
            idempotency=addresses.idempotency(terminal, bucket, key) if key else "",
            fingerprint=fingerprint,
            business=terminal.business.business_id,
            lots_prefix=keys.lots(bucket, ""),
            member_prefix=keys.member(bucket, ""),
            utc_offset=addresses.utc_offset(directory.time_zone),
            window_seconds=directory.policy.refund_window_seconds,
            context=step_context(terminal, directory.version, key, restore={"fingerprint": fingerprint}),
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if reply[0] != call_id.encode():
            raise ReplyCrossed(call_id)
        outcome, replayed = Outcome(reply[1]), reply[2] == 1
        if outcome is Outcome.NOT_FOUND:
            return None
        if outcome is not Outcome.APPLIED:
            return Refusal(outcome, replayed=replayed)
        return Reversed(accrual_from_record(reply[5]), reply[6], reply[7], reply[8], replayed)
