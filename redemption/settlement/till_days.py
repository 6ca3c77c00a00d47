"""A day of a business's tills in the ledger: one `Movement` for each redemption taken or given back.

The value of a movement is the change of what is off the bill, as the till received it: of each instrument the legs'
`value_minor` in proportion to the units that are taken, rounded down. (Two legs of one instrument in one basket, given
back in part, are rounded together: that may differ from the till by a minor unit.) Holds count when they are captured.

Guarantees: memory is bounded by `RECONCILED_MOVEMENTS_MAX` small values; the ledger's postings are looked up by key.
Does not guarantee to see the last second: the ledger is a moment behind the tills.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from redemption.database import Connection
from redemption.domain.limits import CUT_OFF_HOUR_MAX, RECONCILED_MOVEMENTS_MAX
from redemption.domain.redemptions import BENEFIT_PREFIX, UNIT
from redemption.queries import named_queries
from redemption.settlement.definitions import instrument_of
from redemption.settlement.uses import Places

SUBJECTS_AT_ONCE: Final = 500
HISTORY_DAYS: Final = 120
"""The days by which a redemption can have begun before the day: a hold of 14 days, 30 days to refund it, and room."""
ELSEWHERE_DAYS: Final = 7
ELSEWHERE_MAX: Final = 1_000
QUERY_SECONDS: Final = 20.0
_ZONE_HOURS: Final = 15  # no calendar day begins or ends further from the UTC one


class Movement(NamedTuple):
    """Value that was taken off a bill (positive) or given back; 0 where the use takes nothing off."""

    redemption_id: str
    reference: str | None
    amount_minor: int
    occurred_at: datetime.datetime
    outlet: str | None
    bill_amount_minor: int | None
    is_return: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The day and outlet of a bill that is missing on the compared day."""

    redemption_id: str
    day: datetime.date
    outlet: str | None


Row = Any
"""A record of the query `histories`."""
TooMany = Literal["too_many"]


async def movements_of(
    connection: Connection, business: str, outlet: str | None, day: datetime.date, places: Places
) -> list[Movement] | TooMany:
    """Return the movements of a business's (an outlet's) business day, in order of time; not read where there are too
    many."""
    queries = named_queries("settlement", "reconciliation")
    begin, end = _span(day, day)
    rows = await connection.fetch(
        queries["day_subjects"], business, begin, end, outlet, 4 * RECONCILED_MOVEMENTS_MAX, timeout=QUERY_SECONDS
    )
    on_day = [row for row in rows if places.local_day(row["outlet"], row["occurred_at"]) == day]
    if len(on_day) > RECONCILED_MOVEMENTS_MAX or len(rows) == 4 * RECONCILED_MOVEMENTS_MAX:
        return "too_many"
    subjects = sorted({row["subject_id"] for row in on_day})
    movements: list[Movement] = []
    for first in range(0, len(subjects), SUBJECTS_AT_ONCE):
        histories = await connection.fetch(
            queries["histories"],
            subjects[first : first + SUBJECTS_AT_ONCE],
            begin - datetime.timedelta(days=HISTORY_DAYS),
            end,
            timeout=QUERY_SECONDS,
        )
        for _, history in groupby(histories, key=lambda row: row["subject_id"]):
            movements += [
                movement
                for movement in movements_of_history(list(history))
                if places.local_day(movement.outlet, movement.occurred_at) == day
                and (outlet is None or movement.outlet == outlet)
            ]
    return sorted(movements, key=lambda movement: (movement.occurred_at, movement.redemption_id))


def movements_of_history(history: Sequence[Row]) -> list[Movement]:
    """Return what each step of one redemption changed. Rows are those of the query `histories`."""
    begun = next((row for row in history if row["legs"] is not None), None)
    worth = _worth(begun["legs"] if begun is not None else None)
    reference: str | None = None
    bill_amount: int | None = None
    taken: dict[str, int] = {}
    movements = []
    before = 0
    for row in history:
        if row["bill_reference"] is not None:  # a capture may bring the final bill
            reference, bill_amount = row["bill_reference"], row["bill_amount_minor"]
        units: Mapping[str, int] = row["units"] or {}
        if not units:
            continue
        for asset, amount in units.items():
            taken[asset] = taken.get(asset, 0) + amount
        after = sum(_value(asset, amount, worth) for asset, amount in taken.items())
        movements.append(
            Movement(
                row["subject_id"],
                reference,
                after - before,
                row["occurred_at"],
                row["outlet"],
                bill_amount,
                is_return=row["kind"] in ("refund", "reverse"),
            )
        )
        before = after
    return movements


async def elsewhere(
    connection: Connection, business: str, references: Iterable[str], day: datetime.date, places: Places
) -> dict[str, Elsewhere]:
    """Find bills that are missing on a day: the redemption of the same reference within a week.

    Only the first `ELSEWHERE_MAX` references are looked up.
    """
    begin, end = _span(day - datetime.timedelta(days=ELSEWHERE_DAYS), day + datetime.timedelta(days=ELSEWHERE_DAYS))
    rows = await connection.fetch(
        named_queries("settlement", "reconciliation")["elsewhere"],
        business,
        sorted(references)[:ELSEWHERE_MAX],
        begin,
        end,
        timeout=QUERY_SECONDS,
    )
    return {
        row["bill_reference"]: Elsewhere(
            row["subject_id"], places.local_day(row["outlet"], row["occurred_at"]), row["outlet"]
        )
        for row in rows
    }


def _span(first: datetime.date, last: datetime.date) -> tuple[datetime.datetime, datetime.datetime]:
    """Return a span in UTC, wide enough for these business days in every zone."""
    midnight = datetime.time(tzinfo=datetime.UTC)
    wide = datetime.timedelta(hours=_ZONE_HOURS)
    return (
        datetime.datetime.combine(first, midnight) - wide,
        datetime.datetime.combine(last, midnight) + datetime.timedelta(days=1, hours=CUT_OFF_HOUR_MAX) + wide,
    )


def _worth(legs: object) -> dict[str, tuple[int, int]]:
    """Return for each asset in a basket its units and what they take off the bill."""
    worth: dict[str, tuple[int, int]] = {}
    for leg in legs if isinstance(legs, list) else ():
        if not isinstance(leg, dict) or leg.get("kind") not in UNIT:
            continue
        units, value = leg.get(UNIT[leg["kind"]]), leg.get("value_minor")
        if type(units) is not int or type(value) is not int or units <= 0:
            continue
        asset = _asset_of(leg)
        known = worth.get(asset, (0, 0))
        worth[asset] = (known[0] + units, known[1] + value)
    return worth


def _asset_of(leg: Mapping[str, Any]) -> str:
    if leg["kind"] == "benefit":
        return f"{BENEFIT_PREFIX}{leg.get('benefit_id')}"
    return "points" if leg["kind"] == "points" else ""


def _value(asset: str, units: int, worth: Mapping[str, tuple[int, int]]) -> int:
    whole, value = worth.get("" if instrument_of(asset) == "stored_value" else asset, (0, 0))
    return value * units // whole if whole else 0
