"""Schemas of prepare, cancel and lists of redemptions, each with what builds it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.http.responses import extended
from gateway.problems.documents import Problem, language_of, refused
from gateway.scans.schemas import Balance, MemberHead, PointsCount, RedemptionView, UsesCount
from redemption.cancellation import Cancelled
from redemption.configuration.current import Terminal
from redemption.domain.commands import AmountMinor, BenefitId, Bill, Leg, Legs
from redemption.domain.outcomes import Outcome
from redemption.listing import ListedRedemption as FoundRedemption
from redemption.memberships import Prepared
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.offers import Offer
from redemption.rules.pricing import Priced


class ListedRedemption(RedemptionView):
    """One redemption of a list."""

    outlet_id: Annotated[str | None, Meta(description="where it was scanned", examples=["out_hotel_lobby"])]

    @classmethod
    def of_item(cls, item: FoundRedemption) -> Self:
        """Build it of an item of a page."""
        return extended(cls, RedemptionView.of(item.redemption), outlet_id=item.outlet_id)


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
    """The effect of a cancel. In either case nothing is applied, and nothing will be."""

    effect: Annotated[
        Literal["reversed", "tombstoned"],
        Meta(description="reversed: it was there and was undone. tombstoned: nothing had arrived; it is refused later"),
    ]
    redemption: Annotated[RedemptionView | None, Meta(description="null when tombstoned")]

    @classmethod
    def of(cls, done: Cancelled) -> Self:
        """Build it of the effect and the redemption, if any."""
        view = None if done.redemption is None else RedemptionView.of(done.redemption)
        return cls(effect=done.effect, redemption=view)


class Reader(Struct, frozen=True):
    """The reader of a text: its language, and the currency of the business."""

    accept_language: str | None
    currency: str


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
    """The reason why a benefit cannot be used, as verify would refuse it."""

    code: Annotated[str, Meta(examples=["benefit_not_now"])]
    detail: str
    operator_hint: str

    @classmethod
    def of(cls, problem: Problem, reader: Reader) -> Self:
        """Build it of the problem that verify would answer with."""
        return cls(code=problem.kind.code, detail=problem.detail, operator_hint=problem.hint(reader.accept_language))


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

    @classmethod
    def of(cls, offer: Offer, definition: BenefitDefinition | None, reader: Reader) -> Self:
        """Build it of an offer. A benefit that was withdrawn has no definition and only its id as a name."""
        name = offer.benefit_id
        if definition is not None:
            name = definition.name.get(language_of(reader.accept_language)) or next(iter(definition.name.values()))
        reason = None
        if offer.refusal is not None:
            reason = OfferReason.of(refused(offer.refusal, currency=reader.currency), reader)
        return cls(
            benefit_id=offer.benefit_id,
            name=name,
            usable=offer.usable,
            value_minor=offer.value_minor,
            remaining_uses=offer.uses_in_all,
            remaining_uses_today=offer.remaining_uses,
            max_uses_here=offer.max_uses_here,
            excludes=offer.excludes,
            reason=reason,
        )


class BestBill(Struct):
    """The bill with the best basket."""

    amount_minor: AmountMinor
    discount_minor: AmountMinor
    payable_minor: AmountMinor

    @classmethod
    def of(cls, bill: Bill | None, discount_minor: int) -> Self | None:
        """Build it of the request's bill and what a basket takes off it; None without a bill."""
        if bill is None:
            return None
        return cls(
            amount_minor=bill.amount_minor,
            discount_minor=discount_minor,
            payable_minor=bill.amount_minor - discount_minor,
        )


class BestBasket(Struct):
    """The benefits and points that save most. Stored value is money and saves nothing, so it is never in it."""

    legs: Annotated[Legs, Meta(description="as verify takes them")]
    saving_minor: AmountMinor
    bill: Annotated[BestBill | None, Meta(description="null without a bill")]

    @classmethod
    def of(cls, legs: tuple[Leg, ...], saving_minor: int, bill: Bill | None) -> Self:
        """Build it of a basket that was put together here."""
        return cls(legs=legs, saving_minor=saving_minor, bill=BestBill.of(bill, saving_minor))


class ProposedBasket(BestBasket):
    """The basket for a till to show first: the best one, without points unless the business preselects them."""


class BasketReason(Struct):
    """The reason why the legs of the request would be refused, as verify would refuse them."""

    leg: Annotated[int, Meta(ge=0, description="index of the leg at fault")] | None
    code: Annotated[str, Meta(examples=["points_insufficient"])]
    detail: str
    operator_hint: str
    asked: Annotated[int, Meta(description="in the unit of the leg; of `exceeds_bill` minor units")] | UnsetType = UNSET
    available: Annotated[int, Meta(description="in the same unit")] | UnsetType = UNSET

    @classmethod
    def of(cls, problem: Problem, reader: Reader) -> Self:
        """Build it of the problem that verify would answer with."""
        return cls(
            leg=problem.extensions.get("leg"),
            code=problem.kind.code,
            detail=problem.detail,
            operator_hint=problem.hint(reader.accept_language),
            asked=problem.extensions.get("asked", UNSET),
            available=problem.extensions.get("available", UNSET),
        )


class QuotedBasket(Struct):
    """The effect of the request's `legs`: the value of each and the bill, or why verify would refuse them."""

    values_minor: Annotated[
        tuple[AmountMinor, ...], Meta(description="what each leg takes off, in their order; empty when refused")
    ]
    bill: Annotated[BestBill | None, Meta(description="null without a bill and when refused")]
    reason: Annotated[BasketReason | None, Meta(description="null when verify would grant it")]

    @classmethod
    def of(cls, quote: Priced, bill: Bill | None, legs: tuple[Leg, ...] | None, reader: Reader) -> Self:
        """Build it of the request's legs as they were priced."""
        if quote.verdict.outcome is not Outcome.APPLIED:
            problem = refused(quote.verdict, currency=reader.currency, legs=legs)
            return cls(values_minor=(), bill=None, reason=BasketReason.of(problem, reader))
        return cls(values_minor=quote.values, bill=BestBill.of(bill, sum(quote.values)), reason=None)


class PrepareAnswer(Struct):
    """The member and what may be used here. The code is still good."""

    member: MemberHead
    balance: Balance
    points: PointsOffer
    stored_value: StoredValueOffer
    benefits: Annotated[tuple[BenefitOffer, ...], Meta(description="usable ones and others, with the reason")]
    best: BestBasket
    proposed: ProposedBasket
    basket: Annotated[QuotedBasket | None, Meta(description="null where the request had no `legs`")]

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        terminal: Terminal,
        catalogue: Mapping[str, BenefitDefinition],
        bill: Bill | None,
        legs: tuple[Leg, ...] | None,
        accept_language: str | None,
    ) -> Self:
        """Build it of what may be used at a terminal, for the `bill` and `legs` of the request."""
        offers, business = prepared.offers, terminal.business
        reader = Reader(accept_language, business.currency)
        return cls(
            member=MemberHead.of(prepared.member),
            balance=Balance.of_member(prepared.member, business.currency),
            points=PointsOffer(
                maximum=offers.points_maximum,
                value_minor=offers.points_value_minor,
                minimum=business.points.minimum_points,
                preselect=business.points.preselect,
            ),
            stored_value=StoredValueOffer(maximum_minor=offers.stored_value_maximum_minor),
            benefits=tuple(
                BenefitOffer.of(offer, catalogue.get(offer.benefit_id), reader) for offer in offers.benefits
            ),
            best=BestBasket.of(offers.best_legs, offers.best_value, bill),
            proposed=ProposedBasket.of(offers.proposed_legs, offers.proposed_value, bill),
            basket=None if prepared.quote is None else QuotedBasket.of(prepared.quote, bill, legs, reader),
        )
