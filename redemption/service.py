"""The use cases: what a till or a member can have done, told in the words of the domain.

Guarantees: an outcome (applied or refused) is a returned value; a raised fault says whether anything can have happened.
Knows no HTTP: the gateway turns requests into these calls and values into answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from redemption.directory import Directory, Terminal
from redemption.domain import members
from redemption.domain.clock import Clock
from redemption.domain.commands import Bill, Leg
from redemption.domain.limits import FRESH_SLOTS_MAX, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Outcome, Refusal
from redemption.domain.redemptions import (
    LotPart,
    Redemption,
    bucket_of_redemption,
    lot_part,
    new_redemption_id,
    redemption_from_record,
)
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.rules import points as point_rules


@dataclass(frozen=True, slots=True)
class Scan:
    """One authenticated scan: whose code at which terminal, and the basket. `marker` and `code_time` name the code."""

    terminal: Terminal
    member_number: int
    slot: int
    marker: str
    code_time: int
    code_expired: bool
    key: str
    fingerprint: str
    bill: Bill | None
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class MemberState:
    """What the hot store knows of a member."""

    member_id: str
    tier: str
    display_name: str
    status: str
    lots: list[LotPart]


class MemberMissing(Exception):
    """The hot store has no such member: it was lost or never loaded. Nothing was applied."""


class ReplyCrossed(Exception):
    """The hot store's reply belongs to another call. Never seen; the echoed id is checked so that it never is."""


class Redemptions:
    """Use cases over one hot store. `directory` gives the configuration in force at this moment."""

    def __init__(
        self, store: HotStore, directory: Callable[[], Directory], clock: Clock, *, cluster: bool = False
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._cluster = cluster
        self._offset: tuple[int, str, int] | None = None

    async def verify(self, scan: Scan, *, deadline_seconds: float = VERIFY_DEADLINE_SECONDS) -> Redemption | Refusal:
        """Applies the whole basket or nothing, once per (terminal, key). One round trip.

        Raises `HotStoreFault` of redemption/hot/connection.py, `MemberMissing`.
        """
        directory = self._directory()
        terminal, number = scan.terminal, scan.member_number
        bucket = members.bucket_of(number, directory.buckets)
        member_id = members.member_id(number)
        redemption_id = new_redemption_id(bucket)
        verdict = point_rules.examine(terminal.business.points, scan.legs, scan.bill)
        if scan.code_expired:
            verdict = Refusal(Outcome.CODE_EXPIRED)
        reply = await self._store.redeem(
            idempotency=keys.idempotency(
                self._key_bucket(terminal.terminal_id, bucket, directory.buckets),
                terminal.terminal_id,
                scan.key,
            ),
            member=keys.member(bucket, member_id),
            lots=keys.lots(bucket, member_id),
            code=keys.code(bucket, number, scan.slot),
            redemption=keys.redemption(bucket, redemption_id),
            ledger=keys.ledger_stream(bucket),
            redemption_id=redemption_id,
            fingerprint=scan.fingerprint,
            verdict=int(verdict.outcome),
            verdict_leg=-1 if verdict.leg is None else verdict.leg,
            verdict_asked=verdict.asked,
            verdict_available=verdict.available,
            member_id=member_id,
            marker=scan.marker,
            code_time=scan.code_time,
            utc_offset=self._utc_offset(directory.time_zone),
            context=orjson.dumps(_context(scan, directory.version)),
            legs=";".join(f"{leg.kind},{leg.points}" for leg in scan.legs),
            deadline_seconds=deadline_seconds,
        )
        return _verified(reply, redemption_id, member_id)

    async def find(self, redemption_id: str, business_id: str) -> Redemption | None:
        """What became of a redemption, to the business it happened at; None to every other and when there is none."""
        bucket = bucket_of_redemption(redemption_id, self._directory().buckets)
        if bucket is None:
            return None
        flat = await self._store.read_redemption(
            redemption=keys.redemption(bucket, redemption_id), deadline_seconds=VERIFY_DEADLINE_SECONDS
        )
        if not flat:
            return None
        redemption = redemption_from_record(flat)
        return redemption if redemption.context["business"] == business_id else None

    async def free_slot(self, member_number: int, first: int) -> int | None:
        """The first code slot at or after `first` that nothing has used; None when every one ahead is used."""
        bucket = members.bucket_of(member_number, self._directory().buckets)
        position = await self._store.free_slot(
            slots=[keys.code(bucket, member_number, first + ahead) for ahead in range(FRESH_SLOTS_MAX)],
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        return None if position < 0 else first + position

    async def member(self, member_number: int) -> MemberState | None:
        """A member's state and the lots that may be spent, first to expire first; None when there is no such member."""
        directory = self._directory()
        bucket = members.bucket_of(member_number, directory.buckets)
        member_id = members.member_id(member_number)
        _, state, flat = await self._store.look(
            member=keys.member(bucket, member_id),
            lots=keys.lots(bucket, member_id),
            utc_offset=self._utc_offset(directory.time_zone),
            deadline_seconds=VERIFY_DEADLINE_SECONDS,
        )
        if not state:
            return None
        tier, name, status = (value.decode() for value in state)
        lots = [lot_part(flat[i].decode(), int(flat[i + 1])) for i in range(0, len(flat), 2)]
        return MemberState(member_id, tier, name, status, lots)

    def _key_bucket(self, terminal_id: str, member_bucket: int, buckets: int) -> int:
        """Where an idempotency record lives: one scan is one slot on a cluster; on a single server the terminal's
        bucket, so that a key reused with another member's code is seen too (I6, ADR 0003)."""
        return member_bucket if self._cluster else keys.bucket_of_terminal(terminal_id, buckets)

    def _utc_offset(self, time_zone: ZoneInfo) -> int:
        now = self._clock()
        quarter = int(now) // 900  # no zone changes its offset but at a quarter of an hour
        if self._offset is None or self._offset[:2] != (quarter, time_zone.key):
            offset = datetime.fromtimestamp(now, time_zone).utcoffset()
            self._offset = (quarter, time_zone.key, int(offset.total_seconds()) if offset else 0)
        return self._offset[2]


def _context(scan: Scan, version: int) -> dict[str, Any]:
    """What the ledger and the record keep beside the movement: where, under which key, bill, legs and rules."""
    terminal, bill = scan.terminal, scan.bill
    legs = [
        {
            "kind": leg.kind,
            "points": leg.points,
            "value_minor": point_rules.value_minor(terminal.business.points, leg.points),
        }
        for leg in scan.legs
    ]
    return {
        "business": terminal.business.business_id,
        "outlet": terminal.outlet_id,
        "terminal": terminal.terminal_id,
        "key": scan.key,
        "bill": bill and {"reference": bill.reference, "amount_minor": bill.amount_minor, "currency": bill.currency},
        "legs": legs,
        "rules": version,
    }


def _verified(reply: list[Any], redemption_id: str, member_id: str) -> Redemption | Refusal:
    """The value behind functions/redeem.lua's reply. Raises `MemberMissing`, `ReplyCrossed`."""
    if reply[0] != redemption_id.encode():
        raise ReplyCrossed(redemption_id)
    outcome, replayed = Outcome(reply[1]), reply[2] == 1
    if outcome is Outcome.APPLIED:
        return redemption_from_record(reply[6], replayed=replayed)
    if outcome in (Outcome.MEMBER_MISSING, Outcome.LIMIT_REACHED):
        raise MemberMissing(member_id)
    leg = None if reply[3] < 0 else reply[3]
    return Refusal(outcome, leg, reply[4], reply[5], replayed=replayed)
