"""What can be asked of the domain: bills, legs and the commands made of them, validated as they are decoded.

These are the JSON shapes of contract.md; the OpenAPI document is generated from the same types. Unknown members are
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
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["CNY"])]
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.BILL_REFERENCE_CHARACTERS_MAX,
        pattern=r"^[!-~]+(?: [!-~]+)*$",
        description="the till's own number of the bill, visible ASCII",
        examples=["POS-7-20261122-0001"],
    ),
]
Category = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.CATEGORY_CHARACTERS_MAX,
        pattern="^[a-z0-9][a-z0-9_-]*$",
        description="what was sold, a slug agreed with the business",
        examples=["dining"],
    ),
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
    """What the till is about to be paid. Lines are optional and may name only a part of it, never more."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    lines: Annotated[tuple[BillLine, ...], Meta(max_length=limits.BILL_LINES_MAX)] = ()


class PointsLeg(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="points"):
    """Points taken from the member's lots, first to expire first."""

    points: Points

    @property
    def kind(self) -> Literal["points"]:
        return "points"


Leg = PointsLeg


class VerifyRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /v1/verify`: one scan and the basket that goes with it. No legs: an identity check that uses the code."""

    code: CodeText
    bill: Bill | None = None
    legs: Annotated[tuple[Leg, ...], Meta(max_length=limits.LEGS_MAX)] = ()
    capture: Literal[True] = True


class CodesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/me/codes`: how many codes to fetch; each one after the first is for 20 s later."""

    count: Annotated[int, Meta(ge=1, le=limits.CODES_PER_REQUEST_MAX)] = 1
