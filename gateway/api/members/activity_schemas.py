"""Schemas of a member's movements, live and in the history, each with what builds it (docs/integrate.md).

Guarantees: a live notice and an entry of the history are built of one movement by one function, so they never differ.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.api.members.schemas import DeviceId, MemberBalance
from gateway.api.names import BusinessName, LocalizedNames, Name, OutletName
from gateway.http.responses import extended
from gateway.live.event_ids import position_text
from gateway.live.notice_texts import explanation_of, title_of
from gateway.scans.schemas import Instant, MonthOrNever, PointsCount, UsesCount, month_text
from redemption.devices.store import device_id
from redemption.domain.clock import instant
from redemption.domain.commands import AmountMinor, BenefitId, Currency, Reference
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS
from redemption.live.history import ActivityEntry as FoundEntry
from redemption.live.history import ActivityStatus
from redemption.live.movements import Change, CodeUsed, LotChange, MovementKind, MovementReason
from redemption.live.movements import Movement as LedgerMovement
from redemption.memberships import MemberState
from redemption.rules.definitions import BenefitDefinition
from tokens.claims import expires_at

EventId = Annotated[str, Meta(description="position in the stream; of rising order", examples=["1795346948396-0"])]
Count = Annotated[int, Meta(ge=0)]
Signed = Annotated[int, Meta(description="more for the member is positive")]


class UsedScanCode(Struct, tag_field="form", tag="scan"):
    """A code that the gateway made was used."""

    expires_at: Annotated[Instant, Meta(description="that of one of the codes of `POST /v1/me/codes`")]


class UsedOfflineCode(Struct, tag_field="form", tag="offline"):
    """A code that a device made by itself was used."""

    device_id: DeviceId
    step: Count


def _used_code(used: CodeUsed | None) -> UsedScanCode | UsedOfflineCode | None:
    """Build the code that a movement used."""
    if used is None:
        return None
    if used.device_number is not None:
        return UsedOfflineCode(device_id=device_id(used.device_number), step=used.slot)
    return UsedScanCode(expires_at=instant(expires_at(used.slot) * 1000))


class NoticeBill(Struct):
    """The bill, and the discount where it is known."""

    reference: Reference | None
    amount_minor: AmountMinor
    discount_minor: AmountMinor | None
    payable_minor: AmountMinor | None
    currency: Currency

    @classmethod
    def of(cls, movement: LedgerMovement) -> Self | None:
        """Build it of a movement; None where it has no bill. The discount is known for scans only."""
        bill = movement.bill
        if bill is None:
            return None
        discount_minor = None
        if movement.kind in ("redeem", "hold", "identify"):
            discount_minor = sum(leg["value_minor"] for leg in movement.legs)
        return cls(
            reference=bill.get("reference"),
            amount_minor=bill["amount_minor"],
            discount_minor=discount_minor,
            payable_minor=None if discount_minor is None else bill["amount_minor"] - discount_minor,
            currency=bill["currency"],
        )


class NoticePointsLeg(Struct, tag_field="kind", tag="points"):
    """Points of a basket."""

    points: PointsCount
    value_minor: AmountMinor


class NoticeBenefitLeg(Struct, tag_field="kind", tag="benefit"):
    """A benefit of a basket."""

    uses: UsesCount
    value_minor: AmountMinor
    benefit_id: BenefitId
    name: Name


class NoticeStoredValueLeg(Struct, tag_field="kind", tag="stored_value"):
    """Stored value of a basket."""

    amount_minor: AmountMinor
    value_minor: AmountMinor
    currency: Currency | None


NoticeLeg = NoticePointsLeg | NoticeBenefitLeg | NoticeStoredValueLeg


def _leg(leg: Mapping[str, Any], names: LocalizedNames, currency: str | None) -> NoticeLeg:
    """Build a leg as the ledger has it, in the caller's language."""
    if leg["kind"] == "points":
        return NoticePointsLeg(points=leg["points"], value_minor=leg["value_minor"])
    if leg["kind"] == "benefit":
        name = names.benefits.get(leg["benefit_id"], leg["benefit_id"])
        return NoticeBenefitLeg(
            uses=leg["uses"], value_minor=leg["value_minor"], benefit_id=leg["benefit_id"], name=name
        )
    return NoticeStoredValueLeg(amount_minor=leg["amount_minor"], value_minor=leg["value_minor"], currency=currency)


def _currency(movement: LedgerMovement) -> str | None:
    """Return the currency of the bill or, where there is none, of the stored value that moved."""
    if movement.bill is not None:
        return str(movement.bill["currency"])
    assets = (change.asset for change in movement.changes)
    return next((asset for asset in assets if asset != POINTS and not asset.startswith(BENEFIT_PREFIX)), None)


class LotMoved(Struct):
    """The amount of one lot that moved."""

    issuer: str
    issuer_name: Name
    amount: Count
    expires_month: MonthOrNever

    @classmethod
    def of(cls, lot: LotChange, names: LocalizedNames) -> Self:
        """Build it of a lot that moved."""
        return cls(
            issuer=lot.issuer,
            issuer_name=names.businesses.get(lot.issuer, lot.issuer),
            amount=lot.amount,
            expires_month=month_text(lot.expires_month),
        )


class PointsChange(Struct, tag_field="kind", tag="points"):
    """More or less points."""

    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


class BenefitChange(Struct, tag_field="kind", tag="benefit"):
    """More or less uses of a benefit."""

    benefit_id: BenefitId
    name: Name
    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


class StoredValueChange(Struct, tag_field="kind", tag="stored_value"):
    """More or less stored value, minor units."""

    currency: Currency
    available: Signed
    held: Signed
    lots: tuple[LotMoved, ...]


AssetChange = PointsChange | BenefitChange | StoredValueChange


def _change(change: Change, names: LocalizedNames) -> AssetChange:
    """Build the change of one asset."""
    lots = tuple(LotMoved.of(lot, names) for lot in change.lots)
    if change.asset == POINTS:
        return PointsChange(available=change.available, held=change.held, lots=lots)
    if change.asset.startswith(BENEFIT_PREFIX):
        benefit_id, name = names.benefit_of(change.asset)
        return BenefitChange(benefit_id=benefit_id, name=name, available=change.available, held=change.held, lots=lots)
    return StoredValueChange(currency=change.asset, available=change.available, held=change.held, lots=lots)


class PointsBack(Struct, tag_field="kind", tag="points"):
    """Points that came back."""

    amount: Count


class BenefitBack(Struct, tag_field="kind", tag="benefit"):
    """Uses that came back."""

    benefit_id: BenefitId
    name: Name
    amount: Count


class StoredValueBack(Struct, tag_field="kind", tag="stored_value"):
    """Stored value that came back, minor units."""

    currency: Currency
    amount: Count


GivenBack = PointsBack | BenefitBack | StoredValueBack


def _given_back(asset: str, amount: int, names: LocalizedNames) -> GivenBack:
    """Build how much of an asset came back."""
    if asset == POINTS:
        return PointsBack(amount=amount)
    if asset.startswith(BENEFIT_PREFIX):
        benefit_id, name = names.benefit_of(asset)
        return BenefitBack(benefit_id=benefit_id, name=name, amount=amount)
    return StoredValueBack(currency=asset, amount=amount)


class Movement(Struct):
    """One movement, the same in live notices and in the history."""

    event_id: EventId
    kind: MovementKind
    reason: MovementReason | None
    at: Instant
    title: Name
    explanation: Name
    subject_id: Annotated[str, Meta(description="the redemption, accrual or issue it belongs to")]
    business: BusinessName | None
    outlet: OutletName | None
    code: UsedScanCode | UsedOfflineCode | None
    bill: NoticeBill | None
    legs: tuple[NoticeLeg, ...]
    changes: tuple[AssetChange, ...]
    hold_expires_at: Annotated[
        Instant | None, Meta(description="when a hold ends by itself; null for anything else, and once it has ended")
    ]

    @classmethod
    def of(cls, movement: LedgerMovement, names: LocalizedNames) -> "Movement":
        """Build it of an entry of the ledger, with texts in the language of `names`."""
        kind, reason, bill = movement.kind, movement.reason, NoticeBill.of(movement)
        currency = _currency(movement)
        hold_ends = None
        if kind == "hold" and movement.hold_seconds:
            hold_ends = instant(movement.at_ms + movement.hold_seconds * 1000)
        return Movement(
            event_id=position_text(movement.position),
            kind=kind,
            reason=reason,
            at=instant(movement.at_ms),
            title=title_of(kind, reason, names.language),
            explanation=explanation_of(kind, reason, _moved(movement), bill, names.benefits, names.language),
            subject_id=movement.subject_id,
            business=names.business(movement.business),
            outlet=names.outlet(movement.outlet),
            code=_used_code(movement.code),
            bill=bill,
            legs=tuple(_leg(leg, names, currency) for leg in movement.legs),
            changes=tuple(_change(change, names) for change in movement.changes),
            hold_expires_at=hold_ends,
        )


def _moved(movement: LedgerMovement) -> dict[str, int]:
    """Return the amount of each asset that the sentence names, positive whether it was taken or given."""
    if movement.kind == "capture":
        return {asset: amount for asset, amount in movement.redeemed.items() if amount > 0}
    return {change.asset: abs(change.available) or abs(change.held) for change in movement.changes}


class ActivityEntry(Movement):
    """A movement and its outcome by now."""

    status: ActivityStatus | None
    given_back: tuple[GivenBack, ...]

    @classmethod
    def of_entry(cls, found: FoundEntry, names: LocalizedNames) -> Self:
        """Build it of an entry of the history. Only an open hold has an end."""
        movement = Movement.of(found.movement, names)
        return extended(
            cls,
            movement,
            status=found.status,
            given_back=tuple(_given_back(asset, amount, names) for asset, amount in found.given_back.items() if amount),
            hold_expires_at=movement.hold_expires_at if found.status == "held" else None,
        )


class ActivityAnswer(Struct):
    """A page of the member's history, newest first."""

    as_of: Annotated[Instant, Meta(description="everything up to this moment is in the ledger")]
    activity: tuple[ActivityEntry, ...]
    next_cursor: Annotated[str | None, Meta(description="for the next page; null at the end")]


class BenefitLeft(Struct):
    """A benefit that a movement touched, and the uses that are left of it."""

    benefit_id: BenefitId
    name: Name
    remaining_uses: UsesCount
    left_today: Annotated[int | None, Meta(description="what its caps leave for today; null: it has no daily cap")]

    @classmethod
    def of(
        cls, asset: str, member: MemberState, names: LocalizedNames, catalogue: Mapping[str, BenefitDefinition]
    ) -> Self:
        """Build it of what the member holds and of the caps in the catalogue."""
        benefit_id, name = names.benefit_of(asset)
        left = member.sum_of(asset)
        definition = catalogue.get(benefit_id)
        left_today = None
        if definition is not None and definition.per_day is not None:
            left_today = min(left, definition.per_day - member.used_today.get(benefit_id, 0))
            if definition.per_month is not None:
                left_today = min(left_today, definition.per_month - member.used_month.get(benefit_id, 0))
            left_today = max(0, left_today)
        return cls(benefit_id=benefit_id, name=name, remaining_uses=left, left_today=left_today)


class NoticeBalance(MemberBalance):
    """A member's balance after a movement, with the benefits that it touched."""

    benefits: tuple[BenefitLeft, ...]

    @classmethod
    def after(
        cls,
        member: MemberState,
        names: LocalizedNames,
        touched: Iterable[Change] = (),
        catalogue: Mapping[str, BenefitDefinition] = MappingProxyType({}),
    ) -> Self:
        """Build it of a member now; of benefits only those that were touched."""
        assets = dict.fromkeys(change.asset for change in touched if change.asset.startswith(BENEFIT_PREFIX))
        return extended(
            cls,
            MemberBalance.of(member),
            benefits=tuple(BenefitLeft.of(asset, member, names, catalogue) for asset in assets),
        )


class Notice(Movement):
    """The event `notice`: a movement and the balance after it."""

    balance: Annotated[NoticeBalance | None, Meta(description="null: the hot store did not answer")]
    missed: Annotated[bool, Meta(description="true: it happened before the stream began")] | UnsetType = UNSET

    @classmethod
    def with_balance(
        cls,
        movement: LedgerMovement,
        member: MemberState | None,
        names: LocalizedNames,
        catalogue: Mapping[str, BenefitDefinition],
        *,
        missed: bool = False,
    ) -> Self:
        """Build it of a movement and the member as the hot store knows it now."""
        left = None if member is None else NoticeBalance.after(member, names, movement.changes, catalogue)
        return extended(cls, Movement.of(movement, names), balance=left, missed=True if missed else UNSET)


class StreamReady(Struct):
    """The event `ready`: the member's balance at the beginning of a stream."""

    as_of: Instant
    balance: NoticeBalance | None
