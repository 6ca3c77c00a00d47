"""The use cases of a membership: a member's state, slots for the next codes, and what may be used at a place.

Guarantees: they change no value and use up no code. Each is one round trip to one function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from redemption.addresses import Addresses, MemberAddress
from redemption.call_rates import own_calls, rate_refusal
from redemption.configuration.current import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill, Leg
from redemption.domain.limits import SLOT_SECONDS, SLOTS_AHEAD_MAX, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, RateSubject, Refusal
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.rules.offers import Holding, Offers, offers
from redemption.rules.pricing import Priced
from redemption.rules.quote import quote
from redemption.service import MemberMissing

MemberStatus = Literal["active", "blocked"]
NEVER = 999_999
"""The month by which a lot that never expires is sorted: after every other."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot of a member. `expires_month` is yyyymm, None for one that never expires."""

    asset: str
    issuer: str
    expires_month: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member as the hot store has it. Lots are first to expire first; uses are of this month, day and stay."""

    member_id: str
    tier: str
    display_name: str
    status: MemberStatus
    codes_valid_from: int
    points_held: int
    growth: int
    owed: int
    lots: tuple[Lot, ...]
    code_used: bool
    used_today: Mapping[str, int]
    used_month: Mapping[str, int]
    used_stay: Mapping[str, int]

    def sum_of(self, asset: str) -> int:
        """Return how much of an asset all lots have together."""
        return sum(lot.amount for lot in self.lots if lot.asset == asset)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The member of a code, what may be used at a place, and the quote of a basket (None: none was asked for)."""

    member: MemberState
    offers: Offers
    quote: Priced | None


class Memberships:
    """Reads over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def next_free_slots(self, member_number: int, count: int, spacing: int) -> list[int] | Refusal:
        """Return slots for the member's next `count` codes, each at least `spacing` slots after the one before.

        Fewer, or none, are returned when the codes of the time ahead are used up. Refuses a blocked member, and calls
        beyond the member's rate. Raises `HotStoreFault`.
        """
        who, policy = self._addresses.member(member_number), self._addresses.configuration.policy
        outcome, seconds, *slots = await self._store.call(
            "next_free_slots",
            member=keys.member(who.bucket, who.member_id),
            subject=own_calls(member_number),
            rate=policy.member_rate,
            code_prefix=keys.code_prefix(who.bucket, member_number),
            first=self._addresses.slot_now(),
            count=count,
            spacing=spacing,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if outcome == Outcome.RATE_LIMITED:
            return rate_refusal(policy, RateSubject.MEMBER, seconds)
        return Refusal(Outcome(outcome)) if outcome else slots

    def end_of_issued_codes(self) -> int:
        """Return the Unix second before which every code issued until now was made, those fetched ahead too."""
        return (self._addresses.slot_now() + SLOTS_AHEAD_MAX) * SLOT_SECONDS

    async def set_status(self, member_number: int, *, blocked: bool, codes_valid_from: int | None) -> bool:
        """Block or unblock a member, and revoke the codes made before a Unix second (None: revoke none).

        Returns False where there is no such member. Raises `HotStoreFault`.
        """
        who = self._addresses.member(member_number)
        (found,) = await self._store.call(
            "status",
            member=keys.member(who.bucket, who.member_id),
            status="blocked" if blocked else "active",
            codes_valid_from="" if codes_valid_from is None else codes_valid_from,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return bool(found == 1)

    async def find(self, member_number: int) -> MemberState | None:
        """Return a member's state; None when there is no such member. Raises `HotStoreFault`."""
        addresses, who = self._addresses, self._addresses.member(member_number)
        offset = addresses.utc_offset(addresses.configuration.time_zone)
        reply = await self._store.call(
            "read_member",
            member=keys.member(who.bucket, who.member_id),
            lots=keys.lots(who.bucket, who.member_id),
            uses=keys.uses(who.bucket, who.member_id),
            utc_offset=offset,
            outlet_offset=offset,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return _member_state(who.member_id, reply) if reply[1] else None

    async def find_by_code(self, terminal: Terminal, code: CodeUse, bill: Bill | None = None) -> MemberState | Refusal:
        """Return the member of a code that could be used now, blocked or not.

        A good code counts as a scan of the member at this outlet. Raises `HotStoreFault`, `MemberMissing`.
        """
        who = self._addresses.member(code.member_number)
        member = await self._read_scanned(who, terminal, code, bill)
        if isinstance(member, Refusal):
            return member
        for outcome, holds in (
            (Outcome.CODE_EXPIRED, code.expired),
            (Outcome.CODE_USED, member.code_used),
            (Outcome.CODE_REVOKED, code.revoked or code.made_at < member.codes_valid_from),
        ):
            if holds:
                return Refusal(outcome)
        return member

    async def prepare(
        self, terminal: Terminal, code: CodeUse, bill: Bill | None, legs: tuple[Leg, ...] | None = None
    ) -> Prepared | Refusal:
        """Return what the member of a code may use at this terminal for this bill, and the quote of `legs`.

        Raises `HotStoreFault`, `MemberMissing`.
        """
        member = await self.find_by_code(terminal, code, bill)
        if isinstance(member, Refusal):
            return member
        if member.status == "blocked":
            return Refusal(Outcome.MEMBER_BLOCKED)
        configuration = self._addresses.configuration
        holding = Holding(
            tier=member.tier,
            lots={(lot.asset, f"{lot.expires_month or '-'}.{lot.issuer}"): lot.amount for lot in member.lots},
            used_today=member.used_today,
            used_month=member.used_month,
            used_stay=member.used_stay,
        )
        ranks = {tier.tier_id: tier.rank for tier in configuration.tiers}
        local = self._addresses.local_time(terminal.time_zone)
        found = offers(terminal.place, configuration.benefits, ranks, holding, bill, local)
        priced = None
        if legs is not None:
            priced = quote(terminal.place, configuration.benefits, ranks, holding, legs, bill, local)
        return Prepared(member, found, priced)

    async def _read_scanned(
        self, who: MemberAddress, terminal: Terminal, code: CodeUse, bill: Bill | None
    ) -> MemberState | Refusal:
        addresses = self._addresses
        stay = bill.stay if bill is not None else None
        outcome, whose, seconds, *found = await self._store.call(
            "prepare",
            member=keys.member(who.bucket, who.member_id),
            lots=keys.lots(who.bucket, who.member_id),
            code=keys.code(who.bucket, who.number, code.slot),
            uses=keys.uses(who.bucket, who.member_id),
            stay=keys.stay(who.bucket, who.member_id, terminal.business.business_id, stay) if stay else "",
            recent=keys.recent(who.bucket, who.member_id, terminal.outlet_id),
            member_id=who.member_id,
            till=addresses.till_terms(terminal).words,
            utc_offset=addresses.utc_offset(addresses.configuration.time_zone),
            outlet_offset=addresses.utc_offset(terminal.time_zone),
            marker=code.marker,
            code_time=code.made_at,
            good=0 if code.expired or code.revoked else 1,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if outcome == Outcome.RATE_LIMITED:
            return rate_refusal(addresses.configuration.policy, whose, seconds)
        reply = found[0]
        if not reply[1]:
            raise MemberMissing(who.member_id)
        return _member_state(who.member_id, reply)


def _member_state(member_id: str, reply: list[Any]) -> MemberState:
    """Return the member behind the table of member_reply (functions/lifecycle.lua)."""
    _, state, flat, used, day, month_uses, stay_uses = reply
    tier, name, status, valid_from, held, growth, owed = (value.decode() for value in state)
    lots = sorted(
        (_lot(flat[i].decode(), int(flat[i + 1])) for i in range(0, len(flat), 2)),
        key=lambda lot: (lot.asset, lot.expires_month or NEVER, lot.issuer),
    )
    counts = _counts(month_uses)
    suffix = day.decode()
    return MemberState(
        member_id=member_id,
        tier=tier,
        display_name=name,
        status=cast(MemberStatus, status),
        codes_valid_from=int(valid_from or 0),
        points_held=int(held or 0),
        growth=int(growth or 0),
        owed=int(owed or 0),
        lots=tuple(lots),
        code_used=used == 1,
        used_today={field.removesuffix(suffix): n for field, n in counts.items() if field.endswith(suffix)},
        used_month={field: n for field, n in counts.items() if ":" not in field},
        used_stay=_counts(stay_uses),
    )


def _lot(field: str, amount: int) -> Lot:
    asset, _, lot = field.partition("/")
    month, _, issuer = lot.partition(".")
    return Lot(asset, issuer, None if month == "-" else int(month), amount)


def _counts(flat: list[bytes]) -> dict[str, int]:
    return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}
