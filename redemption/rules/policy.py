"""The group's own terms: how long things may take, and how often anybody may call. One for the installation."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from redemption.domain import limits

Rate = Annotated[int, Meta(ge=1, le=1_000_000, description="calls in a window of 10 s")]


class EarnCeilings(Struct, frozen=True, forbid_unknown_fields=True):
    """The most that purchases may earn; a ceiling refuses the whole accrual. Of a bill: its amount and its points (the
    larger of points and growth value). Of a member and of a terminal: the points of a day of the group's time zone.

    The defaults are some ten times what a good day brings, so that they bound what an invented bill or a stolen key is
    worth (docs/explanation/security.md). A business states its own where it sells more (`rules.earn.ceilings`).
    """

    bill_minor: Annotated[int, Meta(ge=1, le=limits.AMOUNT_MINOR_MAX)] = 20_000_000
    bill_points: Annotated[int, Meta(ge=1, le=limits.POINTS_MAX)] = 100_000
    member_day_points: Annotated[int, Meta(ge=1, le=limits.POINTS_MAX)] = 200_000
    terminal_day_points: Annotated[int, Meta(ge=1, le=limits.POINTS_MAX)] = 1_000_000


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """Stands in the group file under `policy`; everything has a default.

    `expired_lot`: what a refund does with a lot whose month is over: `grace` issues it anew to the end of this month,
    `forfeit` lets it expire. The rates of a terminal are far above what a till does: they bound what a broken or stolen
    one can do to the others. All calls of a terminal share one count, whatever they are. `member_rate` bounds what
    tills do with one member and, counted apart, what that member's app asks; `office_rate` is of one back-office key.
    """

    hold_seconds: Annotated[int, Meta(ge=1, le=limits.HOLD_SECONDS_MAX)] = limits.HOLD_SECONDS_DEFAULT
    cancel_window_seconds: Annotated[int, Meta(ge=60, le=limits.CANCEL_WINDOW_SECONDS_MAX)] = (
        limits.CANCEL_WINDOW_SECONDS_DEFAULT
    )
    refund_window_seconds: Annotated[int, Meta(ge=60, le=limits.REDEMPTION_RETENTION_SECONDS)] = (
        limits.REDEMPTION_RETENTION_SECONDS
    )
    expired_lot: Literal["grace", "forfeit"] = "grace"
    terminal_rate: Rate = 300
    outlet_rate: Rate = 1_500
    member_rate: Rate = 100
    office_rate: Rate = 300
    earn_ceilings: EarnCeilings = EarnCeilings()
