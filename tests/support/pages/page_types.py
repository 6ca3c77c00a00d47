"""The pages' types, made of the API's description: `python -m tests.support.pages.page_types`.

Writes gateway/pages/web/src/shared/described.ts, which `make check` reads with the type checker: a page cannot count on
a field that the API may leave null. The file is not kept in git. Building the pages needs no Python and not this file
either, because types are left out of what is built. openapi-typescript makes the same of the description, but needs the
compiler interface of TypeScript 5, which TypeScript 7 no longer has.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gateway.openapi.document import document
from tests.support.api.openapi import all_routes

TARGET: Final = Path(__file__).parents[3] / "gateway" / "pages" / "web" / "src" / "shared" / "described.ts"
ROOTS: Final = (
    "ProblemAnswer",
    # the member page
    "MeAnswer",
    "MyBenefitsAnswer",
    "ActivityAnswer",
    "CodesAnswer",
    "DevicesAnswer",
    "EnrolledDevice",
    "GroupAnswer",
    # the operations page
    "SnapshotAnswer",
    "SeriesAnswer",
    "RefusalsAnswer",
    # the scanner page
    "VerifyRequest",
    "PrepareAnswer",
    "RedemptionAnswer",
    "RedemptionView",
    "ListedRedemption",
    "CancelAnswer",
    "AccrualAnswer",
    "TerminalAnswer",
)
"""Schemas that the pages read or send; those that they refer to follow by themselves."""
_PREFIX: Final = "#/components/schemas/"
_SIMPLE: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_HEAD: Final = """\
/**
 * The API's answers and requests as the pages use them. Made of its description by
 * `python -m tests.support.pages.page_types` and not kept in git. What the API may leave out or null is so here.
 */
"""


def render() -> str:
    """The whole file."""
    schemas: dict[str, dict[str, Any]] = json.loads(json.dumps(document(all_routes())))["components"]["schemas"]
    names: list[str] = []
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop(0)
        if name not in names:
            names.append(name)
            waiting += _references(schemas[name])
    return _HEAD + "".join(_declared(name, schemas[name]) for name in sorted(names))


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(_PREFIX)
        for key, value in schema.items():
            if key != "discriminator":
                yield from _references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _declared(name: str, schema: dict[str, Any]) -> str:
    described = " ".join(str(schema.get("description", "")).split())
    comment = f"\n/** {described} */\n" if described else "\n"
    return f"{comment}export interface {name} {_object(schema, '')}\n"


def _object(schema: dict[str, Any], indent: str) -> str:
    required = set(schema.get("required", ()))
    lines = []
    for name, field in schema["properties"].items():
        mark = "" if name in required else "?"
        lines.append(f"{indent}  {name}{mark}: {_type(field, indent + '  ')}")
    if schema.get("additionalProperties") is True:
        lines.append(f"{indent}  [member: string]: unknown")
    return "\n".join(("{", *lines, indent + "}"))


def _type(schema: dict[str, Any], indent: str) -> str:
    """The type of one schema. Raises ValueError for a kind of schema that the description has not had before."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_PREFIX)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each, indent) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"'{each}'" if isinstance(each, str) else json.dumps(each) for each in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        items = _type(schema["items"], indent)
        return f"({items})[]" if " | " in items else f"{items}[]"
    if kind == "object":
        if "properties" in schema:
            return _object(schema, indent)
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values, indent) if isinstance(values, dict) else 'unknown'}>"
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if not set(schema) - {"description", "examples", "title"}:
        return "unknown"
    raise ValueError(f"no type is known for {schema}")


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
