"""Business days: the day of an outlet that closes after midnight ends at its cut-off hour, not at midnight.

A bar with the cut-off hour 4 counts what it sells at 02:00 on 23 November to its 22 November. The hour is local time of
the outlet's zone; 0 is the calendar day. Settlement and reconciliation count by business days; the counters of benefits
("twice a day") and the schedules of offers stay with the calendar day (docs/reference/rules.md).
"""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class OutletDay:
    """When the days of an outlet begin and end."""

    zone: ZoneInfo
    cut_off_hour: int = 0

    def day_of(self, moment: datetime.datetime) -> datetime.date:
        """Return the business day of a moment, by the clock on the wall, also where the clocks are changed."""
        return (moment.astimezone(self.zone) - datetime.timedelta(hours=self.cut_off_hour)).date()

    def moment_of(self, day: datetime.date, clock: datetime.time) -> datetime.datetime:
        """Return the moment of a time of day on a business day.

        Before the cut-off hour it is on the next calendar day.
        """
        if clock.hour < self.cut_off_hour:
            day += datetime.timedelta(days=1)
        return datetime.datetime.combine(day, clock, self.zone)

    def may_be(self, calendar_day: datetime.date, business_day: datetime.date) -> bool:
        """Return whether a part of a calendar day belongs to a business day."""
        after = datetime.timedelta(days=1 if self.cut_off_hour else 0)
        return business_day <= calendar_day <= business_day + after
