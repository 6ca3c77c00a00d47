"""Query parameters: read strictly, bounded, and refused with the name of the parameter.

A cursor is opaque to callers: it holds the place of the last item of a page, and only the same list accepts it.
"""

import base64
import binascii
import datetime
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from gateway.problems.documents import malformed
from redemption.domain.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX

CURSOR_CHARACTERS_MAX: Final = 400
_MONTH: Final = re.compile(r"(20[2-9][0-9])-?(0[1-9]|1[0-2])", re.ASCII)

T = TypeVar("T")


class Query:
    """The parameters of a request. Raises `malformed` for an unknown parameter and for one given twice."""

    def __init__(self, request: Request, *names: str) -> None:
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in names:
                raise malformed(f"is not a parameter of this call, which has {', '.join(names) or 'none'}", name[:64])
            if name in self._values:
                raise malformed("is given twice", name)
            self._values[name] = value

    def text(self, name: str, pattern: str, what: str) -> str | None:
        """Return a value that matches the whole pattern; None where it is absent. `what` names it in the refusal."""
        value = self._values.get(name)
        if value is not None and re.fullmatch(pattern, value, re.ASCII) is None:
            raise malformed(f"is not {what}", name)
        return value

    def one_of(self, name: str, choices: Sequence[T], default: T) -> T:
        """Return one of the choices; the default where it is absent."""
        value = self._values.get(name)
        if value is None:
            return default
        if value not in choices:
            raise malformed(f"is not one of {', '.join(str(choice) for choice in choices)}", name)
        return next(choice for choice in choices if choice == value)

    def business(self, name: str = "business") -> str | None:
        """Return the id of a business; None where it is absent."""
        return self.text(name, "[a-z][a-z0-9_-]{0,31}", "the id of a business")

    def month(self, name: str = "month") -> int | None:
        """Return `2026-11` as 202611; None where it is absent."""
        value = self._values.get(name)
        return None if value is None else month_of_text(value, name)

    def day(self, name: str) -> datetime.date | None:
        """Return a day written like `2026-11-22`; None where it is absent."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise malformed("is not a day, written like 2026-11-22", name) from None

    def start(self, name: str, zone: ZoneInfo) -> float | None:
        """Return an instant as Unix seconds; a day (`2026-11-22`) is its first moment in `zone`."""
        return self._instant(name, zone, days_later=0)

    def end(self, name: str, zone: ZoneInfo) -> float | None:
        """Return an instant as Unix seconds; a day is the first moment of the next one, so that it is included."""
        return self._instant(name, zone, days_later=1)

    def _instant(self, name: str, zone: ZoneInfo, *, days_later: int) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        try:
            if len(value) == len("2026-11-22"):
                day = datetime.date.fromisoformat(value) + datetime.timedelta(days_later)
                return datetime.datetime.combine(day, datetime.time(), zone).timestamp()
            moment = datetime.datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.timestamp()
        except (ValueError, OverflowError):
            raise malformed(
                "is neither a day, written like 2026-11-22, nor an instant, like 2026-11-22T03:04:05Z", name
            ) from None

    def limit(self, default: int = PAGE_ITEMS_DEFAULT, most: int = PAGE_ITEMS_MAX) -> int:
        """Return how many items a page has."""
        value = self._values.get("limit", str(default))
        if not value.isascii() or not value.isdigit() or len(value) > 6 or not 1 <= int(value) <= most:
            raise malformed(f"is not a whole number from 1 to {most}", "limit")
        return int(value)

    def cursor(self, shape: type[T]) -> T | None:
        """Return the place after which the page begins, as `cursor_of` was given it; None where it is absent."""
        return place_of_cursor(self._values.get("cursor"), shape)


def place_of_cursor(value: str | None, shape: type[T]) -> T | None:
    """Return the place that `cursor_of` made a cursor of; None without one. Raises `malformed`."""
    if value is None:
        return None
    try:
        if len(value) > CURSOR_CHARACTERS_MAX:
            raise ValueError
        place = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
        if b"\\u0000" in place:  # no cursor of ours has it, and PostgreSQL refuses it
            raise ValueError
        return msgspec.json.decode(place, type=shape)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise malformed("is not a valid cursor for this list", "cursor") from None


def month_of_text(value: str, place: str) -> int:
    """Return `2026-11` or `202611` as 202611. Raises `malformed`."""
    found = _MONTH.fullmatch(value)
    if found is None:
        raise malformed("is not a month, written like 2026-11", place)
    return int(found[1] + found[2])


def cursor_of(place: Any, *, more: bool) -> str | None:
    """Return a cursor for `Query.cursor`; None on the last page."""
    if not more:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")
