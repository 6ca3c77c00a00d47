"""The terms by which a till's list is read, and the placing of its dates and times: the moment and the business day."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from redemption.settlement.business_days import OutletDay
from redemption.settlement.till_lists.values import When


@dataclass(frozen=True, slots=True)
class ListTerms:
    """The terms of a list: the business's currency and outlets, the day, and the zone its times are in.

    `outlet_days`: when the day of each outlet begins; an outlet that is not there has the zone's calendar days.
    """

    currency: str
    outlets: frozenset[str]
    day: datetime.date
    zone: ZoneInfo
    outlet_days: Mapping[str, OutletDay] = field(default_factory=dict)

    def days_of(self, outlet: str | None) -> list[OutletDay]:
        """Return how the days of an outlet run; for a row without an outlet, those of every outlet of the list."""
        plain = OutletDay(self.zone)
        if outlet is not None:
            return [self.outlet_days.get(outlet, plain)]
        hours = {self.outlet_days[each].cut_off_hour if each in self.outlet_days else 0 for each in self.outlets}
        return [OutletDay(self.zone, hour) for hour in sorted(hours)] or [plain]


def placed(
    date: When | None, time: When | None, terms: ListTerms, outlet: str | None
) -> tuple[datetime.datetime | None, datetime.date | None] | str:
    """Put the cells of a row together: the moment, and the business day the row says it is of. A text is the fault."""
    said = [when for when in (date, time) if when is not None]
    days = {when.day for when in said if when.day is not None}
    clocks = [when for when in said if when.clock is not None]
    if len(days) > 1:
        return "and time name different days"
    if len(clocks) > 1:
        return "and time both have a time of day"
    outlet_days = terms.days_of(outlet)
    if not clocks:
        if not days:
            return None, None
        day = days.pop()
        # Without a time, the calendar day after may still be the same business day.
        return None, terms.day if any(each.may_be(day, terms.day) for each in outlet_days) else day
    clock, zone = clocks[0].clock, clocks[0].zone
    assert clock is not None
    if not days:
        return outlet_days[0].moment_of(terms.day, clock), None
    moments = [datetime.datetime.combine(next(iter(days)), clock, zone or each.zone) for each in outlet_days]
    of_days = [each.day_of(moment) for each, moment in zip(outlet_days, moments, strict=True)]
    return moments[0], terms.day if terms.day in of_days else of_days[0]
