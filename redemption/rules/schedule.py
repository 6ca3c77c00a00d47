"""When a benefit may be used: days, weekdays and hours, by the wall clock of the outlet.

A period of hours belongs to the day it begins on: with Friday 22:00-02:00, Saturday 01:00 is in and Friday 01:00 is
not; the last day's period runs on past midnight. `from` is in, `to` is out. The wall clock is what counts when it is
put forward or back: an hour that is skipped is lost, one that comes twice counts twice.
"""

import datetime

from redemption.rules.definitions import BenefitDefinition

_DAY = datetime.timedelta(days=1)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def is_open(definition: BenefitDefinition, local: datetime.datetime) -> bool:
    """Return whether the benefit may be used at `local`, a moment in the outlet's zone."""
    today = local.date()
    if definition.hours is None:
        return _is_day(definition, today)
    clock = f"{local.hour:02}:{local.minute:02}"  # times of one form compare as text
    for hours in definition.hours:
        if hours.start < hours.end:
            if hours.start <= clock < hours.end and _is_day(definition, today):
                return True
        elif (clock >= hours.start and _is_day(definition, today)) or (
            clock < hours.end and _is_day(definition, today - _DAY)
        ):
            return True
    return False


def _is_day(definition: BenefitDefinition, day: datetime.date) -> bool:
    return (
        (definition.weekdays is None or day.isoweekday() in definition.weekdays)
        and (definition.first_day is None or day >= definition.first_day)
        and (definition.last_day is None or day <= definition.last_day)
    )


def describe(definition: BenefitDefinition) -> str:
    """When it may be used, for a sentence: `Monday to Friday, 11:30-14:00, until 2026-12-31`."""
    parts = []
    if definition.weekdays is not None:
        parts.append(_days(sorted(set(definition.weekdays))))
    if definition.hours is not None:
        parts.append(" and ".join(f"{hours.start}-{hours.end}" for hours in definition.hours))
    if definition.first_day is not None:
        parts.append(f"from {definition.first_day}")
    if definition.last_day is not None:
        parts.append(f"until {definition.last_day}")
    return ", ".join(parts) or "every day"


def _days(weekdays: list[int]) -> str:
    if len(weekdays) > 2 and weekdays[-1] - weekdays[0] == len(weekdays) - 1:
        return f"{_WEEKDAYS[weekdays[0] - 1]} to {_WEEKDAYS[weekdays[-1] - 1]}"
    return " and ".join(_WEEKDAYS[day - 1] for day in weekdays)
