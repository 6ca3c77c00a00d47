"""What a member has, and what of it may be used at a place: reads for the member app and for `prepare`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from redemption.addresses import Addresses, MemberAddress
from redemption.call_rates import MEMBER, own_calls, rate_refusal
from redemption.configuration.current import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill, Leg
from redemption.domain.limits import SLOT_SECONDS, SLOTS_AHEAD_MAX, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.rules.basket import Priced
from redemption.rules.offers import Holding, Offers, offers
from redemption.rules.quote import quote
from redemption.service import MemberMissing

MemberStatus = Literal["active", "blocked"]
NEVER = 999_999
"""Sorts what never expires behind every month."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot of a member. `expires_month` is yyyymm, None for one that never expires."""

    asset: str
    issuer: str
    expires_month: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class MemberState:
    """What the hot store knows of a member. Lots are first to expire first; uses are of this month and day."""

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
        """What there is of an asset over all lots."""
        return sum(lot.amount for lot in self.lots if lot.asset == asset)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Who it is, what may be used here, and what the legs that were asked about come to (None: none were)."""

    member: MemberState
    offers: Offers
    quote: Priced | None


class Memberships:
    """Reads over one hot store."""

    def __init__(self, store: HotStore, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    async def free_slots(self, member_number: int, count: int, spacing: int) -> list[int] | Refusal:
        """Slots for the member's next `count` codes, each at least `spacing` after the one before; fewer, or none,
        when the codes of the time ahead are used up. Refuses a blocked member, and calls beyond the member's rate."""
        who, policy = self._addresses.member(member_number), self._addresses.configuration.policy
        outcome, seconds, *slots = await self._store.call(
            "free",
            member=keys.member(who.bucket, who.member_id),
            rate=own_calls(self._addresses, member_number),
            rate_most=policy.member_rate,
            code_prefix=keys.code_prefix(who.bucket, member_number),
            first=self._addresses.slot_now(),
            count=count,
            spacing=spacing,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if outcome == Outcome.RATE_LIMITED:
            return rate_refusal(policy, MEMBER, seconds)
        return Refusal(Outcome(outcome)) if outcome else slots

    def after_every_code(self) -> int:
        """The second before which every code was made that was made until now, those fetched ahead too."""
        return (self._addresses.slot_now() + SLOTS_AHEAD_MAX) * SLOT_SECONDS

    async def set_status(self, member_number: int, *, blocked: bool, codes_valid_from: int | None) -> bool:
        """Blocks or unblocks a member; refuses codes made before a second (None: leaves that). False: there is no such
        member."""
        who = self._addresses.member(member_number)
        (found,) = await self._store.call(
            "status",
            member=keys.member(who.bucket, who.member_id),
            status="blocked" if blocked else "active",
            codes_valid_from="" if codes_valid_from is None else codes_valid_from,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return bool(found == 1)

    async def member(self, member_number: int) -> MemberState | None:
        """A member's state; None when there is no such member."""
        addresses, who = self._addresses, self._addresses.member(member_number)
        offset = addresses.utc_offset(addresses.configuration.time_zone)
        reply = await self._store.call(
            "look",
            member=keys.member(who.bucket, who.member_id),
            lots=keys.lots(who.bucket, who.member_id),
            uses=keys.uses(who.bucket, who.member_id),
            utc_offset=offset,
            outlet_offset=offset,
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return _member_state(who.member_id, reply) if reply[1] else None

    async def of_code(self, terminal: Terminal, code: CodeUse, bill: Bill | None = None) -> MemberState | Refusal:
        """Return the member of a code that could be used now, blocked or not. Uses nothing up; from now on the outlet
        has scanned the member, where the code is good.

        Raises `MemberMissing` and the hot store's faults.
        """
        who = self._addresses.member(code.member_number)
        member = await self._scanned(who, terminal, code, bill)
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
        """What the member of a code may use at this terminal for this bill, and what `legs` come to. Uses nothing up.

        Raises `MemberMissing` and the hot store's faults.
        """
        member = await self.of_code(terminal, code, bill)
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
        local = self._addresses.local(terminal.time_zone)
        found = offers(terminal.place, configuration.benefits, ranks, holding, bill, local)
        priced = None
        if legs is not None:
            priced = quote(terminal.place, configuration.benefits, ranks, holding, legs, bill, local)
        return Prepared(member, found, priced)

    async def _scanned(
        self, who: MemberAddress, terminal: Terminal, code: CodeUse, bill: Bill | None
    ) -> MemberState | Refusal:
        addresses = self._addresses
        till = addresses.till(terminal, who.bucket)
        stay = bill.stay if bill is not None else None
        outcome, whose, seconds, *found = await self._store.call(
            "prepare",
            member=keys.member(who.bucket, who.member_id),
            lots=keys.lots(who.bucket, who.member_id),
            code=keys.code(who.bucket, who.number, code.slot),
            uses=keys.uses(who.bucket, who.member_id),
            stay=keys.stay(who.bucket, who.member_id, terminal.business.business_id, stay) if stay else "",
            rate_terminal=till.rate_terminal,
            rate_outlet=till.rate_outlet,
            rate_member=keys.rate(who.bucket, who.member_id),
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
    """Reads functions/look.lua's reply."""
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
