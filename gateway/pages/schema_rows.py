"""JSON schemas as rows of a table: one per field, nested ones by their path (`bill.lines[].category`)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

DEPTH_MAX: Final = 8
"""Deeper is a schema that refers to itself, which no type of the gateway does."""

TAG: Final = "kind"
"""The field that tells the members of a union apart."""


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `choice` names the member of a union it belongs to (`kind: points`), `meaning` its description."""

    path: str
    kind: str
    required: bool
    limits: str
    description: str
    choice: str = ""
    meaning: str = ""


def rows(schema: dict[str, Any], components: dict[str, Any]) -> list[Row]:
    """Return the fields of an object's schema, in its order.

    The tag of a union's member is not a row but its `choice`.
    """
    return list(_object(schema, components, "", 0))


def _object(schema: dict[str, Any], components: dict[str, Any], prefix: str, depth: int) -> Iterator[Row]:
    assert depth < DEPTH_MAX
    schema = _resolved(schema, components)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        options, null = _options(field, components)
        path = prefix + name
        yield Row(
            path,
            " or ".join(dict.fromkeys(_kind(option, components) for option in options)) + (" or null" if null else ""),
            name in required,
            ", ".join(dict.fromkeys(limit for option in (field, *options) for limit in _limits(option))),
            field.get("description") or (options[0].get("description", "") if len(options) == 1 else ""),
        )
        for option in options:
            yield from _inside(option, components, path, depth)


def _inside(option: dict[str, Any], components: dict[str, Any], path: str, depth: int) -> Iterator[Row]:
    """Return the fields below an object or an array of objects; those of each member where there is a choice."""
    if option.get("type") == "array":
        members, _ = _options(option.get("items", {}), components)
        path += "[]"
    else:
        members = [option]
    for member in members:
        choice = _tag(member)
        for row in _object(member, components, path + ".", depth + 1):
            if not choice:
                yield row
            elif row.path != f"{path}.{TAG}":
                yield replace(row, choice=f"{TAG}: {choice}", meaning=member.get("description", ""))


def _tag(schema: dict[str, Any]) -> str:
    """Return the value that marks this member of a union; empty where it is none."""
    values = schema.get("properties", {}).get(TAG, {}).get("enum", ())
    return str(values[0]) if len(values) == 1 else ""


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = components[schema["$ref"].rsplit("/", 1)[1]]
    return found


def _options(schema: dict[str, Any], components: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the alternatives of a schema without null, and whether null is one."""
    alternatives = [_resolved(each, components) for each in schema.get("anyOf", [schema])]
    kept = [each for each in alternatives if each.get("type") != "null"]
    return kept, len(kept) < len(alternatives)


def _kind(schema: dict[str, Any], components: dict[str, Any]) -> str:
    if schema.get("type") == "array":
        members, _ = _options(schema.get("items", {}), components)
        kinds = dict.fromkeys(_kind(member, components) for member in members)
        return "array of " + " or ".join(f"{kind}s" for kind in kinds)
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", "any value"))


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield " | ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{_number(low)} … {_number(high)}"
    elif low is not None:
        yield f"at least {_number(low)}"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if longest is not None:
        yield f"{shortest or 0} … {longest} characters"
    if schema.get("maxItems") is not None:
        yield f"at most {schema['maxItems']}"
    if "pattern" in schema:
        yield f"`{schema['pattern']}`"
    if schema.get("default") not in (None, [], ()):
        yield f"default {_default(schema['default'])}"


def _number(value: int) -> str:
    power = len(str(value)) - 1
    return f"10^{power}" if value >= 10**9 and value == 10**power else str(value)


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
