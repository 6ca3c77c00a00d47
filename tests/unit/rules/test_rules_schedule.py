"""Days and hours of benefits at their edges."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from redemption.rules.definitions import BenefitDefinition, Hours
from redemption.rules.schedule import describe, is_open

SHANGHAI = ZoneInfo("Asia/Shanghai")


def benefit(**rules: Any) -> BenefitDefinition:
    return BenefitDefinition(name={"en": "A benefit"}, granted_by="hotel", **rules)


def here(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


LUNCH = benefit(hours=(Hours("11:30", "14:00"), Hours("18:00", "20:00")))
FRIDAY_NIGHT = benefit(weekdays=(5,), hours=(Hours("22:00", "02:00"),))
NOVEMBER = benefit(first_day=date(2026, 11, 1), last_day=date(2026, 11, 30))
NOVEMBER_NIGHTS = benefit(first_day=date(2026, 11, 1), last_day=date(2026, 11, 30), hours=(Hours("22:00", "02:00"),))


@pytest.mark.parametrize(
    ("definition", "moment", "expected"),
    [
        (LUNCH, "2026-11-20T11:29:59.999999", False),
        (LUNCH, "2026-11-20T11:30:00", True),
        (LUNCH, "2026-11-20T13:59:59.999999", True),
        (LUNCH, "2026-11-20T14:00:00", False),
        (LUNCH, "2026-11-20T18:00:00", True),
        (FRIDAY_NIGHT, "2026-11-20T21:59:59", False),
        (FRIDAY_NIGHT, "2026-11-20T22:00:00", True),
        (FRIDAY_NIGHT, "2026-11-21T01:59:59", True),
        (FRIDAY_NIGHT, "2026-11-21T02:00:00", False),
        (FRIDAY_NIGHT, "2026-11-20T01:00:00", False),
        (FRIDAY_NIGHT, "2026-11-21T22:30:00", False),
        (NOVEMBER, "2026-10-31T23:59:59", False),
        (NOVEMBER, "2026-11-01T00:00:00", True),
        (NOVEMBER, "2026-11-30T23:59:59", True),
        (NOVEMBER, "2026-12-01T00:00:00", False),
        (NOVEMBER_NIGHTS, "2026-11-01T01:00:00", False),
        (NOVEMBER_NIGHTS, "2026-12-01T01:00:00", True),
        (NOVEMBER_NIGHTS, "2026-12-01T22:00:00", False),
        (benefit(), "2026-11-20T03:00:00", True),
        (benefit(weekdays=(7,)), "2026-11-22T00:00:00", True),
        (benefit(weekdays=(7,)), "2026-11-23T00:00:00", False),
        (benefit(hours=(Hours("18:00", "00:00"),)), "2026-11-20T23:59:59", True),
        (benefit(hours=(Hours("18:00", "00:00"),)), "2026-11-21T00:00:00", False),
    ],
)
def test_benefit_is_open_when_its_days_and_hours_say_so(
    definition: BenefitDefinition, moment: str, expected: bool
) -> None:
    assert is_open(definition, here(moment)) is expected


def test_same_moment_is_another_day_in_another_zone() -> None:
    moment = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # Friday in London, already Saturday in Shanghai
    friday = benefit(weekdays=(5,))
    assert is_open(friday, moment.astimezone(ZoneInfo("Europe/London")))
    assert not is_open(friday, moment.astimezone(SHANGHAI))


def test_hour_that_comes_twice_in_autumn_counts_twice() -> None:
    berlin, hours = ZoneInfo("Europe/Berlin"), benefit(hours=(Hours("02:00", "03:00"),))
    for hour in (0, 1):  # UTC; both are 02:30 in Berlin on that day
        assert is_open(hours, datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(berlin))
    assert not is_open(hours, datetime(2026, 10, 25, 2, 30, tzinfo=UTC).astimezone(berlin))


def test_hour_that_is_skipped_in_spring_is_lost() -> None:
    berlin, hours = ZoneInfo("Europe/Berlin"), benefit(hours=(Hours("02:00", "03:00"),))
    assert not any(
        is_open(hours, datetime(2026, 3, 29, hour, minute, tzinfo=UTC).astimezone(berlin))
        for hour in range(3)
        for minute in (0, 30)
    )


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (benefit(), "every day"),
        (benefit(weekdays=(5, 1, 2, 3, 4)), "Monday to Friday"),
        (benefit(weekdays=(6, 7), hours=(Hours("22:00", "02:00"),)), "Saturday and Sunday, 22:00-02:00"),
        (LUNCH, "11:30-14:00 and 18:00-20:00"),
        (NOVEMBER, "from 2026-11-01, until 2026-11-30"),
    ],
)
def test_schedule_is_told_in_words(definition: BenefitDefinition, text: str) -> None:
    assert describe(definition) == text
