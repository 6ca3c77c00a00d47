"""The schema of a problem document (RFC 9457)."""

from typing import Annotated, Literal, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.problems.kinds import Retry
from gateway.scans.schemas import BillAnswer, Instant, RedemptionId, RedemptionView
from redemption.domain.redemptions import Redemption, Status


class FieldFault(Struct, omit_defaults=True):
    """One place of a request that cannot be read."""

    field: Annotated[str, Meta(description="path in the body, or the header", examples=["legs[0].points"])]
    reason: str
    row: Annotated[int, Meta(ge=0, description="of an uploaded list; 0: the list itself")] | UnsetType = UNSET
    column: str | UnsetType | None = UNSET


class EarlierRedemption(Struct):
    """The redemption that a possible duplicate repeats."""

    redemption_id: RedemptionId
    status: Status
    created_at: Instant
    bill: Annotated[BillAnswer | None, Meta(description="null when it had none")]

    @classmethod
    def of(cls, redemption: Redemption) -> Self:
        """Build it from the redemption's present state."""
        view = RedemptionView.of(redemption)
        return cls(redemption_id=view.redemption_id, status=view.status, created_at=view.created_at, bill=view.bill)


class ProblemAnswer(Struct, omit_defaults=True):
    """The reason why a request was not answered as requested (RFC 9457), with what the till may do and what the cashier
    reads."""

    type: Annotated[str, Meta(description="identifies the kind; not an address", extra_json_schema={"format": "uri"})]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    code: Annotated[str, Meta(description="the code for programs", examples=["points_insufficient"])]
    outcome: Annotated[
        Literal["not_applied", "unknown"],
        Meta(description="unknown: it may have been applied; the same key finds out. Only with 5xx"),
    ]
    retry: Annotated[Retry, Meta(description="how another attempt can succeed")]
    detail: Annotated[str, Meta(description="this occurrence, for logs and developers")]
    operator_hint: Annotated[str, Meta(description="for the cashier, in the language of Accept-Language")]
    leg: Annotated[int, Meta(ge=0, description="index of the leg at fault")] | UnsetType = UNSET
    asked: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    available: Annotated[int, Meta(description="in the unit of the leg")] | UnsetType = UNSET
    errors: (
        Annotated[tuple[FieldFault, ...], Meta(description="the places that cannot be read, with a 400")] | UnsetType
    ) = UNSET
    errors_total: Annotated[int, Meta(description="where `errors` has only the first of them")] | UnsetType = UNSET
    scope: (
        Annotated[
            str,
            Meta(description="whose calls were too many, with `rate_limited`; the missing scope, with `forbidden`"),
        ]
        | UnsetType
    ) = UNSET
    earlier: (
        Annotated[
            EarlierRedemption | None,
            Meta(description="with `possible_duplicate`: the redemption of a moment ago; null where it cannot be read"),
        ]
        | UnsetType
    ) = UNSET
    reasons: Annotated[tuple[str, ...], Meta(description="why `/readyz` answers 503")] | UnsetType = UNSET
