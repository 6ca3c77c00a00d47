"""What the gateway answers, as types: the shapes of contract.md that rendering.py writes.

They describe, they do not render: an answer is built from the domain's values in gateway/scans/serializers.py, and a
test holds real answers against the schemas made from these types, in both directions (nothing missing, nothing
undocumented). What members earn and have is in gateway/api/members/schemas.py.
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.problems.kinds import Retry
from redemption.domain.commands import AmountMinor, BenefitId, Currency, Legs, Reference
from redemption.domain.limits import POINTS_MAX

REDEMPTION_ID_PATTERN: Final = "^rdm_[0-9a-z]{18}$"
REDEMPTION_ID_EXAMPLE: Final = "rdm_016hwa54cwdz9zr9mv"

Instant = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC, milliseconds",
        examples=["2026-11-22T03:04:05.678Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Month = Annotated[
    str, Meta(pattern="^[0-9]{4}-[0-9]{2}$", description="the last month they count in", examples=["2027-11"])
]
MonthOrNever = Annotated[Month | None, Meta(description="the last month it counts in; null never ends")]
PointsCount = Annotated[int, Meta(ge=0, le=POINTS_MAX, description="a whole number of points")]
UsesCount = Annotated[int, Meta(ge=0, description="uses of the benefit")]
MemberId = Annotated[str, Meta(pattern="^mem_[0-9a-z]{7}$", examples=["mem_0000001"])]
RedemptionId = Annotated[str, Meta(pattern=REDEMPTION_ID_PATTERN, examples=[REDEMPTION_ID_EXAMPLE])]
DisplayName = Annotated[str, Meta(description="shortened for the screen of a till", examples=["陳**"])]
Tier = Annotated[str, Meta(description="id of the member's level", examples=["gold"])]
Held = Annotated[PointsCount, Meta(description="set aside by holds")]


class LotPart(Struct):
    """Points of one lot: the business that issued them and the month in which they expire."""

    issuer: Annotated[str, Meta(description="the business that issued them", examples=["hotel"])]
    points: PointsCount
    expires_month: Month


class BenefitLotPart(Struct):
    """Uses of one lot of a benefit."""

    issuer: Annotated[str, Meta(description="the business that granted it", examples=["restaurant"])]
    uses: UsesCount
    expires_month: MonthOrNever


class StoredValueLotPart(Struct):
    """Money of one lot of stored value."""

    issuer: Annotated[str, Meta(description="the business it was paid in at", examples=["mall"])]
    amount_minor: AmountMinor
    expires_month: MonthOrNever


class MemberHead(Struct):
    """Whose code it was: as much as a cashier needs."""

    member_id: MemberId
    tier: Tier
    display_name: DisplayName


Value = Annotated[AmountMinor, Meta(description="what it takes off the bill, minor units")]
_FROM: Final = "where it came from, first to expire first"


class PointsTaken(Struct, tag_field="kind", tag="points"):
    """A points leg as it was applied."""

    points: PointsCount
    value_minor: Value
    lots: Annotated[tuple[LotPart, ...], Meta(description=_FROM)]


class BenefitTaken(Struct, tag_field="kind", tag="benefit"):
    """A benefit leg as it was applied."""

    benefit_id: BenefitId
    uses: UsesCount
    value_minor: Value
    lots: Annotated[tuple[BenefitLotPart, ...], Meta(description=_FROM)]


class StoredValueTaken(Struct, tag_field="kind", tag="stored_value"):
    """A stored-value leg as it was applied."""

    amount_minor: AmountMinor
    value_minor: Value
    lots: Annotated[tuple[StoredValueLotPart, ...], Meta(description=_FROM)]


LegTaken = PointsTaken | BenefitTaken | StoredValueTaken
_CAPTURED: Final = "what of it was captured; 0 while it is held"
_REFUNDED: Final = "what of that was given back"


class PointsProgress(PointsTaken, tag_field="kind", tag="points"):
    """A points leg as it stands."""

    captured_points: Annotated[PointsCount, Meta(description=_CAPTURED)]
    refunded_points: Annotated[PointsCount, Meta(description=_REFUNDED)]


class BenefitProgress(BenefitTaken, tag_field="kind", tag="benefit"):
    """A benefit leg as it stands."""

    captured_uses: Annotated[UsesCount, Meta(description=_CAPTURED)]
    refunded_uses: Annotated[UsesCount, Meta(description=_REFUNDED)]


class StoredValueProgress(StoredValueTaken, tag_field="kind", tag="stored_value"):
    """A stored-value leg as it stands."""

    captured_amount_minor: Annotated[AmountMinor, Meta(description=_CAPTURED)]
    refunded_amount_minor: Annotated[AmountMinor, Meta(description=_REFUNDED)]


LegProgress = PointsProgress | BenefitProgress | StoredValueProgress


class BillAnswer(Struct):
    """The bill after the legs: charge `payable_minor`."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    discount_minor: Annotated[AmountMinor, Meta(description="what the legs take off it")]
    payable_minor: Annotated[AmountMinor, Meta(description="what is left to charge")]


class Balance(Struct):
    """What the member has left."""

    points: PointsCount
    points_held: Held
    stored_value_minor: Annotated[AmountMinor, Meta(description="in the currency of the business")]


HoldEnd = Annotated[Instant | None, Meta(description="when a hold ends by itself; null when it is none")]


class RedemptionAnswer(Struct):
    """One redemption as verify answers it, the first time and every time."""

    redemption_id: RedemptionId
    status: Annotated[Literal["captured", "held"], Meta(description="held: with `capture: false`")]
    created_at: Instant
    hold_expires_at: HoldEnd
    member: MemberHead
    legs: tuple[LegTaken, ...]
    bill: Annotated[BillAnswer | None, Meta(description="null when the request had none")]
    balance: Balance


class RedemptionView(Struct):
    """One redemption as it stands: what was taken, and what became of it."""

    redemption_id: RedemptionId
    status: Literal["held", "captured", "partially_refunded", "refunded", "voided", "expired", "reversed"]
    created_at: Instant
    hold_expires_at: HoldEnd
    member: MemberHead
    legs: tuple[LegProgress, ...]
    bill: Annotated[
        BillAnswer | None, Meta(description="with what is off it now, after capture and refunds; null when it had none")
    ]
    balance: Annotated[Balance, Meta(description="after this step; in a look-up, after the scan")]


class ListedRedemption(RedemptionView):
    """One redemption of a list."""

    outlet_id: Annotated[str | None, Meta(description="where it was scanned", examples=["out_hotel_lobby"])]


class RedemptionsAnswer(Struct):
    """A page of redemptions."""

    redemptions: Annotated[
        tuple[ListedRedemption, ...], Meta(description="newest first; with `status=held` by `hold_expires_at`")
    ]
    next_cursor: Annotated[
        str | None,
        Meta(description="for the next page; null on the last. A page may hold fewer than `limit` and have a next one"),
    ]


class CancelAnswer(Struct):
    """What the cancel came to. In either case nothing is applied, and nothing will be."""

    effect: Annotated[
        Literal["reversed", "tombstoned"],
        Meta(description="reversed: it was there and was undone. tombstoned: nothing had arrived; it is refused later"),
    ]
    redemption: Annotated[RedemptionView | None, Meta(description="null when tombstoned")]


class PointsOffer(Struct):
    """Points that may be used here for this bill."""

    maximum: PointsCount
    value_minor: Annotated[AmountMinor, Meta(description="what the maximum takes off")]
    minimum: Annotated[PointsCount, Meta(description="fewer are refused")]
    preselect: Annotated[
        Literal["none", "best"],
        Meta(description="none: points are the member's choice and not in `proposed`; best: they are where they save"),
    ]


class StoredValueOffer(Struct):
    """Stored value that may be used here for this bill."""

    maximum_minor: AmountMinor


class OfferReason(Struct):
    """Why a benefit cannot be used, as verify would refuse it."""

    code: Annotated[str, Meta(examples=["benefit_not_now"])]
    detail: str
    operator_hint: str


class BenefitOffer(Struct):
    """One benefit the member has."""

    benefit_id: BenefitId
    name: Annotated[str, Meta(description="in the language of Accept-Language")]
    usable: bool
    value_minor: Annotated[AmountMinor, Meta(description="what one use takes off this bill, alone")]
    remaining_uses: Annotated[UsesCount, Meta(description="in all lots together, as the member's app shows them")]
    remaining_uses_today: Annotated[
        UsesCount, Meta(description="now, within its caps for a day, a month and a stay; never more than in all")
    ]
    max_uses_here: Annotated[UsesCount, Meta(description="in one basket for this bill; 0 when not usable")]
    excludes: Annotated[
        tuple[str, ...],
        Meta(description="usable benefits, and `points`, that may not be in one basket with it", examples=[["points"]]),
    ]
    reason: Annotated[OfferReason | None, Meta(description="null when usable")]


class BestBill(Struct):
    """The bill with the best basket."""

    amount_minor: AmountMinor
    discount_minor: AmountMinor
    payable_minor: AmountMinor


class BestBasket(Struct):
    """The benefits and points that save most. Stored value is money and saves nothing, so it is never in it."""

    legs: Annotated[Legs, Meta(description="as verify takes them")]
    saving_minor: AmountMinor
    bill: Annotated[BestBill | None, Meta(description="null without a bill")]


class ProposedBasket(BestBasket):
    """The basket for a till to show first: the best one, without points unless the business preselects them."""


class BasketReason(OfferReason):
    """Why the legs of the request would be refused."""

    leg: Annotated[int, Meta(ge=0, description="index of the leg at fault")] | None
    asked: Annotated[int, Meta(description="in the unit of the leg; of `exceeds_bill` minor units")] | UnsetType = UNSET
    available: Annotated[int, Meta(description="in the same unit")] | UnsetType = UNSET


class QuotedBasket(Struct):
    """What the `legs` of the request come to."""

    values_minor: Annotated[
        tuple[AmountMinor, ...], Meta(description="what each leg takes off, in their order; empty when refused")
    ]
    bill: Annotated[BestBill | None, Meta(description="null without a bill and when refused")]
    reason: Annotated[BasketReason | None, Meta(description="null when verify would grant it")]


class PrepareAnswer(Struct):
    """Who it is and what may be used here. The code is still good."""

    member: MemberHead
    balance: Balance
    points: PointsOffer
    stored_value: StoredValueOffer
    benefits: Annotated[tuple[BenefitOffer, ...], Meta(description="usable ones and others, with the reason")]
    best: BestBasket
    proposed: ProposedBasket
    basket: Annotated[QuotedBasket | None, Meta(description="null where the request had no `legs`")]


class HealthAnswer(Struct):
    """The process is alive."""

    status: Literal["ok"]


class WeaknessAnswer(Struct):
    """A setting of a store that promises less than the product does."""

    setting: Annotated[str, Meta(examples=["appendfsync"])]
    found: str
    wanted: str
    meaning: str


class FrozenBucket(Struct):
    """A part of the members for whom every call that moves value is answered `unavailable` until a rebuild."""

    bucket: int
    reason: str


class ReadinessAnswer(Struct):
    """Scans sent here can be decided."""

    status: Literal["ready"]
    configuration_version: int
    configuration_stale: Annotated[bool, Meta(description="the configuration in force could not be refreshed lately")]
    frozen_buckets: tuple[FrozenBucket, ...]
    weaknesses: tuple[WeaknessAnswer, ...]


class PublicKey(Struct):
    """One public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: Annotated[str, Meta(examples=["dev-1"])]
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class PublicKeysAnswer(Struct):
    """A JWK set (RFC 7517); empty while codes are signed with HS256, whose keys are secret."""

    keys: tuple[PublicKey, ...]


class FieldFault(Struct, omit_defaults=True):
    """One place of a request that cannot be read."""

    field: Annotated[str, Meta(description="path in the body, or the header", examples=["legs[0].points"])]
    reason: str
    row: Annotated[int, Meta(ge=0, description="of an uploaded list; 0: the list itself")] | UnsetType = UNSET
    column: str | UnsetType | None = UNSET


class EarlierRedemption(Struct):
    """The redemption that a possible duplicate repeats."""

    redemption_id: RedemptionId
    status: Literal["held", "captured", "partially_refunded"]
    created_at: Instant
    bill: Annotated[BillAnswer | None, Meta(description="null when it had none")]


class ProblemAnswer(Struct, omit_defaults=True):
    """Why a request was not answered as asked (RFC 9457), with what the till may do and what the cashier reads."""

    type: Annotated[str, Meta(description="identifies the kind; not an address", extra_json_schema={"format": "uri"})]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    code: Annotated[str, Meta(description="what a program decides by", examples=["points_insufficient"])]
    outcome: Annotated[
        Literal["not_applied", "unknown"],
        Meta(description="unknown: it may have been applied; the same key finds out. Only with 5xx"),
    ]
    retry: Annotated[Retry, Meta(description="what makes another attempt sensible")]
    detail: Annotated[str, Meta(description="this occurrence, for logs and developers")]
    operator_hint: Annotated[str, Meta(description="for the cashier, in the language of Accept-Language")]
    leg: Annotated[int, Meta(ge=0, description="index of the leg at fault")] | UnsetType = UNSET
    asked: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    available: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    errors: Annotated[tuple[FieldFault, ...], Meta(description="what cannot be read, with a 400")] | UnsetType = UNSET
    errors_total: Annotated[int, Meta(description="where `errors` has only the first of them")] | UnsetType = UNSET
    scope: (
        Annotated[
            str,
            Meta(
                description="whose calls were too many, with `rate_limited`; what the key may not do, with `forbidden`"
            ),
        ]
        | UnsetType
    ) = UNSET
    earlier: (
        Annotated[
            EarlierRedemption | None,
            Meta(description="with `possible_duplicate`: what was taken a moment ago; null where it cannot be read"),
        ]
        | UnsetType
    ) = UNSET
    reasons: Annotated[tuple[str, ...], Meta(description="why `/readyz` says no")] | UnsetType = UNSET
