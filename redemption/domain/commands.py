"""Requests to the domain: bills, legs and the commands made of them, validated as they are decoded.

These are the JSON shapes of the interface; the OpenAPI document is generated from the same types. Unknown members are
refused rather than ignored: a till that misspells `capture` must hear it, not lose it. msgspec reports the first fault
with its place (`$.legs[0].points`).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from redemption.domain import limits

AmountMinor = Annotated[
    int,
    Meta(ge=0, le=limits.AMOUNT_MINOR_MAX, description="money in minor units (fen, cents), a whole number"),
]
PositiveAmountMinor = Annotated[
    int,
    Meta(ge=1, le=limits.AMOUNT_MINOR_MAX, description="money in minor units (fen, cents), a whole number"),
]
Points = Annotated[int, Meta(ge=1, le=limits.POINTS_MAX, description="a whole number of points")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="ISO 4217", examples=["CNY"])]
REFERENCE_PATTERN = r"^[!-~]+(?: [!-~]+)*$(?!\n)"
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.BILL_REFERENCE_CHARACTERS_MAX,
        pattern=REFERENCE_PATTERN,
        description="the till's own number of the bill, visible ASCII",
        examples=["POS-7-20261122-0001"],
    ),
]
Category = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.CATEGORY_CHARACTERS_MAX,
        pattern=r"^[a-z0-9][a-z0-9_-]*$(?!\n)",
        description="category of the goods, a slug agreed with the business",
        examples=["dining"],
    ),
]
BenefitId = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$(?!\n)", description="a benefit's id", examples=["dining-80"])
]
CodeText = Annotated[
    str,
    Meta(min_length=1, max_length=limits.CODE_CHARACTERS_MAX, description="what the scanner read, as read"),
]


class BillLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One line, or one sum per category, of a bill."""

    category: Category
    amount_minor: AmountMinor


class Bill(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bill that a till is about to be paid.

    Lines are optional and may cover only a part of it, never more. `stay` is the number of a hotel stay (or any longer
    visit) that the bill belongs to: caps "per stay" count by it.
    """

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    stay: Reference | None = None
    lines: Annotated[tuple[BillLine, ...], Meta(max_length=limits.BILL_LINES_MAX)] = ()


class PointsLeg(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="points"):
    """Points taken from the member's lots, first to expire first."""

    points: Points

    @property
    def kind(self) -> Literal["points"]:
        return "points"


class BenefitLeg(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="benefit"):
    """A member's benefit, used once or several times at once (three hours of parking are three uses)."""

    benefit_id: BenefitId
    uses: Annotated[int, Meta(ge=1, le=limits.BENEFIT_USES_MAX)] = 1

    @property
    def kind(self) -> Literal["benefit"]:
        return "benefit"


class StoredValueLeg(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stored_value"):
    """Money that the member paid in, in the currency of the bill (of the business where there is no bill)."""

    amount_minor: PositiveAmountMinor

    @property
    def kind(self) -> Literal["stored_value"]:
        return "stored_value"


Leg = PointsLeg | BenefitLeg | StoredValueLeg
Legs = Annotated[tuple[Leg, ...], Meta(max_length=limits.LEGS_MAX)]
SomeLegs = Annotated[tuple[Leg, ...], Meta(min_length=1, max_length=limits.LEGS_MAX)]


class VerifyRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/verify`: one scan and its basket. Without legs it is an identity check that uses the code."""

    code: CodeText
    bill: Bill | None = None
    legs: Legs = ()
    capture: bool = True
    hold_seconds: Annotated[int, Meta(ge=1, le=limits.HOLD_SECONDS_MAX)] | None = None
    confirm_duplicate: bool = False


class PrepareRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/prepare`: the member, and what may be used here for this bill. With `legs` also their value."""

    code: CodeText
    bill: Bill | None = None
    legs: Legs | None = None


class SearchRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/redemptions/search`: the redemptions of the member whose code was scanned."""

    code: CodeText
    limit: Annotated[int, Meta(ge=1, le=limits.LISTED_MAX)] | None = None
    cursor: str | None = None


class CaptureRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/redemptions/{id}/capture`: without `legs` the whole hold, with them that part of it."""

    legs: SomeLegs | None = None
    bill: Bill | None = None


class VoidRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty body: `POST /v1/redemptions/{id}/void`, `POST /v1/accruals/{id}/reverse`."""


class RefundRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/redemptions/{id}/refund`: without `legs` everything that is left, with them that part of it."""

    legs: SomeLegs | None = None


class CancelRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/cancel`: by `idempotency_key` and `code` as they were sent, or by `redemption_id`."""

    idempotency_key: str | None = None
    code: CodeText | None = None
    redemption_id: str | None = None


class AccrualRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/accruals`: a purchase earns points.

    The member is that of the code, or of the id where this outlet scanned the member within 15 minutes.
    `confirm_duplicate`: the bill earned before, with another amount.
    """

    bill: Bill
    code: CodeText | None = None
    member_id: str | None = None
    confirm_duplicate: bool = False


class CodesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/me/codes`: the number of codes to fetch; each one after the first is for 20 s later."""

    count: Annotated[int, Meta(ge=1, le=limits.CODES_PER_REQUEST_MAX)] = 1
