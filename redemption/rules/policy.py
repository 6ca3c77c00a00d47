"""The group's own terms: how long things may take, and how often anybody may call. One for the installation."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from redemption.domain import limits

Rate = Annotated[int, Meta(ge=1, le=1_000_000, description="calls in a window of 10 s")]


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """Stands in the group file under `policy`; everything has a default.

    `expired_lot`: what a refund does with a lot whose month is over: `grace` issues it anew to the end of this month,
    `forfeit` lets it expire. The rates of a terminal are far above what a till does: they bound what a broken or stolen
    one can do to the others.
    """

    hold_seconds: Annotated[int, Meta(ge=1, le=limits.HOLD_SECONDS_MAX)] = limits.HOLD_SECONDS_DEFAULT
    cancel_window_seconds: Annotated[int, Meta(ge=60, le=limits.CANCEL_WINDOW_SECONDS_MAX)] = (
        limits.CANCEL_WINDOW_SECONDS_DEFAULT
    )
    refund_window_seconds: Annotated[int, Meta(ge=60, le=limits.REDEMPTION_RETENTION_SECONDS)] = (
        limits.REDEMPTION_RETENTION_SECONDS
    )
    expired_lot: Literal["grace", "forfeit"] = "grace"
    terminal_rate: Rate = 10_000
    outlet_rate: Rate = 20_000
    member_rate: Rate = 3_000
