"""Schemas of prepare, cancel and lists of redemptions."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.scans.schemas import Balance, MemberHead, PointsCount, RedemptionView, UsesCount
from redemption.domain.commands import AmountMinor, BenefitId, Legs


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
