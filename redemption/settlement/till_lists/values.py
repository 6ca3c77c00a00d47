"""Read amounts, dates and times as spreadsheets write them.

Guarantees: a text that can be read in two ways is never guessed at. What decides is a rule that is written down here
and in docs/reference/settlement.md, and where no rule decides, the row is refused with both readings.

Amounts: a currency sign that fits the business's currency; a minus before, behind or as brackets; thousands apart by
`,` `.` `'` or a space in groups of three; `.` or `,` before the decimals. `1,250` and `1.250` are the two that can be
read in two ways. The other amounts of the list decide (`12,50` says that `,` is the decimal mark). Where they are
silent, `1,250` is 1250 unless the currency has three decimals, and `1.250` is 1.250 only where it has three.

Dates: year first in any of the usual forms, or a spreadsheet's serial number. `1/12/2026` is read by the order that the
list's other dates show (a part above 12), else by the one order in which a row is of the list's day.
"""

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from redemption.domain.currencies import DECIMALS_MAX

DecimalMark = Literal[".", ","]
DateOrder = Literal["day_first", "month_first"]
VALUE_CHARACTERS_MAX: Final = 64
GROUP_DIGITS: Final = 3
"""Digits between two separators of thousands."""
YEARS: Final = range(1970, 2101)
"""Years of a list. Wide enough for a wrong clock, far enough from where moments of other zones have no number."""

_WIDTH: Final = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x3000, 0x00A0, 0x2007, 0x2009, 0x202F), " "),
    **dict.fromkeys((0x200B, 0xFEFF), None),
    0xFFE5: "¥",
    0xFFE1: "£",
    0xFFE6: "₩",
    0x2212: "-",
    0x2019: "'",
}

# Currencies.
_DOLLARS: Final = frozenset({"USD", "HKD", "TWD", "SGD", "AUD", "CAD", "NZD", "MOP", "BND", "MXN"})
CURRENCY_SIGNS: Final[Mapping[str, frozenset[str]]] = {
    "¥": frozenset({"CNY", "JPY"}),
    "CN¥": frozenset({"CNY"}),
    "RMB": frozenset({"CNY"}),
    "RMB¥": frozenset({"CNY"}),
    "元": frozenset({"CNY", "TWD", "HKD", "MOP", "SGD"}),
    "圓": frozenset({"CNY", "TWD", "HKD", "MOP", "JPY"}),
    "圆": frozenset({"CNY"}),
    "円": frozenset({"JPY"}),
    "JP¥": frozenset({"JPY"}),
    "$": _DOLLARS,
    "US$": frozenset({"USD"}),
    "HK$": frozenset({"HKD"}),
    "NT$": frozenset({"TWD"}),
    "NT": frozenset({"TWD"}),
    "S$": frozenset({"SGD"}),
    "MOP$": frozenset({"MOP"}),
    "€": frozenset({"EUR"}),
    "£": frozenset({"GBP"}),
    "₩": frozenset({"KRW"}),
    "RM": frozenset({"MYR"}),
    "฿": frozenset({"THB"}),
    "₫": frozenset({"VND"}),
}
_AMOUNT: Final = re.compile(r"(?P<before>[^0-9]*)(?P<number>[0-9](?:[0-9.,' ]*[0-9])?)(?P<after>[^0-9]*)", re.ASCII)


def _pattern(mark: DecimalMark, other: DecimalMark) -> re.Pattern[str]:
    """Build the shape of a number with this decimal mark; its thousands are apart by the other, `'` or a blank."""
    return re.compile(
        rf"(?P<whole>[1-9][0-9]{{0,2}}(?P<gap>[{other}' ])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*|[0-9]+)"
        rf"(?:[{mark}](?P<part>[0-9]{{1,{DECIMALS_MAX}}}))?",
        re.ASCII,
    )


_READINGS: Final[Mapping[DecimalMark, re.Pattern[str]]] = {".": _pattern(".", ","), ",": _pattern(",", ".")}
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?P<gap>[,' ])[0-9]{3}(?:(?P=gap)[0-9]{3})*", re.ASCII)

# Times.
_HALVES: Final = {"上午": 0, "午前": 0, "a": 0, "下午": 12, "午後": 12, "午后": 12, "p": 12}
_HALF: Final = r"上午|下午|午前|午後|午后|[AaPp]\.? ?[Mm]\.?"
_CHINESE_CLOCK: Final = re.compile(r"([0-9]{1,2}) ?[時时點点] ?([0-9]{1,2}) ?分(?: ?([0-9]{1,2}) ?秒)?", re.ASCII)
_WHEN: Final = re.compile(
    r"(?P<date>(?P<year>[0-9]{4})(?P<gap>[-/.])(?P<month>[0-9]{1,2})(?P=gap)(?P<day>[0-9]{1,2})"
    r"|(?P<year2>[0-9]{4}) ?年 ?(?P<month2>[0-9]{1,2}) ?月 ?(?P<day2>[0-9]{1,2}) ?日"
    r"|(?P<year3>[0-9]{4})(?P<month3>[0-9]{2})(?P<day3>[0-9]{2})"
    r"|(?P<one>[0-9]{1,2})(?P<gap2>[-/.])(?P<two>[0-9]{1,2})(?P=gap2)(?P<year4>[0-9]{4}))?"
    r"(?P<between>[T ,]*)"
    rf"(?P<clock>(?P<half>{_HALF})? ?(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})"
    rf"(?::(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)? ?(?P<half2>{_HALF})?"
    r" ?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?",
    re.ASCII,
)
_SERIAL: Final = re.compile(r"(?P<days>0|[0-9]{5})(?:[.,](?P<part>[0-9]{1,17}))?", re.ASCII)
_SERIAL_ZERO: Final = datetime.date(1899, 12, 30)
# The years 1970 to 2100, so that no other number of five digits is taken for a day.
_SERIAL_DAYS: Final = range(25_569, 73_415)
_DAY_MICROSECONDS: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class When:
    """The time in a cell: a day, a time of day, an offset from UTC; each may be absent."""

    day: datetime.date | None
    clock: datetime.time | None
    zone: datetime.tzinfo | None = None


def folded(text: str) -> str:
    """Fold full-width characters to ASCII and unusual blanks to a space, and strip the ends."""
    return text.translate(_WIDTH).strip()


def marks_shown(texts: Iterable[str]) -> DecimalMark | None:
    """Return the decimal mark that amounts of a list show; None where they show none, or both."""
    shown: set[DecimalMark] = set()
    for text in texts:
        match = _AMOUNT.fullmatch(folded(text)[:VALUE_CHARACTERS_MAX])
        if match is not None:
            readings = _readings(match["number"])
            if len(readings) == 1:
                shown |= set(readings)
    return shown.pop() if len(shown) == 1 else None


def read_amount(text: str, currency: str, decimals: int, shown: DecimalMark | None) -> int:
    """Read an amount in the currency's unit as minor units. Raises `ValueError` with the reason."""
    text = folded(text)
    wrong = f"is not an amount with at most {decimals} decimals, written like 1250.00"
    match = _AMOUNT.fullmatch(text) if len(text) <= VALUE_CHARACTERS_MAX else None
    if match is None:
        raise ValueError(wrong)
    negative = _is_negative(match["before"], match["after"], wrong)
    _check_signs((match["before"], match["after"]), currency, wrong)
    readings = _readings(match["number"])
    if not readings:
        raise ValueError(wrong)
    if len(set(readings.values())) == 1:
        whole, part = next(iter(readings.values()))
    else:
        mark = shown or _usual_mark(match["number"], decimals)
        if mark is None:
            first, second = readings["."], readings[","]
            raise ValueError(
                f"can be read as {first[0]}{'.' if first[1] else ''}{first[1]} or"
                f" {second[0]}{'.' if second[1] else ''}{second[1]}; write it without thousands separators,"
                f" with {decimals} decimals"
            )
        whole, part = readings[mark]
    significant = part.rstrip("0")
    if len(significant) > decimals:
        raise ValueError(wrong)
    minor = int(whole + significant.ljust(decimals, "0"))
    return -minor if negative else minor


def read_minor(text: str) -> int:
    """Read whole minor units. Raises `ValueError` with the reason."""
    text = folded(text)
    wrong = "is not a whole number of minor units (1250 is 12.50); no decimals"
    match = _AMOUNT.fullmatch(text) if len(text) <= VALUE_CHARACTERS_MAX else None
    if match is None:
        raise ValueError(wrong)
    negative = _is_negative(match["before"], match["after"], wrong)
    if _without_minus(match["before"]) or _without_minus(match["after"]):
        raise ValueError(wrong)
    number = match["number"]
    if not number.isdigit() and _GROUPED.fullmatch(number) is None:
        raise ValueError(wrong)
    minor = int("".join(character for character in number if character.isdigit()))
    return -minor if negative else minor


def _readings(number: str) -> dict[DecimalMark, tuple[str, str]]:
    """Return whole and decimals of a number, by the decimal mark it is read with."""
    readings: dict[DecimalMark, tuple[str, str]] = {}
    for mark, pattern in _READINGS.items():
        match = pattern.fullmatch(number)
        if match is not None:
            readings[mark] = "".join(filter(str.isdigit, match["whole"])), match["part"] or ""
    return readings


def _usual_mark(number: str, decimals: int) -> DecimalMark | None:
    """Decide `1,250` and `1.250` where nothing else in the list does."""
    if "," in number:
        return None if decimals >= GROUP_DIGITS else "."
    return "." if decimals >= GROUP_DIGITS else None


def _is_negative(before: str, after: str, wrong: str) -> bool:
    """Return whether the characters around a number make it negative."""
    brackets = before.count("(") + after.count(")")
    signs = [character for character in before + after if character in "+-"]
    if len(signs) > 1 or brackets not in {0, 2} or (brackets and signs) or "(" in after or ")" in before:
        raise ValueError(wrong)
    return brackets == 2 or signs == ["-"]


def _without_minus(around: str) -> str:
    return "".join(character for character in around if character not in "+-() ")


def _check_signs(around: tuple[str, str], currency: str, wrong: str) -> None:
    """Refuse text around a number that is neither a sign nor a name of the business's currency."""
    for sign in map(_without_minus, around):
        if not sign or sign.upper() == currency:
            continue
        meant = CURRENCY_SIGNS.get(sign.upper())
        if meant is None:
            raise ValueError(wrong)
        if currency not in meant:
            raise ValueError(f"is in another currency; this business bills in {currency}")


def orders_shown(texts: Iterable[str], day: datetime.date) -> DateOrder | None:
    """Return in which order a list writes dates whose year is last; None where that is not known.

    `day` is the list's day: of two possible orders the one counts in which a row is of that day.
    """
    possible: set[DateOrder] = {"day_first", "month_first"}
    on_day: set[DateOrder] = set()
    for text in texts:
        match = _WHEN.fullmatch(folded(text)[:VALUE_CHARACTERS_MAX])
        if match is None or match["one"] is None:
            continue
        one, two = int(match["one"]), int(match["two"])
        if one > 12:
            possible.discard("month_first")
        if two > 12:
            possible.discard("day_first")
        if (int(match["year4"]), two, one) == (day.year, day.month, day.day):
            on_day.add("day_first")
        if (int(match["year4"]), one, two) == (day.year, day.month, day.day):
            on_day.add("month_first")
    if len(possible) == 1:
        return possible.pop()
    decided = possible & on_day
    return decided.pop() if len(decided) == 1 else None


def read_when(text: str, order: DateOrder | None) -> When:
    """Read a date, a time of day, or both. Raises `ValueError` with the reason."""
    wrong = "is not a time, written like 2026-11-22 18:30:05, 2026-11-22T10:30:05Z or 18:30:05"
    text = folded(text)
    if not text or len(text) > VALUE_CHARACTERS_MAX:
        raise ValueError(wrong)
    serial = _SERIAL.fullmatch(text)
    if serial is not None:
        return _of_serial(serial, wrong)
    match = _WHEN.fullmatch(_CHINESE_CLOCK.sub(_clock_of, text))
    if match is None or (match["date"] is None and (match["clock"] is None or match["between"])):
        raise ValueError(wrong)
    if match["clock"] is None and match["between"]:
        raise ValueError(wrong)
    if match["clock"] is not None and match["date"] is not None and not match["between"] and match["day2"] is None:
        raise ValueError(wrong)
    day = _day_of(match, order, wrong) if match["date"] is not None else None
    try:
        clock = _time_of(match) if match["clock"] is not None else None
    except ValueError:
        raise ValueError(wrong) from None
    zone = _zone_of(match["zone"], wrong) if match["zone"] is not None else None
    if zone is not None and day is None:
        raise ValueError(wrong)
    return When(day, clock, zone)


def _clock_of(match: re.Match[str]) -> str:
    """Return `9時05分` as `9:05`."""
    return f"{match[1]}:{int(match[2]):02}" + (f":{int(match[3]):02}" if match[3] else "")


def _day_of(match: re.Match[str], order: DateOrder | None, wrong: str) -> datetime.date:
    parts = next(
        (
            (match[f"year{n}"], match[f"month{n}"], match[f"day{n}"])
            for n in ("", "2", "3")
            if match[f"year{n}"] is not None
        ),
        None,
    )
    if parts is None:
        one, two = match["one"], match["two"]
        if order is None and one != two:
            raise ValueError("can be read with the day or the month first; write the year first, like 2026-12-01")
        parts = (match["year4"], two, one) if order == "day_first" else (match["year4"], one, two)
    year, month, day = map(int, parts)
    if year not in YEARS:
        raise ValueError(wrong)
    try:
        return datetime.date(year, month, day)
    except ValueError:
        raise ValueError(wrong) from None


def _time_of(match: re.Match[str]) -> datetime.time:
    halves = [
        _HALVES[half[:1].lower() if half[0] in "AaPp" else half] for half in (match["half"], match["half2"]) if half
    ]
    hour = int(match["hour"])
    if len(halves) == 2 or (halves == [0] and hour > 12):
        raise ValueError
    if halves and hour <= 12:
        hour = hour % 12 + halves[0]
    fraction = int((match["fraction"] or "").ljust(6, "0")[:6])
    return datetime.time(hour, int(match["minute"]), int(match["second"] or 0), fraction)


def _zone_of(text: str, wrong: str) -> datetime.tzinfo:
    if text == "Z":
        return datetime.UTC
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    if hours > 15 or minutes > 59:
        raise ValueError(wrong)
    offset = datetime.timedelta(hours=hours, minutes=minutes)
    return datetime.timezone(-offset if text[0] == "-" else offset)


def _of_serial(match: re.Match[str], wrong: str) -> When:
    """Read a spreadsheet's number of days since 1899-12-30, to the second; without days it is a time of day."""
    days = int(match["days"])
    part = match["part"]
    if days == 0 and part is None:
        raise ValueError(wrong)
    if days and days not in _SERIAL_DAYS:
        raise ValueError(wrong)
    clock = None
    if part is not None:
        micros = int(part) * _DAY_MICROSECONDS // 10 ** len(part)
        seconds = (micros + 500_000) // 1_000_000
        days, seconds = (days + 1, 0) if days and seconds == 86_400 else (days, min(seconds, 86_399))
        clock = datetime.time(seconds // 3_600, seconds // 60 % 60, seconds % 60)
    return When(_SERIAL_ZERO + datetime.timedelta(days=days) if days else None, clock)
