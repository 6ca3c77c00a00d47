"""Faults of a document of plain values: every fault with its place, not only the first.

msgspec stops at the first thing it refuses. `faults_of_type` asks it again for each part, so that a file of a hundred
entries reports all that are wrong. A place is written like `businesses[2].outlets[0].name.en`.
"""

import datetime
import re
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from redemption.domain.text import fault_of

FAULTS_SHOWN_MAX: Final = 50
TEXT_CHARACTERS_MAX: Final = 200
"""The length of any one text in a document; names and ids have bounds of their own."""
_WITH_PLACE: Final = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<key>key in )?\$(?P<place>.*)`)?$", re.DOTALL)


class Fault(NamedTuple):
    """One fault and its place."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" if self.place else self.reason


def faults_of_text(value: Any, place: str = "") -> Iterator[Fault]:
    """Find the texts, keys included, that are too long or have a character that no name may have."""
    if isinstance(value, str):
        reason = _text_fault(value)
        if reason is not None:
            yield Fault(place, reason)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str) and (reason := _text_fault(key)) is not None:
                yield Fault(place, f"a key: {reason}")
            else:
                yield from faults_of_text(inner, member_of(place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from faults_of_text(inner, f"{place}[{number}]")


def faults_of_type(value: Any, kind: Any, place: str = "") -> Iterator[Fault]:
    """Find what keeps a value from being of a type that msgspec knows; nothing where the value converts."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        found = False
        for inner in _inner_faults(value, kind, place):
            found = True
            yield inner
        if not found:
            yield _placed(str(fault), value, place)


def _inner_faults(value: Any, kind: Any, place: str) -> Iterator[Fault]:
    kind = _bare(kind)
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Struct) and isinstance(value, dict):
        yield from _member_faults(value, kind, place)
    elif origin is dict and isinstance(value, dict):
        key_kind, inner_kind = get_args(kind)
        for key, inner in value.items():
            yield from faults_of_type(key, key_kind, member_of(place, key))
            yield from faults_of_type(inner, inner_kind, member_of(place, key))
    elif origin in (tuple, list) and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from faults_of_type(inner, get_args(kind)[0], f"{place}[{number}]")


def _member_faults(value: dict[Any, Any], kind: type[Struct], place: str) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from faults_of_type(value[name], field.type, member_of(place, name))
        elif field.required:
            yield Fault(place, f"`{name}` is missing")
    tag = kind.__struct_config__.tag_field
    for name in value:
        if name not in fields and name != tag:
            yield Fault(member_of(place, name), f"is not known here; there are {', '.join(fields)}")


def _bare(kind: Any) -> Any:
    """Return the type without its bounds, and without None where that is allowed."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        others = [each for each in get_args(kind) if each is not types.NoneType]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _placed(message: str, value: Any, place: str) -> Fault:
    """Return msgspec's message with the whole place, and with the value where it is short enough to be recognized."""
    found = _WITH_PLACE.match(message)
    assert found is not None
    reason = found["reason"].replace("`", "'")
    inner = found["place"] or ""
    if found["key"]:
        reason = f"a key: {reason}"
    elif not inner and isinstance(value, str | int | float | bool | datetime.date) and len(str(value)) <= 40:
        reason = f"{reason}, got {value!r}" if ", got " not in reason else reason
    return Fault((place + inner).removeprefix("."), reason)


def _text_fault(text: str) -> str | None:
    if len(text) > TEXT_CHARACTERS_MAX:
        return f"has {len(text)} characters; {TEXT_CHARACTERS_MAX} is the most"
    return fault_of(text)


def member_of(place: str, key: Any) -> str:
    """Return the place of a key's value."""
    name = key if isinstance(key, str) and _text_fault(key) is None else ascii(key)[:64]
    return f"{place}.{name}" if place else name


def sentences(faults: Iterable[Fault | str], most: int = FAULTS_SHOWN_MAX) -> list[str]:
    """Return the faults as sentences, the first `most` of them, and how many more there are."""
    found = [str(fault) for fault in faults]
    return found if len(found) <= most else [*found[:most], f"and {len(found) - most} more"]
