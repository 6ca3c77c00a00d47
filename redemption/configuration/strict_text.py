"""YAML and JSON read strictly: duplicate keys, hidden characters and multiplied aliases are found first.

    DocumentRefused     the text is not one document of plain values

Guarantees: a key that an object has twice is reported with line and column, every one of them; nesting, the number of
values and what aliases multiply are bounded, so a small file cannot become a large one; a fault is a sentence with a
place, never another exception. Both YAML 1.1 (as PyYAML reads it) and JSON (RFC 8259) are read into dictionaries,
lists, strings, numbers, booleans, None and, from YAML, dates.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from redemption.domain.errors import RefusedError

DEPTH_MAX: Final = 32
VALUES_MAX: Final = 1_000_000
DUPLICATES_FOUND_MAX: Final = 100

_JSON_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class DocumentRefused(RefusedError):
    """The text is not one document of plain values; a sentence with the place."""


@dataclass(frozen=True, slots=True)
class DuplicateKey:
    """A key that its object has a second time. Lines and columns count from 1; `first_line` is its first place."""

    key: str
    line: int
    column: int
    first_line: int

    def __str__(self) -> str:
        return (
            f"line {self.line}, column {self.column}: `{self.key[:64]}` is a duplicate key (before: line"
            f" {self.first_line})"
        )


@dataclass(slots=True)
class Document:
    """The value of a text and its duplicate keys: `value` has the last of each."""

    value: Any
    duplicates: list[DuplicateKey] = field(default_factory=list)


class _StrictLoader(yaml.SafeLoader):
    """A bounded safe loader that notes duplicate keys."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[DuplicateKey] = []
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            size = self._sizes.get(id(node))
            if size is None:
                raise DocumentRefused(f"{_place(mark)}: an alias contains itself")
            self._count(size, mark)
            return node
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise DocumentRefused(f"{_place(mark)}: nested more than {DEPTH_MAX} deep")
        before = self._values
        self._count(1, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._values - before
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Duplicates are noted before merges are resolved: a key beside `<<` may override a merged one.
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in seen and len(self.duplicates) < DUPLICATES_FOUND_MAX:
                self.duplicates.append(DuplicateKey(key.value, line, key.start_mark.column + 1, seen[name]))
            seen.setdefault(name, line)
        return node

    def _count(self, values: int, mark: yaml.Mark) -> None:
        self._values += values
        if self._values > VALUES_MAX:
            raise DocumentRefused(f"{_place(mark)}: more than {VALUES_MAX} values, aliases counted as what they repeat")


def _text(loader: _StrictLoader, node: yaml.ScalarNode) -> str:
    """Return a string; an escaped surrogate pair, as JSON writes an emoji, is the character that it means."""
    value = str(loader.construct_scalar(node))
    if _SURROGATE.search(value) is None:
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


_StrictLoader.add_constructor("tag:yaml.org,2002:str", _text)


def read_yaml(data: bytes) -> Document:
    """Read one YAML document. Raises `DocumentRefused`."""
    loader = None
    try:
        loader = _StrictLoader(data)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = f"{_place(mark)}: " if mark is not None else ""
        raise DocumentRefused(f"{where}not YAML: {_one_line(fault.problem or fault.context or '')}") from None
    except yaml.reader.ReaderError as fault:
        # `character` is a number for what YAML does not allow, bytes for what is not UTF-8.
        what = f"U+{fault.character:04X}" if isinstance(fault.character, int) else f"byte {fault.character!r}"
        raise DocumentRefused(f"{what} at position {fault.position} is not allowed in YAML") from None
    except (ValueError, OverflowError, RecursionError) as fault:
        # PyYAML raises these for a number or a date that Python cannot hold.
        raise DocumentRefused(f"not YAML: {_one_line(str(fault))[:200]}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return Document(value, loader.duplicates)


def read_json(data: bytes) -> Document:
    """Read one JSON text in UTF-8, with or without a byte-order mark. Raises `DocumentRefused`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise DocumentRefused(f"byte {fault.start} is not UTF-8") from None
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) != len(pairs)
        return found

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=_refuse_constant)
    except json.JSONDecodeError as fault:
        raise DocumentRefused(f"line {fault.lineno}, column {fault.colno}: not JSON: {fault.msg}") from None
    except ValueError as fault:
        raise DocumentRefused(f"not JSON: {_one_line(str(fault))[:200]}") from None
    except RecursionError:
        raise DocumentRefused(f"nested more than {DEPTH_MAX} deep") from None
    _bound_nesting(text)  # the text is JSON here; on other texts the tokens would take quadratic time
    return Document(value, list(duplicate_keys(text)) if twice else [])


def duplicate_keys(text: str) -> Iterator[DuplicateKey]:
    """Find the keys that an object of a valid JSON text has twice, in the order of the text; at most a hundred."""
    # One entry for each open bracket: the keys of an object with their lines, or None for an array.
    open_objects: list[dict[str, int] | None] = []
    expecting, found = False, 0
    line, line_start, counted = 1, 0, 0
    for match in _JSON_WORD.finditer(text):
        word = match.group()
        if word in ("{", "["):
            open_objects.append({} if word == "{" else None)
            expecting = word == "{"
        elif word in ("}", "]"):
            open_objects.pop()
            expecting = False
        elif word == ",":
            expecting = bool(open_objects) and open_objects[-1] is not None
        elif expecting:
            expecting = False
            keys = open_objects[-1]
            assert keys is not None
            key = json.loads(word)
            breaks = text.count("\n", counted, match.start())
            if breaks:
                line, line_start = line + breaks, text.rindex("\n", counted, match.start()) + 1
            counted = match.start()
            if key in keys:
                yield DuplicateKey(key, line, match.start() - line_start + 1, keys[key])
                found += 1
                if found == DUPLICATES_FOUND_MAX:
                    return
            keys.setdefault(key, line)


def _bound_nesting(text: str) -> None:
    """Raise `DocumentRefused` where a valid JSON text is nested too deeply."""
    if text.count("{") + text.count("[") <= DEPTH_MAX:
        return
    depth = 0
    for match in _JSON_WORD.finditer(text):
        word = match.group()
        depth += 1 if word in "{[" else -1 if word in "}]" else 0
        if depth > DEPTH_MAX:
            line = text.count("\n", 0, match.start()) + 1
            raise DocumentRefused(f"line {line}: nested more than {DEPTH_MAX} deep")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
