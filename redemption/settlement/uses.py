"""Uses of a ledger transaction: one `Use` for each asset and issuing business, with its face value.

The lots of one issuer that differ only in their month of expiry are one use. Units are those of the ledger's postings
to `business_redeemed`, so all uses of a pair sum to what the ledger says; negative units are given back.

Face value: each leg's `value_minor` (what it took off the bill). The postings of an asset are in the order of the legs,
and a capture takes from the first leg first, so postings are laid against the legs in turn. A leg taken in part counts
in proportion, rounded down, as the till received it; a leg's value is spread over its issuers by units, by largest
remainder. Without legs the face value is unknown, but for stored value, which is its own.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from redemption.domain.redemptions import BENEFIT_PREFIX, UNIT
from redemption.projections.rows import LedgerRow
from redemption.settlement.business_days import OutletDay
from redemption.settlement.definitions import instrument_of
from redemption.settlement.rating import split


class Use(NamedTuple):
    """Units of an asset of one issuer in one ledger transaction. `units_in_use` counts every issuer's."""

    line_id: str
    bucket: int
    epoch: int
    entry_ms: int
    entry_seq: int
    ledger_kind: str
    subject_id: str
    issuer: str
    acceptor: str
    asset: str
    units: int
    units_in_use: int
    face_value_minor: int | None
    currency: str | None
    outlet: str | None
    bill_reference: str | None
    occurred_at: datetime.datetime
    local_day: datetime.date


class RedeemedPosting(NamedTuple):
    """A posting to business_redeemed."""

    asset: str
    acceptor: str
    issuer: str
    amount: int


@dataclass(frozen=True, slots=True)
class Places:
    """The configuration that settlement needs: the businesses' currencies, the outlets' days, the group's zone.

    `days` has the outlets whose days are not the calendar days of the group's zone.
    """

    currencies: Mapping[str, str]
    days: Mapping[str, OutletDay]
    zone: ZoneInfo

    def day_at(self, outlet: str | None) -> OutletDay:
        """Return when the days of an outlet begin; without an outlet, those of the group."""
        return self.days.get(outlet or "") or OutletDay(self.zone)

    def local_day(self, outlet: str | None, moment: datetime.datetime) -> datetime.date:
        """Return the business day of a moment at an outlet."""
        return self.day_at(outlet).day_of(moment)

    def earliest_day_running(self, moment: datetime.datetime) -> datetime.date:
        """Return the earliest business day that is still running at some outlet."""
        return min(day.day_of(moment) for day in {OutletDay(self.zone), *self.days.values()})


def uses_of(row: LedgerRow, legs: object, places: Places) -> list[Use]:
    """Return the uses of one transaction, by asset and issuer; its business is where they were made."""
    by_asset: dict[tuple[str, str], list[RedeemedPosting]] = {}
    for move in row.moves:
        if "R" in (move.source, move.target):
            assert row.business is not None
            amount = move.amount if move.target == "R" else -move.amount
            posting = RedeemedPosting(move.asset, row.business, move.issuer, amount)
            by_asset.setdefault((posting.asset, posting.acceptor), []).append(posting)
    day = places.local_day(row.outlet, row.occurred_at)
    place = row.place
    uses: list[Use] = []
    number = 0
    for (asset, acceptor), group in sorted(by_asset.items()):
        units: dict[str, int] = {}
        for posting in group:
            units[posting.issuer] = units.get(posting.issuer, 0) + posting.amount
        faces = face_values(legs, asset, group)
        currency = asset if instrument_of(asset) == "stored_value" else places.currencies.get(acceptor, row.currency)
        in_use = sum(abs(amount) for amount in units.values())
        for issuer in sorted(units):
            number += 1
            if units[issuer] == 0:
                continue
            uses.append(
                Use(
                    line_id=f"stl_{row.bucket}-{place.epoch}-{place.entry_ms}-{place.entry_seq}-{number}",
                    bucket=row.bucket,
                    epoch=place.epoch,
                    entry_ms=place.entry_ms,
                    entry_seq=place.entry_seq,
                    ledger_kind=row.kind,
                    subject_id=row.subject_id,
                    issuer=issuer,
                    acceptor=acceptor,
                    asset=asset,
                    units=units[issuer],
                    units_in_use=in_use,
                    face_value_minor=faces.get(issuer),
                    currency=currency,
                    outlet=row.outlet,
                    bill_reference=row.bill_reference,
                    occurred_at=row.occurred_at,
                    local_day=day,
                )
            )
    return uses


def face_values(legs: object, asset: str, postings: Sequence[RedeemedPosting]) -> dict[str, int]:
    """Return the face value by issuer of the postings of one asset; a missing issuer has an unknown one."""
    faces: dict[str, int] = {}
    waiting = [(posting.issuer, posting.amount) for posting in postings if posting.amount > 0]
    for units, value in _legs_of(legs, asset):
        room, taken = units, dict[str, int]()
        while room > 0 and waiting:
            issuer, amount = waiting[0]
            part = min(room, amount)
            taken[issuer] = taken.get(issuer, 0) + part
            room -= part
            waiting[:1] = [(issuer, amount - part)] if part < amount else []
        issuers = sorted(taken)
        parts = split(value * (units - room) // units, [taken[issuer] for issuer in issuers]) if issuers else []
        for issuer, part in zip(issuers, parts, strict=True):
            faces[issuer] = faces.get(issuer, 0) + part
    stored_value = instrument_of(asset) == "stored_value"
    for issuer, amount in waiting:
        if stored_value:
            faces[issuer] = faces.get(issuer, 0) + amount
        else:
            faces.pop(issuer, None)
    return faces


def _legs_of(legs: object, asset: str) -> list[tuple[int, int]]:
    """Return units and value of the legs of an asset, as the context has them; one that cannot be read is left out."""
    instrument = instrument_of(asset)
    found: list[tuple[int, int]] = []
    for leg in legs if isinstance(legs, list) else ():
        if not isinstance(leg, dict) or leg.get("kind") != instrument:
            continue
        if instrument == "benefit" and leg.get("benefit_id") != asset.removeprefix(BENEFIT_PREFIX):
            continue
        units, value = leg.get(UNIT[instrument]), leg.get("value_minor")
        if type(units) is int and type(value) is int and units > 0 and value >= 0:
            found.append((units, value))
    return found
