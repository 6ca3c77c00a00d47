"""Find a duplicate key in a JSON list.

RFC 8259, section 4, leaves open which of two equal keys counts, and parsers differ. Which of two amounts a till meant
is not for a parser to decide, so such a list is refused with the place.
"""

import json
from typing import Any


class _Members(dict[str, Any]):
    """The members of a JSON object, and the first name that is there twice."""

    twice: str | None = None


def first_duplicate(data: bytes) -> tuple[int, str] | None:
    """Return the row (0: outside of the rows) and the name of the first duplicate key, None where there is none.

    `data` is valid JSON: an array of rows, or an object with the array `rows`. Raises `ValueError` for a number with
    more digits than Python reads, `RecursionError` for what is nested too deeply.
    """
    found = False

    def members_of(pairs: list[tuple[str, Any]]) -> _Members:
        nonlocal found
        members = _Members(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            members.twice = next(name for name in names if names.count(name) > 1)
            found = True
        return members

    document = json.loads(data, object_pairs_hook=members_of)
    if not found:
        return None
    top = document if isinstance(document, _Members) else _Members(rows=document)
    if top.twice is not None:
        return 0, top.twice
    rows = top.get("rows")
    for number, row in enumerate(rows if isinstance(rows, list) else (), 1):
        twice = _duplicate_in(row)
        if twice is not None:
            return number, twice
    return 0, _duplicate_in(top) or ""


def _duplicate_in(value: Any) -> str | None:
    """Return the first duplicate key in a value, however deep."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, _Members):
            if each.twice is not None:
                return each.twice
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return None
